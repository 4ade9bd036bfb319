# SPDX-License-Identifier: EUPL-1.2

import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.cli import names, settings


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


def test_the_version_can_be_shown_with_what_it_stands_on(cli: Callable[..., Result]) -> None:
    shown = json.loads(cli("version", "--json").stdout)
    assert f"stam-adapter {shown['version']}\n" == cli("--version").stdout
    assert shown["openssl"] == ssl.OPENSSL_VERSION
    assert {"python", "libxml2", "sqlite", "platform", "libraries"} <= shown.keys()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The places where a configuration is looked for, in the directory of the test."""
    places = [Path("stam-adapter.toml"), tmp_path / "etc" / "stam-adapter.toml"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(names, "PLACES", places)
    monkeypatch.setattr(settings, "PLACES", places)
    places[1].parent.mkdir()
    return places


def said(cli: Callable[..., Result], *more: object, code: int = 78) -> str:
    result = cli("cpa", "list", *more)
    assert result.exit_code == code
    return result.stderr


def test_a_configuration_is_looked_for_in_this_directory_and_then_where_systems_have_it(
    cli: Callable[..., Result], places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(cli) == (
        f"there is no configuration, neither stam-adapter.toml nor {places[1]}; name it with --config, or in the "
        "environment variable STAM_ADAPTER_CONFIG\n"
    )
    places[1].write_text("there = 1")
    assert said(cli).startswith(f"{places[1]}: environment: is missing")
    places[0].write_text("here = 1")
    assert said(cli).startswith("stam-adapter.toml: environment: is missing")
    monkeypatch.setenv("STAM_ADAPTER_CONFIG", "variable.toml")
    assert said(cli).startswith("variable.toml: cannot be read")
    assert said(cli, "--config", "option.toml").startswith("option.toml: cannot be read")


def test_a_configuration_that_is_named_is_not_looked_for_elsewhere(
    cli: Callable[..., Result], places: list[Path]
) -> None:
    places[1].write_text("there = 1")
    assert said(cli, "--config", "stam-adapter.toml").startswith("stam-adapter.toml: cannot be read")


def test_the_daemon_does_not_wait_for_what_it_seldom_needs() -> None:
    """Migrating, and a database that is not this one, each take a tenth of a second to import."""
    code = "import sys, adapter.cli.run; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    assert "adapter.daemon.daemon" in names
    assert not names & {"alembic", "asyncpg", "sqlalchemy.orm", "adapter.simulator", "adapter.cli.demo"}
