# SPDX-License-Identifier: EUPL-1.2

"""docs/install.md as a test reads it: the commands of each step, and those that need a running system."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "install.md"
_BLOCK = re.compile(r"(?ms)^(<!-- (?P<mark>[^\n]*) -->\n)?^```sh\n(?P<commands>.*?)^```$")
_STEP = "step: "


def blocks() -> list[tuple[str, str]]:
    """Each block of commands, with what is said of it above."""
    return [(found["mark"] or "", found["commands"]) for found in _BLOCK.finditer(PAGE.read_text("utf-8"))]


def steps() -> dict[str, str]:
    """The commands of the steps, by name and in their order."""
    return {mark.removeprefix(_STEP): commands for mark, commands in blocks() if mark.startswith(_STEP)}
