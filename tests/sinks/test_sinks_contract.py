# SPDX-License-Identifier: EUPL-1.2

"""What holds for every type of sink that the adapter has, tried on the configuration that its document shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from adapter.delivery import CommonOptions, SinkOptions, SinkProblem, SinkType
from adapter.pki import ThrowawayPki
from adapter.sinks import SINK_TYPES, route_problems
from tests.sinks.documented import (
    DOCUMENT,
    SECRET,
    DocumentedSink,
    complete_configurations,
    load_documented,
    types_in,
)

SHOWN = {name: block for block in complete_configurations() for name in types_in(block)}

BROKEN = {"gone": None, "empty": b"", "no text": bytes(range(128, 256)), "something else": b"geen sleutel"}


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture(params=SINK_TYPES, ids=lambda one: one.name)
def sink_type(request: pytest.FixtureRequest) -> SinkType[Any]:
    return request.param


@pytest.fixture
def shown(sink_type: SinkType[Any], tmp_path: Path, pki: ThrowawayPki) -> DocumentedSink:
    return load_documented(SHOWN[sink_type.name], tmp_path, pki)[1]


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, and those in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for inner in get_args(annotation):
        yield from models_in(inner)


def test_no_two_types_have_one_name() -> None:
    assert len({one.name for one in SINK_TYPES}) == len(SINK_TYPES)


def test_the_document_tells_of_each_type_in_its_order() -> None:
    text = DOCUMENT.read_text()
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\) \|", text, re.MULTILINE)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [name for name, _ in rows] == [one.name for one in SINK_TYPES]
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert [anchor for anchor in anchors if anchor in {target for _, target in rows}] == [
        target for _, target in rows
    ]


def test_the_document_has_a_configuration_for_each_type() -> None:
    assert set(SHOWN) == {one.name for one in SINK_TYPES}


@pytest.mark.parametrize("block", complete_configurations(), ids=lambda block: "+".join(types_in(block)))
def test_each_configuration_in_the_document_is_complete_and_good(
    block: str, tmp_path: Path, pki: ThrowawayPki
) -> None:
    config, sink = load_documented(block, tmp_path, pki)
    assert route_problems(config, SINK_TYPES) == ()
    sink.make()


def test_a_key_that_is_unknown_is_refused_by_its_name(shown: DocumentedSink) -> None:
    with pytest.raises(SinkProblem, match=rf"^{shown.name}: onbekend: unknown key"):
        shown.make(onbekend=1)


def test_no_table_in_the_options_takes_unknown_keys(sink_type: SinkType[Any]) -> None:
    assert issubclass(sink_type.options, SinkOptions)
    lax = {one.__name__ for one in models_in(sink_type.options) if one.model_config.get("extra") != "forbid"}
    assert lax == set()


def test_the_options_cannot_be_changed(sink_type: SinkType[Any]) -> None:
    loose = {one.__name__ for one in models_in(sink_type.options) if not one.model_config.get("frozen")}
    assert loose == set()


def test_a_secret_stands_in_a_file_and_not_in_the_configuration(sink_type: SinkType[Any]) -> None:
    secrets = {
        name
        for model in models_in(sink_type.options)
        for name in model.model_fields
        if re.search(r"secret|password|token|wachtwoord", name)
    }
    assert {name for name in secrets if not name.endswith("_file")} == set()


async def test_no_secret_is_shown(sink_type: SinkType[Any], shown: DocumentedSink) -> None:
    made = shown.make()
    own = {
        key: value for key, value in shown.table.items() if key not in {"type", *CommonOptions.model_fields}
    }
    options = sink_type.options.model_validate(own, context={"base": shown.context.base})
    assert SECRET not in f"{options!r} {options} {made!r} {made.sink!r} {made.sink}"
    await made.sink.close()


async def test_a_sink_can_be_closed_twice(shown: DocumentedSink) -> None:
    sink = shown.make().sink
    await sink.close()
    await sink.close()


async def problem_of(shown: DocumentedSink) -> SinkProblem | None:
    """Why it cannot be made, or could not deliver; any other exception passes."""
    try:
        sink = shown.make().sink
    except SinkProblem as problem:
        return problem
    try:
        await sink.probe()
    except SinkProblem as problem:
        return problem
    finally:
        await sink.close()
    return None


def is_taken(path: Path, content: bytes | None) -> bool:
    """Whether a file with this content may be what is asked for: of a secret nobody sees that it is another."""
    return content == BROKEN["something else"] and path.suffix not in {".pem", ".key"}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
async def test_a_file_that_is_broken_is_said_with_its_name_or_its_option(
    shown: DocumentedSink, content: bytes | None
) -> None:
    for path in shown.files():
        if is_taken(path, content):
            continue
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        problem = await problem_of(shown)
        shown.restore()
        assert problem is not None, f"{path.name} was taken"
        keys = [key for key, value in shown.table.items() if value == str(path)]
        assert any(word in str(problem) for word in [path.name, *keys])
