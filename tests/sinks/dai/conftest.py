# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.delivery import Sink, make_sink
from adapter.sinks import SINK_TYPES
from tests.sinks.dai.back_end import BackEnd
from tests.sinks.handovers import make_context


@pytest.fixture
async def back_end() -> AsyncIterator[BackEnd]:
    """A back-end; that it was asked something malformed fails the test."""
    back_end = BackEnd()
    async with back_end.running():
        yield back_end
    assert back_end.problems == []


@pytest.fixture
async def a_sink(back_end: BackEnd) -> AsyncIterator[Callable[..., Sink]]:
    """Make sinks that lead to the back-end, with changes to their table."""
    sinks: list[Sink] = []

    def make_one(**changes: Any) -> Sink:
        table = {
            "type": "dai",
            "url": f"{back_end.url}/dai",
            "to": "urn:dkintern:0363:zaken:",
            "from": "urn:dkintern:dso",
            **changes,
        }
        sinks.append(make_sink(SINK_TYPES, "intern", table, make_context(Path("/"))).sink)
        return sinks[-1]

    yield make_one
    for sink in sinks:
        await sink.close()
