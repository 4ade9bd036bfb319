# SPDX-License-Identifier: EUPL-1.2

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.simulator import World
from adapter.store import migrate, opening, schema_is_current
from tests.store.later_migrations import ADDITION, REMOVAL, migrations_of

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


def test_additions_are_made_beside_a_running_daemon(cli: Cli, world: World) -> None:
    state = world.directory / "var"
    state.mkdir()
    with (state / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = cli("db", "migrate", "--pre", "--config", world.config)
    assert result.exit_code == 0
    assert schema_is_current("sqlite", state)


def test_what_is_to_be_removed_is_removed_when_told_so(
    cli: Cli, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = migrations_of(tmp_path / "later", ADDITION, REMOVAL)
    migrate("sqlite", world.directory / "var")
    monkeypatch.setattr(opening, "files", lambda _: later)
    first = cli("db", "migrate", "--pre", "--config", world.config)
    assert "once every daemon is, run `stam-adapter db migrate --post`" in first.stdout
    assert cli("verzoek", "list", "--config", world.config).exit_code == 0
    assert "now of this version" in cli("db", "migrate", "--post", "--config", world.config).stdout
    assert cli("db", "migrate", "--pre", "--post", "--config", world.config).exit_code == 2


def test_a_backup_is_made_and_restored(cli: Cli, world: World) -> None:
    state, backup = world.directory / "var", world.directory / "backup"
    migrate("sqlite", state)
    assert cli("db", "backup", backup, "--config", world.config).exit_code == 0
    again = cli("db", "backup", backup, "--config", world.config)
    assert again.exit_code == 1
    assert "is not empty" in again.stderr
    refused = cli("db", "restore", backup, "--config", world.config)
    assert refused.exit_code == 1
    assert "there is a store already" in refused.stderr
    state.rename(world.directory / "lost")
    assert cli("db", "restore", backup, "--config", world.config).exit_code == 0
    assert schema_is_current("sqlite", state)


def test_nothing_is_restored_under_a_running_daemon(cli: Cli, world: World) -> None:
    state = world.directory / "var"
    state.mkdir()
    with (state / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = cli("db", "restore", world.directory / "backup", "--config", world.config)
    assert result.exit_code == 1
    assert "stop it first" in result.stderr
