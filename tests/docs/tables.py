# SPDX-License-Identifier: EUPL-1.2

"""Tables of documents that name tests."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SHORT = {
    "bad-input": ("test_msh_bad_input", "test_bad_input_is_answered_as_documented"),
    "cpa-check": ("test_cpa_lint", "test_a_deviation_is_found"),
}
"""Short names of tests with many cases."""
_TEST = re.compile(r"(test_\w+)::(test_\w+)")
_CASE = re.compile(r"([a-z-]+)\[([^\]]+)\]")


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def quoted(cell: str) -> list[str]:
    """What stands in backticks; a cell of names has nothing else."""
    assert re.fullmatch(r"(`[^`]+`(, `[^`]+`)*)?", cell), cell
    return re.findall(r"`([^`]+)`", cell)


def named_test(text: str) -> tuple[str, str, str | None]:
    """File, function and, for a test with a short name, case."""
    if case := _CASE.fullmatch(text):
        return *SHORT[case[1]], case[2]
    found = _TEST.fullmatch(text)
    assert found, text
    return found[1], found[2], None


@cache
def sources() -> dict[str, str]:
    """Every test file by its name; two with one name would make a reference ambiguous."""
    paths = list((ROOT / "tests").rglob("test_*.py"))
    twice = [name for name, number in Counter(path.stem for path in paths).items() if number > 1]
    assert twice == []
    return {path.stem: path.read_text("utf-8") for path in paths}


@cache
def cases(file: str) -> frozenset[str]:
    """The cases of a test with a short name: those of the table of bad input, or rules of the CPA checks."""
    if file == SHORT["bad-input"][0]:
        text = (ROOT / "docs" / "bad-input.md").read_text("utf-8")
        return frozenset(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    provoked = sources()[file].partition("DAMAGE = [")[2].partition("\n]\n")[0]
    return frozenset(re.findall(r'"([A-Z]{3}-\d\d)"', provoked))
