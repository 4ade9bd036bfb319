# SPDX-License-Identifier: EUPL-1.2

"""docs/command-line.md against the commands: all of them are in it, as they are now."""

import re

from release.commands import LEAVES, PAGE, written

TEXT = PAGE.read_text("utf-8")


def test_the_reference_is_that_of_the_commands_as_they_are() -> None:
    assert written(TEXT) == TEXT, "write it anew: python -m release.commands"


def test_every_command_with_json_says_what_is_in_the_document() -> None:
    table = TEXT.partition("| command | the document |\n")[2].partition("\n\n")[0]
    rows = [tuple(row.split(" | ")[0].removeprefix("| ").split()) for row in table.splitlines()[1:]]
    assert rows == [words for words, one in LEAVES.items() if any("--json" in p.opts for p in one.params)]


def test_the_messages_that_are_shown_are_said_of_what_is_wrong() -> None:
    """Each is one of those in tests/bad_configs, but for file names and numbers."""
    shown = re.findall(r"^(?:stam-adapter|authorities\.d/\w+)\.toml:.*$", TEXT, re.MULTILINE)
    bad = PAGE.parents[1] / "tests" / "bad_configs"
    known = {line for file in bad.glob("*.expected") for line in file.read_text("utf-8").splitlines()}
    assert len(shown) >= 4
    assert {_bare(line) for line in shown} <= {_bare(line) for line in known}


def _bare(line: str) -> str:
    return re.sub(r":\d+|dorpp|dorp", "", line)
