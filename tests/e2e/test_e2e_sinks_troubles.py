# SPDX-License-Identifier: EUPL-1.2

"""Every request to a back-end meets everything that can go wrong with a request: exactly one at the end all the same.

Unless it is asked for all of it, each request meets one kind of trouble, and each kind comes in its turn.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from adapter.simulator import DocumentSpec, SimulatedVerzoek, supplement, withdrawal
from tests.e2e.backends import BACK_ENDS
from tests.e2e.line import Line, a_verzoek, running_line
from tests.e2e.way import TROUBLES, UNDONE, Trouble
from tests.faults.conftest import CHAOS, only_chaos

OVER_HTTP = tuple(kind for kind, one in BACK_ENDS.items() if one.is_http)
DRAWING = DocumentSpec("gevelaanzicht.png", 5_000, "image/png")

FEW = 2
"""So many requests meet everything in any case."""


@pytest.fixture
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    """A line to a back-end of the kind that the test asks for, that has delivered something already."""
    bucket = request.getfixturevalue("bucket") if request.param == "s3" else None
    async with running_line(tmp_path, request.param, bucket) as made:
        await made.adapter.run()
        await made.deliver(a_verzoek(made, 1))
        yield made
        assert await made.adapter.stop() == 0


def to_be_met(line: Line, requests: int) -> Iterator[tuple[int, Trouble]]:
    """Which request meets what."""
    # the library of the s3 sink waits half a minute for an answer
    troubles = [one for one in TROUBLES if line.back_end.bucket is None or one is not Trouble.SLOW]
    for number in range(1, requests + 1):
        for place, trouble in enumerate(troubles):
            if os.environ.get(CHAOS) or requests <= FEW or (number + requests) % len(troubles) == place:
                yield number, trouble


async def troubled(line: Line, messages: Callable[[int], Awaitable[SimulatedVerzoek]]) -> None:
    """Deliver a message, which is the n-th, for everything that is to be met."""
    way = line.back_end.way
    message = await messages(2)
    way.expect()
    await line.deliver(message)
    repeats = 0
    for number, (request, trouble) in enumerate(list(to_be_met(line, len(way.asked))), start=3):
        message = await messages(number)
        way.expect({request: trouble})
        await line.deliver(message)
        assert not way.troubles, f"{request} was not made"
        if not line.back_end.recognises:
            repeats += trouble not in UNDONE
            assert await line.repeats() == repeats
            assert await line.said_possibly_repeated() == 1
    if line.back_end.recognises:
        await line.arrived_once()


@pytest.mark.parametrize("line", OVER_HTTP, indirect=True)
async def test_whatever_a_request_meets_there_is_exactly_one_or_the_timeline_tells(line: Line) -> None:
    async def message(number: int) -> SimulatedVerzoek:
        return a_verzoek(line, number)

    await troubled(line, message)


@only_chaos
@pytest.mark.parametrize("line", [one for one in OVER_HTTP if one != "dai"], indirect=True)
async def test_so_it_is_for_a_supplement(line: Line) -> None:
    async def message(number: int) -> SimulatedVerzoek:
        first = a_verzoek(line, number)
        await line.deliver(first)
        return supplement(first, dropped=[first.documents[0].document_id], added=[DRAWING])

    await troubled(line, message)


@only_chaos
@pytest.mark.parametrize("line", [one for one in OVER_HTTP if one != "dai"], indirect=True)
async def test_so_it_is_for_a_withdrawal(line: Line) -> None:
    async def message(number: int) -> SimulatedVerzoek:
        first = a_verzoek(line, number)
        await line.deliver(first)
        return withdrawal(first)

    await troubled(line, message)
