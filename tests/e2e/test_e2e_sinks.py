# SPDX-License-Identifier: EUPL-1.2

"""Every doel through every type of sink, and every type of verzoek where it is understood: exactly once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.simulator import (
    DocumentSpec,
    SimulatedVerzoek,
    supplement,
    withdrawal,
)
from adapter.sinks import SINK_TYPES
from adapter.verzoek import Doel, VerzoekType
from tests.e2e.backends import BACK_ENDS
from tests.e2e.line import Line, a_verzoek, running_line


@pytest.fixture
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    """A line to a back-end of the kind that the test asks for; the adapter is not started."""
    bucket = request.getfixturevalue("bucket") if request.param == "s3" else None
    async with running_line(tmp_path, request.param, bucket) as made:
        yield made


def every_doel(line: Line) -> list[SimulatedVerzoek]:
    """A verzoek, its supplement with a document less and one more, its withdrawal, and a Conceptverzoek."""
    first = a_verzoek(line, 1)
    dropped, _ = first.documents
    added = DocumentSpec("gevelaanzicht.png", 5_000, "image/png")
    second = supplement(first, dropped=[dropped.document_id], added=[added], answers={"vraag-1": "Anders."})
    return [first, second, withdrawal(second), a_verzoek(line, 2, doel=Doel.CONCEPTVERZOEK.value)]


def test_there_is_a_back_end_for_every_type_of_sink() -> None:
    assert BACK_ENDS.keys() == {one.name for one in SINK_TYPES}


@pytest.mark.parametrize("line", BACK_ENDS, indirect=True)
async def test_every_doel_arrives_exactly_once_and_in_order(line: Line) -> None:
    await line.adapter.run()
    verzoeken = every_doel(line)
    assert {one.spec.doel for one in verzoeken} == {doel.value for doel in Doel}
    for verzoek in verzoeken:
        await line.deliver(verzoek)
    await line.arrived_once()
    assert await line.adapter.stop() == 0


@pytest.mark.parametrize("line", ["directory", "zgw"], indirect=True)
async def test_every_type_arrives_exactly_once(line: Line) -> None:
    await line.adapter.run()
    for number, kind in enumerate(VerzoekType, start=1):
        await line.deliver(a_verzoek(line, number, type=kind.value))
    await line.arrived_once()
    assert await line.adapter.stop() == 0
