# SPDX-License-Identifier: EUPL-1.2

"""SIGKILL around each request to a back-end and around each commit of a checkpoint: exactly one at the end.

Unless all of it is asked for, the points are one in the middle and the last, of a few back-ends.
"""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.e2e.backends import BACK_ENDS
from tests.e2e.line import Line, a_verzoek, running_line
from tests.e2e.way import Trouble
from tests.faults.conftest import CHAOS

IS_CHAOS = os.environ.get(CHAOS) == "1"
KINDS = tuple(kind for kind, one in BACK_ENDS.items() if one.is_http)
KILLS = (Trouble.KILLED, Trouble.KILLED_AFTER)
COMMITTING = KINDS if IS_CHAOS else ("zgw",)
Point = TypeVar("Point")


@pytest.fixture
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    """A line to a back-end of the kind that the test asks for; the adapter is not started."""
    bucket = request.getfixturevalue("bucket") if request.param == "s3" else None
    async with running_line(tmp_path, request.param, bucket) as made:
        yield made


def some(points: Sequence[Point]) -> Sequence[Point]:
    """All the points, or the middle and the last one."""
    return points if IS_CHAOS else list(dict.fromkeys((points[len(points) // 2], points[-1])))


async def recovers(line: Line) -> None:
    """Wait for the death of the daemon, and let another finish the work."""
    await line.adapter.died()
    await line.adapter.start()
    await line.resend()
    await line.all_delivered()


async def repeated(line: Line, before: int, *, is_sure: bool) -> int:
    """How much was repeated by now: nothing where that is recognised, else one at most, which the timeline tells."""
    repeats = await line.repeats()
    if line.back_end.recognises:
        await line.arrived_once()
    else:
        assert repeats - before in ({1} if is_sure else {0, 1})
        assert await line.said_possibly_repeated() >= repeats - before
    return repeats


@pytest.mark.parametrize("line", KINDS, indirect=True)
async def test_a_kill_around_a_request_repeats_nothing_or_one_that_the_timeline_tells(line: Line) -> None:
    way = line.back_end.way
    await line.adapter.start()
    for number in (1, 2):  # the second finds what was looked up by the first
        way.expect()
        await line.deliver(a_verzoek(line, number))
    points = [(request, when) for when in KILLS for request in range(1, len(way.asked) + 1)]
    repeats = 0
    for number, (request, when) in enumerate(some(points), start=3):
        way.expect({request: when})
        await line.announce(a_verzoek(line, number))
        await recovers(line)
        repeats = await repeated(line, repeats, is_sure=when is Trouble.KILLED_AFTER)
    assert await line.adapter.stop() == 0


async def checkpoints(line: Line) -> int:
    """How many checkpoints a delivery sets."""
    await line.adapter.start()
    await line.deliver(a_verzoek(line, 1))
    assert await line.adapter.stop() == 0
    return sum(label.startswith("after set_checkpoint#") for label in line.adapter.passed())


@pytest.mark.parametrize("line", COMMITTING, indirect=True)
async def test_a_kill_around_a_commit_repeats_nothing_or_one_that_the_timeline_tells(line: Line) -> None:
    commits = [f"set_checkpoint#{number}" for number in range(1, await checkpoints(line) + 1)]
    points = [f"{when} {commit}" for commit in (*commits, "_finish#1") for when in ("before", "after")]
    repeats = 0
    for number, point in enumerate(some(points), start=2):
        await line.adapter.start(point)
        await line.announce(a_verzoek(line, number))
        await recovers(line)
        repeats = await repeated(line, repeats, is_sure=False)
        assert await line.adapter.stop() == 0
