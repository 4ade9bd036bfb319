import fcntl
from collections.abc import Callable

from typer.testing import Result

from adapter.simulator import World
from adapter.store import migrate, schema_is_current

Cli = Callable[..., Result]


def test_a_database_is_made_once(cli: Cli, world: World) -> None:
    first = cli("db", "migrate", "--config", world.config)
    assert first.exit_code == 0
    assert schema_is_current("sqlite", world.directory / "var")
    again = cli("db", "migrate", "--config", world.config)
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_the_tables_of_a_running_daemon_are_not_changed(cli: Cli, world: World) -> None:
    state = world.directory / "var"
    state.mkdir()
    lock = (state / "daemon.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = cli("db", "migrate", "--config", world.config)
    assert result.exit_code == 1
    assert "stop it, migrate" in result.stderr
    assert not schema_is_current("sqlite", state)


def test_a_damaged_database_is_said_to_be_so(cli: Cli, world: World) -> None:
    state = world.directory / "var"
    migrate("sqlite", state)
    (state / "stam-adapter.db").write_bytes(b"nonsense" * 1000)
    for command in (("db", "migrate"), ("verzoek", "list")):
        result = cli(*command, "--config", world.config)
        assert result.exit_code == 1
        assert "restore it from a backup" in result.stderr


def test_a_state_directory_that_cannot_be_made_fails(cli: Cli, world: World) -> None:
    (world.directory / "var").write_text("")
    for command in (("db", "migrate"), ("verzoek", "list"), ("ping", "CPA-1")):
        result = cli(*command, "--config", world.config)
        assert result.exit_code == 1
        assert str(world.directory / "var") in result.stderr
