# SPDX-License-Identifier: EUPL-1.2

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter.config.lines import Key, key_lines

ROOT = Path(__file__).resolve().parents[2]

ODD = Path(__file__).with_name("odd.toml").read_text()


def keys_in(value: Any, key: Key = ()) -> Iterator[Key]:
    """Every place in what the parser read."""
    if key:
        yield key
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, one in inner:
        yield from keys_in(one, (*key, part))


@pytest.mark.parametrize(
    "text",
    [
        ODD,
        "",
        "a=1",
        "# only a comment",
        *(path.read_text() for path in sorted((ROOT / "config").rglob("*.toml"))),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_place_of_a_document_has_a_line_and_nothing_else_has(text: str, newline: str) -> None:
    found = key_lines(text.replace("\n", newline))
    assert found.keys() == set(keys_in(tomllib.loads(text)))


def test_the_line_of_a_key_has_its_name() -> None:
    lines = ODD.split("\n")
    names = {'esc"apedA': r"esc\"aped\u0041"}
    for key, line in key_lines(ODD).items():
        if isinstance(key[-1], str):
            assert names.get(key[-1], key[-1]) in lines[line - 1], key


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("list", 0), "one, two"),
        (("list", 2, "deep", 1, "y", "z", 1), "    2]"),
        (("authorities", "stad", "routes", 1, "flow"), '"b"'),
        (("authorities", "stad", "routes", 1, "inner", 1, "y"), "y = 2"),
        (("authorities", "stad", "routes", 0, "more"), "[authorities.stad.routes.more]"),
        (("authorities", "stad", "sinks", "hier", "path"), "hier ="),
        (("authorities",), '[ authorities . "stad" ]'),
    ],
)
def test_a_key_is_found_where_it_stands(key: Key, line: str) -> None:
    assert line in ODD.split("\n")[key_lines(ODD)[key] - 1]
