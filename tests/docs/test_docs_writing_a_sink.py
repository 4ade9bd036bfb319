# SPDX-License-Identifier: EUPL-1.2

"""docs/writing-a-sink.md against examples/sink: what it shows is what is there, and all of it where it matters."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "sink"
SHOWN = re.findall(
    r'```\w+ title="([^"]+)"\n(.*?)```', (ROOT / "docs" / "writing-a-sink.md").read_text(), re.DOTALL
)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(("name", "block"), SHOWN, ids=range(len(SHOWN)))
def test_what_is_shown_stands_in_the_file(name: str, block: str) -> None:
    assert block in (EXAMPLE / name).read_text()


@pytest.mark.parametrize("name", ["pyproject.toml", "src/stam_sink_webdav/__init__.py"])
def test_every_line_of_the_package_is_shown(name: str) -> None:
    shown = [line for found, block in SHOWN if found == name for line in lines(block)]
    assert sorted(shown) == sorted(lines((EXAMPLE / name).read_text()))


def test_every_name_of_the_test_kit_is_told_of() -> None:
    text = (ROOT / "docs" / "writing-a-sink.md").read_text()
    kit = (ROOT / "adapter" / "delivery" / "testing.py").read_text()
    public = re.findall(r"^(?:async )?def ([a-z]\w*)|^class (MemoryCheckpoint)", kit, re.MULTILINE)
    assert {name for pair in public for name in pair if name and f"`{name}(" not in text} == set()
