# SPDX-License-Identifier: EUPL-1.2

"""docs/attacks.md against the tests: every attack has a test that is there, and no test of an attack is left out."""

import re

import pytest

from tests.docs.tables import ROOT, cases, cells_of, named_test, quoted, sources

DOCUMENT = ROOT / "docs" / "attacks.md"
ROWS = [
    cells
    for line in DOCUMENT.read_text("utf-8").splitlines()
    if line.startswith("|") and len(cells := cells_of(line)) == 3 and cells[2].startswith("`")
]
NAMED = sorted({named_test(test) for _, _, tests in ROWS for test in quoted(tests)}, key=str)


@pytest.mark.parametrize(("file", "function", "case"), NAMED)
def test_every_test_that_is_named_exists(file: str, function: str, case: str | None) -> None:
    assert re.search(rf"^(async )?def {function}\(", sources()[file], re.MULTILINE)
    assert case is None or case in cases(file)


def test_every_attack_stands_there_once_and_says_what_becomes_of_it() -> None:
    attacks = [attack for attack, _, _ in ROWS]
    assert len(attacks) == len(set(attacks)) > 50
    assert all(outcome for _, outcome, _ in ROWS)


def test_every_test_of_an_attack_is_named() -> None:
    found = {
        (name, function)
        for name, text in sources().items()
        if name.startswith("test_attacks_")
        for function in re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE)
    }
    assert found - {(file, function) for file, function, _ in NAMED} == set()


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md"])
def test_the_document_is_linked(page: str) -> None:
    assert "(docs/attacks.md)" in (ROOT / page).read_text("utf-8")
