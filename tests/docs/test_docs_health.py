# SPDX-License-Identifier: EUPL-1.2

"""docs/health.md against the code: every check stands in its table, and every option is one."""

import re
import tomllib
from pathlib import Path

from adapter.config import HealthConfig
from adapter.daemon.readiness import Readiness
from tests.docs.tables import ROOT, cells_of

PAGE = (ROOT / "docs" / "health.md").read_text("utf-8")


def test_every_check_is_in_the_table() -> None:
    table = PAGE.partition("\n## Ready\n")[2]
    rows = [cells_of(line)[0] for line in table.splitlines() if line.startswith("|")]
    documented = [row.strip("`") for row in rows if row.startswith("`")]
    unmade = object.__new__(Readiness)
    for part in ("expiry", "late", "sinks"):
        object.__setattr__(unmade, part, type("Part", (), {"troubles": None}))
    assert documented == [*unmade.checks(), *unmade.watches()]


def test_every_option_is_in_the_reference_with_its_default() -> None:
    text = (ROOT / "config" / "stam-adapter.toml").read_text("utf-8")
    section = text.partition("\n[health]\n")[2].partition("\n[")[0]
    shown = tomllib.loads(re.sub(r"(?m)^#(?=[a-z])", "", section))
    assert HealthConfig.model_validate(shown) == HealthConfig()
    assert shown.keys() == HealthConfig.model_fields.keys()


def test_every_option_that_is_named_exists() -> None:
    named = set(re.findall(r"`health\.(\w+)`", PAGE))
    assert named - {"not_ready", "ready", "trouble", "trouble_over"} == HealthConfig.model_fields.keys()


def test_the_page_is_linked() -> None:
    for page in ("README.md", "ARCHITECTURE.md"):
        assert "(docs/health.md)" in Path(ROOT / page).read_text("utf-8")
