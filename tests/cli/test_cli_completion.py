# SPDX-License-Identifier: EUPL-1.2

"""Completion as a shell does it: a real bash, and the two others where the machine has them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapter.cli.app import app
from adapter.simulator import World
from tests.cli.conftest import NUMBER
from tests.cli.terminal import on_terminal
from tests.servers import do_without

PROGRAM = Path(sys.executable).with_name("stam-adapter")
WORDS = (
    'source <("$1" completion bash); COMP_LINE=$2; COMP_POINT=${#2}; read -ra COMP_WORDS <<<"$2"; '
    'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _stam_adapter "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
)


def in_bash(line: str, place: Path) -> tuple[list[str], str]:
    """What bash offers behind a line, and what it says on standard error."""
    ran = subprocess.run(
        ["bash", "--norc", "-c", WORDS, "bash", str(PROGRAM), line],
        capture_output=True,
        text=True,
        check=True,
        cwd=place,
        env={"PATH": os.environ["PATH"]},
    )
    return ran.stdout.split(), ran.stderr


def complete(line: str) -> list[str]:
    """What the command offers behind a line, without a shell."""
    environ = {
        "_STAM_ADAPTER_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }
    result = CliRunner().invoke(app, [], env=environ, prog_name="stam-adapter")
    assert result.exit_code == 0, result.output
    assert not result.stderr
    return result.stdout.split()


@pytest.fixture
def there(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, of tests that change nothing in it."""
    monkeypatch.chdir(made)
    return made


def test_bash_completes_commands_options_and_names(made: Path) -> None:
    assert in_bash("stam-adapter verz", made) == (["verzoek"], "")
    assert in_bash("stam-adapter verzoek show ", made) == ([NUMBER], "")
    assert in_bash("stam-adapter lane resume sink:voor", made) == (["voorbeeldstad/archief"], "")


def test_a_key_press_in_bash_completes_the_line() -> None:
    typed = f"source <({PROGRAM} completion bash); PATH={PROGRAM.parent}:$PATH\n"
    typed += "bind 'set enable-bracketed-paste off'\nstam-adapter version --js\t | head -n 2; exit\n"
    code, shown = on_terminal(["bash", "--norc", "-i"], typed=typed.encode(), TERM="dumb")
    assert code == 0
    assert "stam-adapter version --json  | head" in shown
    assert '"version": "' in shown


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stam-adapter verzoek re", ["retry"]),
        ("stam-adapter verzoek list --st", ["--state"]),
        ("stam-adapter verzoek list --state pa", ["parked"]),
        ("stam-adapter verzoek list --authority ", ["voorbeeldstad"]),
        ("stam-adapter verzoek retry --sink ", ["archief"]),
        ("stam-adapter verzoek retry -a voorbeeldstad --sink ar", ["archief"]),
        ("stam-adapter verzoek retry -a elders --sink ar", []),
        ("stam-adapter verzoek show 20", [NUMBER]),
        ("stam-adapter message show 20", ["20230731-0001@dso.example"]),
        ("stam-adapter lane pause sink:", ["sink:voorbeeldstad/archief"]),
        ("stam-adapter ping Verzoek", ["CPA_ID"]),
        ("stam-adapter connect -a voorbeeldstad --cpa-id ", ["CPA_ID"]),
        ("stam-adapter connect -a elders --cpa-id ", []),
        ("stam-adapter completion ", ["bash", "zsh", "fish"]),
    ],
)
@pytest.mark.usefixtures("there")
def test_names_come_from_the_configuration_and_the_store(
    made_once: World, line: str, offered: list[str]
) -> None:
    assert complete(line) == [made_once.authorities[0].cpa_id if one == "CPA_ID" else one for one in offered]


def test_the_configuration_that_the_line_names_is_the_one(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete("stam-adapter verzoek show ") == []
    assert complete(f"stam-adapter verzoek show --config {made}/stam-adapter.toml ") == [NUMBER]
    monkeypatch.setenv("STAM_ADAPTER_CONFIG", str(made / "stam-adapter.toml"))
    assert complete("stam-adapter verzoek show ") == [NUMBER]


def _not_toml(place: Path) -> None:
    (place / "stam-adapter.toml").write_text("environment = ")


def _gone(place: Path) -> None:
    (place / "stam-adapter.toml").unlink()


def _no_store(place: Path) -> None:
    shutil.rmtree(place / "var")


def _no_database(place: Path) -> None:
    for path in (place / "var").glob("*.db*"):
        path.unlink()


def _another_file(place: Path) -> None:
    for path in (place / "var").glob("*.db*"):
        path.write_text("not a database")


def _nobody_there(place: Path) -> None:
    text = (place / "stam-adapter.toml").read_text()
    (place / "stam-adapter.toml").write_text(
        text + '\n[store]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'
    )


@pytest.mark.parametrize(
    "breaks",
    [_not_toml, _gone, _no_store, _no_database, _another_file, _nobody_there],
    ids=lambda one: one.__name__,
)
def test_what_is_wrong_completes_nothing_says_nothing_and_makes_nothing(
    place: Path, breaks: Callable[[Path], None]
) -> None:
    breaks(place)
    before = sorted(place.rglob("*"))
    assert complete("stam-adapter verzoek show ") == []
    assert sorted(place.rglob("*")) == before


def test_a_wrong_configuration_still_has_its_names(place: Path) -> None:
    file = place / "stam-adapter.toml"
    text = file.read_text()
    file.write_text(text.replace('environment = "test"', 'environment = "tset"'))
    more = place / "authorities.d"
    more.mkdir()
    (more / "broken.toml").write_text("party = ")
    (more / "dorp.toml").write_text('[sinks.bak]\ntype = "directory"\n')
    assert complete("stam-adapter verzoek list --authority ") == ["broken", "dorp", "voorbeeldstad"]
    assert complete("stam-adapter verzoek retry --authority dorp --sink ") == ["bak"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_reads(
    cli: Callable[..., Result], tmp_path: Path, shell: str
) -> None:
    script = tmp_path / "script"
    script.write_text(cli("completion", shell).stdout)
    assert "_STAM_ADAPTER_COMPLETE" in script.read_text()
    if shutil.which(shell) is None:
        do_without("shells", shell, f"{shell} is not on this machine")
    subprocess.run([shell, "-n", str(script)], check=True)
