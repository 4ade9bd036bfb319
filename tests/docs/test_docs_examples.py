# SPDX-License-Identifier: EUPL-1.2

"""What documents show is right: configurations are taken, commands and targets exist, JSON and XML can be read."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
from lxml import etree
from typer._click.exceptions import BadOptionUsage, UsageError
from typer.main import get_command

from adapter.cli.app import app
from adapter.config import Config, load_config
from adapter.config.checks import check_rules
from tests.docs.blocks import Block, Command, blocks, commands, documents
from tests.docs.tables import ROOT

BASE = """
environment = "pre"
state = "/var/lib/stam-adapter"
[trust]
roots = ["tls/root.pem"]
[ebms.tls]
certificate = "tls/server.pem"
key = "tls/server.key"
"""
AUTHORITY = """
party = "urn:osb:oin:%020d"
certificate = "tls/own.pem"
key = "tls/own.key"
[dso]
url = "https://pkio.service.pre.omgevingswet.overheid.nl/overheid/verzoeken/api/afhandelen/v2"
"""


def of(*languages: str) -> list[Block]:
    return [block for block in blocks() if block.language in languages and not block.title]


def place(block: Block) -> str:
    return block.place


# --- configurations


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another; a list takes the place of the one there."""
    both = {
        key: merged(base[key], value) if _tables(base.get(key), value) else value
        for key, value in more.items()
    }
    return {**base, **both}


def _tables(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def completed(shown: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """A piece of a configuration in one that has the rest: authorities, and the sinks that routes name."""
    data = merged(tomllib.loads(BASE), shown)
    names = data.get("authorities") or {"voorbeeldstad": {}}
    authorities = {}
    for number, (name, table) in enumerate(names.items()):
        authority = merged(tomllib.loads(AUTHORITY % (10**11 + number)), table)
        routes = authority.setdefault("routes", [{"flow": "stam", "sink": "archief"}])
        named = {route["sink"] for route in routes} | {authority.get("reconcile", {}).get("sink", "archief")}
        made = {sink: {"type": "directory", "path": f"{directory}/{name}/{sink}"} for sink in named}
        authorities[name] = authority | {"sinks": made | authority.get("sinks", {})}
    return data | {"authorities": authorities}


def is_configuration(block: Block) -> bool:
    """Whether a block has keys of the configuration; docs/sinks.md also shows some of the table of a sink alone."""
    return set(tomllib.loads(block.text)) <= set(Config.model_fields)


CONFIGURATIONS = [block for block in of("toml") if is_configuration(block)]


def test_there_are_configurations_whole_and_in_pieces() -> None:
    whole = [block for block in CONFIGURATIONS if "environment" in tomllib.loads(block.text)]
    assert 5 < len(whole) < len(CONFIGURATIONS) - 5


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=place)
def test_a_configuration_is_taken(block: Block, tmp_path: Path) -> None:
    shown = tomllib.loads(block.text)
    if "environment" in shown:
        path = tmp_path / "stam-adapter.toml"
        path.write_text(block.text)
        load_config(path, {})
    else:
        config = Config.model_validate(completed(shown, str(tmp_path)), context={"base": tmp_path})
        assert list(check_rules(config)) == []


def test_what_is_no_configuration_is_a_table_of_a_sink() -> None:
    others = [block.document for block in of("toml") if not is_configuration(block)]
    assert set(others) <= {"docs/sinks.md", "docs/writing-a-sink.md"}


# --- commands


def check(words: Sequence[str], *, whole: bool) -> None:
    """Read a command line as the program does, without doing anything. AssertionError or UsageError where it cannot."""
    command: Any = get_command(app)
    left = list(words)
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        name = left.pop(0)
        found = command.get_command(command.context_class(command), name)
        assert found is not None, f"there is no {name}"
        command = found
    try:
        given, rest, _ = command.make_parser(command.context_class(command)).parse_args(left)
    except BadOptionUsage:  # the option is there, and its value is not
        assert not whole
        return
    assert rest == []
    for parameter in command.params:
        value = given.get(parameter.name)
        assert value is not None or not (parameter.required and whole), f"{parameter.name} is missing"
        kind = parameter.type_descriptor.annotation if hasattr(parameter, "type_descriptor") else None
        for choices in (
            one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Enum)
        ):
            chosen = {str(one) for one in (value if isinstance(value, list) else [value]) if one is not None}
            assert {one.lower() for one in chosen if a_value(one)} <= {
                str(one.value).lower() for one in choices
            }


def a_value(text: str) -> bool:
    """Whether this is one to give, and no name for it, as NUMMER or DIRECTORY."""
    return re.fullmatch(r"[A-Z][A-Z_-]*|<.*>", text) is None


@pytest.mark.parametrize("shown", commands(), ids=str)
def test_a_command_is_one_that_there_is(shown: Command) -> None:
    check(shown.words, whole=shown.whole)


@pytest.mark.parametrize(
    "wrong",
    [
        "verzoek lst",
        "verzoek show",
        "verzoek list --stat parked",
        "verzoek list --limit",
        "connect -a x --step onzin",
        "verzoek show 1 2",
    ],
)
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, UsageError)):
        check(wrong.split(), whole=True)


TARGETS = {
    (str(path.relative_to(ROOT)), target)
    for path in documents()
    for target in re.findall(r"(?m)(?:^ *|`)make ([a-z][a-z-]*)", path.read_text("utf-8"))
}


@pytest.mark.parametrize(("document", "target"), sorted(TARGETS))
def test_a_target_of_make_is_one_that_there_is(document: str, target: str) -> None:
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text("utf-8")), document


# --- data


def test_data_can_be_read() -> None:
    for block in of("json"):
        json.loads(block.text)
    for block in of("xml"):
        etree.fromstring(block.text)
