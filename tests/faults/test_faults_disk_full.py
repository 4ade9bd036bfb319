# SPDX-License-Identifier: EUPL-1.2

"""A disk that is really full: the partner comes again, nothing is half, and work goes on when there is room."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.simulator import SentMessage
from tests.e2e.conftest import until
from tests.faults.conftest import NEVER_FULL, only_chaos
from tests.faults.house import FaultyChain
from tests.faults.small_disk import SIZE, SmallDisk, small_disk

LARGE = 1_000_000
"""Octets that do not go into the database but into a file of the spool."""


@pytest.fixture
def options() -> str:
    return NEVER_FULL


@asynccontextmanager
async def on_small_disk(chain: FaultyChain, place: Path) -> AsyncIterator[SmallDisk]:
    """Start the daemon with a small disk at a place."""
    async with small_disk(place, SIZE) as disk:
        chain.adapter.prefix = disk.prefix
        chain.inside = disk.inside
        await chain.adapter.start()
        yield disk


def is_refused_for_now(sent: SentMessage) -> bool:
    return (sent.status, sent.retry_after) == (503, "30")


async def test_a_full_disk_of_the_spool_postpones_a_large_message_and_leaves_nothing_of_it(
    chain: FaultyChain,
) -> None:
    spool = chain.state / "spool"
    async with on_small_disk(chain, spool) as disk:
        disk.fill()
        verzoek = chain.one()
        sent = await chain.announce(verzoek, padding=LARGE)
        assert is_refused_for_now(sent)
        assert await chain.messages() == []
        assert [path for path in disk.inside(spool).rglob("*") if path.is_file()] == [disk.filler]
        assert await chain.adapter.is_live()
        assert any("make room" in reason for reason in await chain.adapter.unready())
        disk.empty()
        assert await chain.adapter.unready() == []
        await chain.accepted(sent)
        await chain.in_step([(sent, verzoek)])


async def test_a_spool_that_fills_up_after_acceptance_delays_collecting_until_there_is_room(
    chain: FaultyChain,
) -> None:
    async with on_small_disk(chain, chain.state / "spool") as disk:
        disk.fill()
        verzoek = chain.one()
        sent = await chain.announce(verzoek)
        assert sent.status == 204
        await chain.waits("collect", "ready", "spool")
        assert chain.delivered() == []
        disk.empty()
        await chain.in_step([(sent, verzoek)])


async def test_a_full_disk_of_the_database_postpones_everything_and_nothing_is_acknowledged(
    chain: FaultyChain,
) -> None:
    async with on_small_disk(chain, chain.state) as disk:
        before = await chain.announce(first := chain.one(1))
        await chain.accepted(before)
        await until(chain.all_ended)
        disk.fill()
        verzoeken = [chain.one(number) for number in range(2, 5)]
        sent = [await chain.announce(verzoek) for verzoek in verzoeken]
        assert all(map(is_refused_for_now, sent))
        assert await chain.adapter.is_live()
        assert any("make room" in reason for reason in await chain.adapter.unready())
        assert [signal.ref_to_message_id for signal in chain.dso.msh.received] == [before.message_id]
        disk.empty()
        for one in sent:
            await chain.accepted(one)
        await chain.in_step([(before, first), *zip(sent, verzoeken, strict=True)])


async def test_a_disk_that_becomes_full_in_the_middle_of_commits_leaves_nothing_half(
    chain: FaultyChain,
) -> None:
    async with on_small_disk(chain, chain.state) as disk:
        announced = []
        refused = 0
        for number, kilobytes in enumerate((400, 200, 100, 60, 40, 24, 16, 8, 4, 0), start=1):
            disk.fill(leave=kilobytes * 1024)
            verzoek = chain.one(number)
            sent = await chain.announce(verzoek)
            refused += is_refused_for_now(sent)
            assert sent.status == 204 or is_refused_for_now(sent)
            announced.append((sent, verzoek))
        assert refused
        assert await chain.adapter.is_live()
        disk.empty()
        for sent, _ in announced:
            await chain.accepted(sent)
        await chain.in_step(announced)


async def test_a_full_disk_of_the_sink_keeps_deliveries_waiting_with_the_reason(chain: FaultyChain) -> None:
    sink = chain.sink
    async with on_small_disk(chain, sink) as disk:
        disk.fill()
        verzoek = chain.one()
        sent = await chain.announce(verzoek)
        assert sent.status == 204
        await chain.waits("deliver", "ready", "free or add space")
        assert list(disk.inside(sink).iterdir()) == [disk.filler]
        disk.empty()
        await chain.in_step([(sent, verzoek)])


@only_chaos
@pytest.mark.parametrize("options", [""], ids=["with the reserve of the configuration"])
async def test_before_a_disk_is_full_partners_are_postponed(chain: FaultyChain) -> None:
    async with on_small_disk(chain, chain.state) as disk:
        disk.fill(leave=200 * 1024 * 1024)
        announced = []

        async def postponed() -> bool:
            verzoek = chain.one(len(announced) + 1)
            announced.append((await chain.announce(verzoek), verzoek))
            return is_refused_for_now(announced[-1][0])

        await until(postponed)
        disk.empty()
        for sent, _ in announced:
            await chain.accepted(sent)
        await chain.in_step(announced)
