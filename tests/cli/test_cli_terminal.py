# SPDX-License-Identifier: EUPL-1.2

"""What is shown on a real terminal, and what in a pipe."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from adapter.cli import progress
from adapter.simulator import World
from tests.cli.terminal import command, on_terminal

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


def check(world: World) -> list[str]:
    return command("check", "--config", world.config)


@pytest.mark.parametrize("columns", [60, 120])
def test_a_table_fits_the_terminal(made_once: World, columns: int) -> None:
    code, shown = on_terminal(check(made_once), columns=columns)
    lines = ESCAPE.sub("", shown).replace("\r\n", "\n").split("\n")
    assert code == 0
    assert [line.split()[:3] for line in lines if line.startswith("what")] == [["what", "name", "result"]]
    assert "\t" not in shown
    assert max(len(line.rpartition("\r")[2]) for line in lines) <= columns


def test_a_terminal_has_colours(made_once: World) -> None:
    assert COLOUR.search(on_terminal(check(made_once))[1])


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_without_colours_has_none(made_once: World, environ: dict[str, str]) -> None:
    shown = on_terminal(check(made_once), **environ)[1]
    assert not COLOUR.search(shown)
    assert "0 errors" in shown
    if environ.get("TERM") == "dumb":
        assert "\x1b" not in shown


def test_a_pipe_has_lines_with_tabs_and_nothing_that_moves(made_once: World) -> None:
    ran = subprocess.run(check(made_once), capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("what\tname\tresult\tdetail\n")
    assert "\x1b" not in ran.stdout + ran.stderr
    assert re.fullmatch(r"0 errors, \d+ warnings\n", ran.stderr)


def test_json_goes_into_a_file_while_the_terminal_shows_how_far_it_is(
    made_once: World, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    words = [*check(made_once), "--json"]
    program = (
        f"import sys; sys.argv[1:] = {words[3:]!r}\nfrom adapter.cli import main, progress\n{SLOW}\nmain()"
    )
    code, shown = on_terminal([words[0], "-c", program], stdout=file)
    assert code == 0
    assert json.loads(file.read_text())
    assert "checking" in shown
    assert "\x1b[?25h" in shown  # the cursor is back
    assert ESCAPE.sub("", shown).replace("\r\n", "\n").rpartition("\r")[2].startswith("0 errors")


SLOW = "progress._PATIENCE = 0.0"
"""As if whoever waits for half a second had done so."""


def test_what_is_done_soon_shows_no_progress(made_once: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress._PATIENCE > 0
    program = (
        "import sys; from adapter.cli import progress; progress._PATIENCE = 60.0\n"
        f"sys.argv[1:] = {check(made_once)[3:]!r}\nfrom adapter.cli import main; main()"
    )
    shown = on_terminal([command()[0], "-c", program])[1]
    assert "checking" not in shown
    assert "\x1b[?25l" not in shown
