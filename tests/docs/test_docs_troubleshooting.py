# SPDX-License-Identifier: EUPL-1.2

"""docs/troubleshooting.md names what there is: actions and reasons of the log, metrics."""

import re
from functools import cache

import pytest

from tests.docs.tables import ROOT, cells_of

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
ACTIONS = sorted(set(re.findall(r"`((?!dso\.)[a-z]+\.[a-z_]+)`", TEXT)))
METRICS = sorted(set(re.findall(r"`(?:stam_adapter_)([a-z_]+?)(?:_total)?(?:\{[^`]*)?`", TEXT)))
REASONS = sorted(set(re.findall(r"`((?:peer|proxy|crl|certificate|too|cpa)_[a-z_]+|not_a_proxy)`", TEXT)))


@cache
def source() -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "adapter").rglob("*.py"))


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_of_the_log_is_one_of_the_code(action: str) -> None:
    assert f'"{action}"' in source()


@pytest.mark.parametrize("name", [*METRICS, *REASONS])
def test_a_metric_or_reason_is_one_of_the_code(name: str) -> None:
    assert f'"{name}"' in source()


def test_there_are_many() -> None:
    assert len(ACTIONS) > 15
    assert len(METRICS) + len(REASONS) > 8


def test_each_symptom_has_how_to_see_a_cause_and_a_fix() -> None:
    rows = [cells_of(line) for line in TEXT.splitlines() if line.startswith("| ")]
    symptoms = [row for row in rows if row[0] not in {"symptom", "---"}]
    assert len(symptoms) > 50
    assert [row[0] for row in symptoms if len(row) != 4 or not all(row[:3])] == []
