# SPDX-License-Identifier: EUPL-1.2

"""docs/security.md against the tests: each threat names one that is there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text("utf-8")
_NAMED = re.compile(r"`(test_\w+)::(test_\w+)`")


def threats() -> dict[str, list[tuple[str, str]]]:
    """The tests that each threat names."""
    table = DOCUMENT.partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {threat.strip(): _NAMED.findall(tests) for threat, _, tests in rows}


@cache
def source(file: str) -> str:
    (path,) = (ROOT / "tests").rglob(f"{file}.py")
    return path.read_text("utf-8")


def test_there_are_threats() -> None:
    assert len(threats()) > 25


@pytest.mark.parametrize("threat", threats())
def test_each_threat_names_a_test_that_exists(threat: str) -> None:
    named = threats()[threat]
    assert named
    for file, function in named:
        assert re.search(rf"^(async )?def {function}\(", source(file), re.MULTILINE), f"{file}::{function}"


def test_what_is_linked_is_there() -> None:
    for page in ("docs/security.md", "docs/proxy.md", "SECURITY.md"):
        text = (ROOT / page).read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", ["docs/security.md", "SECURITY.md"])
def test_the_page_is_linked_from_the_readme(page: str) -> None:
    assert f"({page})" in (ROOT / "README.md").read_text("utf-8")
