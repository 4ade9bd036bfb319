# SPDX-License-Identifier: EUPL-1.2

"""What docs/metrics.md says: each metric with its type and labels, and the values of each label that has a list."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.tables import ROOT, cells_of

TYPES: Final = {"info": "gauge"}
"""What a type of the library is in the text format."""


@dataclass(frozen=True)
class Row:
    """A documented metric; a label without a list of values has None."""

    type: str
    labels: Mapping[str, frozenset[str] | None]
    replicas: str


def _labels(cell: str, reasons: frozenset[str]) -> dict[str, frozenset[str] | None]:
    found: dict[str, frozenset[str] | None] = {}
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        name, _, values = part.partition(":")
        listed = reasons if "#reasons" in values else frozenset(re.findall(r"`([^`]+)`", values))
        found[name.strip().strip("`")] = listed or None
    return found


def _reasons(text: str) -> frozenset[str]:
    section = text.partition("### Reasons")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `") and "What was" not in line]
    return frozenset(one for row in rows for one in re.findall(r"`([^`]+)`", cells_of(row)[0]))


def _read(path: Path) -> tuple[dict[str, Row], frozenset[str]]:
    text = path.read_text("utf-8")
    reasons = _reasons(text)
    rows = {}
    for line in text.splitlines():
        if not re.match(r"\| `(stam_adapter|process)_", line):
            continue
        name, kind, labels, meaning, _, replicas = cells_of(line)
        assert meaning, line
        assert replicas in {"sum", "max", "each"}, line
        assert name.strip("`") not in rows, f"{name} is there twice"
        rows[name.strip("`")] = Row(kind, _labels(labels, reasons), replicas)
    return rows, reasons


DOCUMENTED, REASONS = _read(ROOT / "docs" / "metrics.md")
