# SPDX-License-Identifier: EUPL-1.2

"""Many authorities in one daemon, each with keys, a CPA and a sink of its own: none slows another."""

import asyncio
import os
import statistics
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from adapter.simulator import AgreementPlan, create_world
from tests.daemon.hosting import Hosting, WatchedSink, hosted
from tests.e2e.conftest import until

NUMBER = 200 if os.environ.get("STAM_ADAPTER_CHAOS") == "1" else 60
ANNOUNCERS = 6
"""How many announce at a time, to all but the two that disturb."""

FLOODERS = 3
FLOOD = 100
"""Verzoeken that wait for the flooding authority before the others are looked at; it goes on after that."""

FACTOR = 10
"""A sink that hangs, a breaker that rests or a backlog that is waited for would make it hundreds."""

DEAD, FLOODING, *OTHERS = [f"gemeente-{number:03}" for number in range(NUMBER)]


class SlowSink(WatchedSink):
    """Takes its time, as the sink of one who gets more than it can take."""

    async def prepare(self) -> None:
        await asyncio.sleep(0.2)


@pytest.fixture
async def hosting(tmp_path: Path) -> AsyncIterator[Hosting]:
    plans = dict.fromkeys([DEAD, FLOODING, *OTHERS], AgreementPlan())
    world = await asyncio.to_thread(create_world, tmp_path, plans, apart=True)
    async with hosted(world, special={FLOODING: SlowSink}) as made:
        made.edit(DEAD, 'type = "directory"', 'type = "directory"\ntimeout = "200ms"')
        made.edit(FLOODING, 'type = "directory"', 'type = "directory"\nconcurrency = 1')
        yield made


async def test_a_dead_sink_and_a_flood_leave_the_delay_of_all_others_as_it_is(hosting: Hosting) -> None:
    await hosting.start()
    assert len({tenant.keys.certificate for tenant in hosting.tenants.values()}) == NUMBER
    quiet = await delays(hosting, OTHERS[: NUMBER // 3])

    hosting.sink_of(DEAD).gate.clear()
    for _ in range(8):
        await hosting.announce(DEAD)
    flood = [asyncio.create_task(announce_forever(hosting, FLOODING)) for _ in range(FLOODERS)]

    async def is_disturbed() -> bool:
        return bool(hosting.said("sink.left_in_peace")) and backlog(hosting, FLOODING) >= FLOOD

    await until(is_disturbed)
    disturbed = await delays(hosting, OTHERS)
    waiting = backlog(hosting, FLOODING)
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)

    assert hosting.delivered[DEAD] == {}
    assert waiting >= FLOOD
    for share in (0.5, 0.9):
        assert part(disturbed, share) < FACTOR * part(quiet, share)


async def delays(hosting: Hosting, names: Iterable[str]) -> list[float]:
    """Announce one verzoek to each; how long after its announcement each was delivered."""
    left: Iterator[str] = iter(names)
    found: list[float] = []

    async def announce() -> None:
        for name in left:
            begun = asyncio.get_running_loop().time()
            number = await hosting.announce(name)
            async with asyncio.timeout(60):
                ended = await hosting.delivery_of(name, number)
            found.append(ended - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(ANNOUNCERS):
            group.create_task(announce())
    return found


async def announce_forever(hosting: Hosting, name: str) -> None:
    while True:
        await hosting.announce(name)


def backlog(hosting: Hosting, name: str) -> int:
    """How many verzoeken were announced to an authority, and not delivered."""
    return len(hosting.announced[name]) - len(hosting.delivered[name])


def part(delays: list[float], share: float) -> float:
    """The delay that this share of them does not exceed."""
    return statistics.quantiles(delays, n=100)[round(share * 100) - 1]
