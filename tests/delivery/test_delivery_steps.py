# SPDX-License-Identifier: EUPL-1.2

"""The steps of a delivery that takes several calls."""

from collections.abc import Mapping
from typing import Any

import pytest

from adapter.delivery import Permanent, StepFailed, Steps, Temporary
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash


class Server:
    """Counts what it is asked, and does with it as it is told."""

    def __init__(self) -> None:
        self.calls = 0
        self.problem: BaseException | None = None

    async def __call__(self) -> Mapping[str, Any]:
        self.calls += 1
        if self.problem is not None:
            raise self.problem
        return {"number": self.calls}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def kept() -> MemoryCheckpoint:
    return MemoryCheckpoint()


async def test_a_step_that_was_done_is_not_done_again(server: Server, kept: MemoryCheckpoint) -> None:
    assert await Steps(kept).once("zaak", server) == {"number": 1}
    assert await Steps(kept).once("zaak", server) == {"number": 1}
    assert Steps(kept).result("zaak") == {"number": 1}
    assert server.calls == 1


async def test_what_a_step_came_to_in_an_earlier_delivery_is_known(
    server: Server, kept: MemoryCheckpoint
) -> None:
    await Steps(kept).once("zaak", server)
    later = MemoryCheckpoint()
    later.earlier_steps = kept.steps
    assert Steps(later).earlier("zaak") == {"number": 1}
    assert Steps(later).earlier("document") is None
    assert Steps(later).result("zaak") is None


async def test_a_step_that_failed_is_done_again(server: Server, kept: MemoryCheckpoint) -> None:
    server.problem = StepFailed(Temporary("busy"), undone=False)
    with pytest.raises(StepFailed):
        await Steps(kept).once("zaak", server)
    assert Steps(kept).result("zaak") is None
    server.problem = None
    assert await Steps(kept).once("zaak", server) == {"number": 2}


async def test_an_unrecognised_step_that_was_done_is_not_done_again(
    server: Server, kept: MemoryCheckpoint
) -> None:
    await Steps(kept).unrecognised("xml", server)
    await Steps(kept).unrecognised("xml", server)
    assert server.calls == 1
    assert kept.notes == []


@pytest.mark.parametrize(
    "problem", [SimulatedCrash(), StepFailed(Temporary("no answer in time"), undone=False)]
)
async def test_an_unrecognised_step_with_an_unknown_end_is_repeated_and_that_is_said(
    server: Server, kept: MemoryCheckpoint, problem: BaseException
) -> None:
    server.problem = problem
    with pytest.raises(type(problem)):
        await Steps(kept).unrecognised("xml", server)
    server.problem = None
    assert await Steps(kept).unrecognised("xml", server) == {"number": 2}
    assert kept.notes == [("possibly_repeated", "xml")]


async def test_an_unrecognised_step_that_was_refused_is_no_repeat(
    server: Server, kept: MemoryCheckpoint
) -> None:
    server.problem = StepFailed(Permanent("wrong password"), undone=True)
    with pytest.raises(StepFailed):
        await Steps(kept).unrecognised("xml", server)
    server.problem = None
    await Steps(kept).unrecognised("xml", server)
    assert kept.notes == []


async def test_what_a_step_came_to_in_another_delivery_of_the_verzoek_is_known(server: Server) -> None:
    first, second = MemoryCheckpoint(), MemoryCheckpoint()
    await Steps(first).once("zaak", server)
    second.earlier_steps.update(first.steps)
    assert Steps(second).earlier("zaak") == {"number": 1}
    assert Steps(second).earlier("document") is None
    assert Steps(second).result("zaak") is None
