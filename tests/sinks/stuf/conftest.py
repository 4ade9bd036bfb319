# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncIterator

import pytest

from adapter.delivery import Sink
from tests.sinks.stuf.deliveries import MakeSink, make
from tests.sinks.stuf.zaaksysteem import Zaaksysteem


@pytest.fixture
async def system() -> AsyncIterator[Zaaksysteem]:
    """A zaaksysteem; that it was asked something malformed fails the test."""
    system = Zaaksysteem()
    async with system.running():
        yield system
    assert system.problems == []


@pytest.fixture
async def a_sink(system: Zaaksysteem) -> AsyncIterator[MakeSink]:
    """Make sinks that lead to the zaaksysteem, with changes to their table."""
    sinks: list[Sink] = []

    def make_one(**changes: object) -> Sink:
        sinks.append(make(system, **changes))
        return sinks[-1]

    yield make_one
    for sink in sinks:
        await sink.close()
