# SPDX-License-Identifier: EUPL-1.2

"""docs/specifications.md against the code: every requirement once, and nothing named that is not there."""

import importlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.tables import ROOT, cases, cells_of, named_test, quoted, sources

DOCUMENT = ROOT / "docs" / "specifications.md"
STATUSES = {"implemented", "partly", "not yet", "not applicable"}
GROUPS = {
    "PRF": 8,
    "TRN": 22,
    "TLS": 10,
    "CRT": 21,
    "OIN": 11,
    "PKG": 19,
    "HDR": 29,
    "MAN": 13,
    "ACK": 16,
    "REL": 19,
    "ERR": 12,
    "STS": 6,
    "PNG": 5,
    "ORD": 5,
    "SYN": 6,
    "SIG": 20,
    "ENC": 8,
    "TIM": 3,
    "RTG": 8,
    "NAM": 6,
    "CPA": 19,
    "LCY": 8,
    "OPS": 4,
}
DECISIONS = 21
_ID = re.compile(r"[A-Z]{3}-\d\d")


@dataclass(frozen=True)
class Row:
    """A requirement; `where` are dotted names, `tests` are file, function and case."""

    id: str
    requirement: str
    status: str
    where: tuple[str, ...]
    tests: tuple[tuple[str, str, str | None], ...]
    remark: str


def rows() -> list[Row]:
    found = []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        cells = cells_of(line)
        if line.startswith("|") and _ID.fullmatch(cells[0]):
            name, requirement, status, where, tests, remark = cells
            named = tuple(named_test(text) for text in quoted(tests))
            found.append(Row(name, requirement, status, tuple(quoted(where)), named, remark))
    return found


def decisions() -> dict[int, tuple[str, ...]]:
    lines = (cells_of(line) for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("|"))
    return {int(cells[0]): tuple(quoted(cells[3])) for cells in lines if cells[0].isdecimal()}


ROWS = rows()
NAMES = sorted({name for row in ROWS for name in row.where} | {n for ns in decisions().values() for n in ns})
TESTS = sorted({test for row in ROWS for test in row.tests}, key=str)


def resolve(name: str) -> object:
    """The thing with a dotted name: the longest part that is a module, and what it has by the rest."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        try:
            found: object = importlib.import_module(module)
        except ModuleNotFoundError as missing:
            if missing.name is None or not module.startswith(missing.name):
                raise
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_every_requirement_has_exactly_one_row() -> None:
    wanted = [f"{group}-{number:02d}" for group, most in GROUPS.items() for number in range(1, most + 1)]
    assert [row.id for row in ROWS] == wanted


def test_the_rows_are_those_of_the_reference(shared: Path) -> None:
    reference = shared / "reference" / "digikoppeling-ebms2.md"
    if not reference.is_file():
        pytest.skip("the reference stands beside the repository only where it is developed")
    ids = re.findall(r"^\| ([A-Z]{3}-\d\d) \|", reference.read_text("utf-8"), re.MULTILINE)
    assert Counter(row.id for row in ROWS) == Counter(ids)


def test_every_decision_is_there_once() -> None:
    assert sorted(decisions()) == list(range(1, DECISIONS + 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_module_and_function_that_is_named_exists(name: str) -> None:
    assert "." in name
    resolve(name)


@pytest.mark.parametrize(("file", "function", "case"), TESTS)
def test_every_test_that_is_named_exists(file: str, function: str, case: str | None) -> None:
    source = sources()[file]
    assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE)
    if case is not None:
        assert case in cases(file)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_how_far_it_is_and_why_it_has_no_test(row: Row) -> None:
    assert row.requirement
    assert row.status in STATUSES
    if row.status in {"implemented", "partly"}:
        assert row.where
        assert row.tests
    if row.status in {"partly", "not yet", "not applicable"} or not row.tests:
        assert row.remark


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md"])
def test_the_document_is_linked(page: str) -> None:
    assert "(docs/specifications.md)" in (ROOT / page).read_text("utf-8")
