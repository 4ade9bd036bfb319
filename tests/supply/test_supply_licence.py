# SPDX-License-Identifier: EUPL-1.2

"""Each file says under which licence it is; that the papers as a whole agree is for `reuse lint`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = (
    "# SPDX-License-" + "Identifier: EUPL-1.2\n"
)  # in two, so that no tool reads it as the line of this file
OURS = ("adapter", "cpa", "tests", "bench", "fuzz", "release")


@pytest.mark.parametrize("room", OURS)
def test_every_module_names_the_licence_in_its_first_line(room: str) -> None:
    modules = list((ROOT / room).rglob("*.py"))
    without = [p for p in modules if not p.read_text().startswith(HEADER)]
    assert modules
    assert without == []
