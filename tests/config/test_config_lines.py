# SPDX-License-Identifier: EUPL-1.2

import json
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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


NAMES = st.text("ab.-_ \"'#=[]{}\\\n\té", min_size=1, max_size=6)
TEXTS = st.text("ab \"'#=[]{},\\\n\té", max_size=12)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.dates()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[ # a ] that counts for nothing\n" + "".join(f"{as_toml(one)},\n" for one in value) + "]"
    if isinstance(value, str) and "'" not in value and "\\" in value:
        return f"'''\n{value}'''"
    return str(value) if isinstance(value, date) else json.dumps(value)


@given(
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.dictionaries(NAMES, st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3), max_size=3),
)
def test_whatever_is_in_a_document_is_found_on_its_line(
    values: dict[str, Any], tables: dict[str, list[dict[str, Any]]]
) -> None:
    lines = [f"{json.dumps(key)} = {as_toml(value)}" for key, value in values.items()]
    for name, several in tables.items():
        for table in several:
            lines.append(f"[[ lists . {json.dumps(name)} ]]  # one more")
            lines += [f"  {json.dumps(key)} = {as_toml(value)}" for key, value in table.items()]
    assume("lists" not in values)
    text = "\n".join(lines)
    found = key_lines(text)
    assert found.keys() == set(keys_in(tomllib.loads(text)))
    shown = text.split("\n")
    assert all(
        json.dumps(key[0]) in shown[line - 1]
        for key, line in found.items()
        if key[0] in values and len(key) == 1
    )


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
