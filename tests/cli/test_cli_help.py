# SPDX-License-Identifier: EUPL-1.2

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import Result

from adapter.cli.app import _Commands


@pytest.mark.parametrize("name", list(_Commands.lazy))
def test_each_command_says_of_itself_what_the_list_says(cli: Callable[..., Result], name: str) -> None:
    result = cli(name, "--help")
    assert result.exit_code == 0
    assert _Commands.lazy[name].help.rstrip(".").split(",")[0].split(":")[0] in " ".join(
        result.stdout.split()
    )


@pytest.mark.parametrize(
    "command",
    [
        *(["check"], ["ping"], ["inspect"], ["reconcile"], ["db", "migrate"]),
        *(["cpa", one] for one in ("check", "show", "list", "add", "withdraw")),
        *(["message", one] for one in ("list", "show", "resend", "retry")),
        *(["verzoek", one] for one in ("list", "show", "retry", "skip", "fetch")),
    ],
    ids=" ".join,
)
def test_each_command_shows_an_example(cli: Callable[..., Result], command: list[str]) -> None:
    assert f"Example: stam-adapter {' '.join(command)}" in " ".join(cli(*command, "--help").stdout.split())


def test_the_list_of_commands_imports_none_of_them() -> None:
    program = (
        "import sys; sys.argv = ['stam-adapter', '--help']\n"
        "import contextlib, io, json\n"
        "from adapter.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(found.stdout))
    assert not loaded & {"sqlalchemy", "aiohttp", "adapter.store", "adapter.daemon", "adapter.simulator"}


def test_a_mistyped_command_is_wrong_use_and_names_the_nearest(cli: Callable[..., Result]) -> None:
    result = cli("verzoke", "list")
    assert result.exit_code == 2
    assert "verzoek" in result.stderr


def test_a_missing_argument_is_wrong_use(cli: Callable[..., Result]) -> None:
    assert cli("verzoek", "show").exit_code == 2


def test_a_file_that_is_not_there_is_wrong_use(cli: Callable[..., Result]) -> None:
    assert cli("cpa", "check", "nowhere.xml").exit_code == 2


def test_a_configuration_that_is_not_there_is_exit_code_78(cli: Callable[..., Result]) -> None:
    result = cli("verzoek", "list", "--config", "nowhere.toml")
    assert result.exit_code == 78
    assert "nowhere.toml: cannot be read" in result.stderr
    assert not result.stdout


def test_the_version_is_shown(cli: Callable[..., Result]) -> None:
    assert cli("--version").stdout.startswith("stam-adapter ")


def test_the_daemon_does_not_wait_for_what_it_seldom_needs() -> None:
    """Migrating, and a database that is not this one, each take a tenth of a second to import."""
    code = "import sys, adapter.cli.run; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    assert "adapter.daemon.daemon" in names
    assert not names & {"alembic", "asyncpg", "sqlalchemy.orm", "adapter.simulator", "adapter.cli.demo"}
