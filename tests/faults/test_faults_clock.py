# SPDX-License-Identifier: EUPL-1.2

"""Clocks that are set, back and forth by hours, and hosts whose clocks differ."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.simulator import AgreementPlan, SimulatedDso
from tests.e2e.conftest import until
from tests.e2e.test_e2e_shared import Balancer, two_hosts
from tests.faults.conftest import only_chaos
from tests.faults.faulty import LEASE
from tests.faults.house import FaultyAdapter, FaultyChain

HOURS = 3 * 3600


async def seen(adapter: FaultyAdapter, action: str, times: int = 1) -> None:
    """Wait until the daemon said something so often."""

    async def is_said() -> bool:
        return len(adapter.actions(action)) >= times

    await until(is_said)


@pytest.mark.parametrize("step", [pytest.param(HOURS, marks=only_chaos), -HOURS], ids=["forth", "back"])
async def test_a_clock_that_is_set_delays_nothing_that_waits_and_repeats_nothing_that_runs(
    chain: FaultyChain, step: int
) -> None:
    await chain.adapter.start()
    running = chain.one(1)
    chain.orders.give("sink.voorbeeldstad", "slow")
    sent = [await chain.announce(running)]
    await chain.called(f"sink.voorbeeldstad {running.verzoeknummer} slow")
    waiting = chain.one(2)
    chain.dso.faults.unavailable = 1_000_000
    sent.append(await chain.announce(waiting))
    await chain.waits("collect", "ready", "HTTP 503")
    chain.orders.give("clock", str(step))
    await seen(chain.adapter, "clock.set")
    chain.dso.faults.unavailable = 0
    chain.orders.give("clock", "0")
    await seen(chain.adapter, "clock.set", 2)
    chain.orders.give("sink.voorbeeldstad", "")
    for one in sent:
        await chain.accepted(one)
    await chain.in_step(zip(sent, (running, waiting), strict=True))
    assert [line for line in chain.orders.calls() if running.verzoeknummer in line] == [
        f"sink.voorbeeldstad {running.verzoeknummer} slow"
    ]


@pytest.fixture
async def pair(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[FaultyChain, FaultyAdapter]]:
    """A chain whose messages go to one of two daemons on a database, and the other."""
    monkeypatch.setenv(LEASE, "6")
    world, *hosts = await asyncio.to_thread(two_hosts, tmp_path, AgreementPlan(), postgres_url)
    one, two = (FaultyAdapter(host) for host in hosts)
    async with SimulatedDso(world) as dso, Balancer(hosts[0].ports.adapter).listening(world.ports.adapter):
        try:
            yield FaultyChain(world, dso, one, postgres_url, shared_spool=tmp_path / "spool"), two
        finally:
            await one.kill()
            await two.kill()


@pytest.mark.parametrize("ahead", [HOURS, pytest.param(-HOURS, marks=only_chaos)], ids=["ahead", "behind"])
async def test_a_host_whose_clock_is_wrong_says_so_and_takes_over_nothing_that_runs_elsewhere(
    pair: tuple[FaultyChain, FaultyAdapter], ahead: int
) -> None:
    chain, other = pair
    await chain.adapter.start()
    await other.start()
    chain.orders.give("sink.voorbeeldstad", "slow")
    other.orders.give("sink.voorbeeldstad", "slow")
    verzoek = chain.one()
    sent = await chain.announce(verzoek)

    def calls() -> list[str]:
        return [*chain.orders.calls(), *other.orders.calls()]

    async def is_called() -> bool:
        return bool(calls())

    await until(is_called)
    wrong, right = (chain.adapter, other) if other.orders.calls() else (other, chain.adapter)
    wrong.orders.give("clock", str(ahead))
    assert any("the clock of this host is" in warning for warning in await wrong.warned())
    assert await wrong.unready() == []
    assert not any("the clock" in warning for warning in await right.warned())
    # what waits for its turn shows that the other looks for work meanwhile
    second = chain.one(2)
    another = await chain.announce(second)

    async def both_run() -> bool:
        return len(calls()) == 2

    await until(both_run)
    for adapter in (chain.adapter, other):
        adapter.orders.give("sink.voorbeeldstad", "")
    wrong.orders.give("clock", "0")
    for one in (sent, another):
        await chain.accepted(one)
    await until(chain.all_ended)
    assert await other.stop() == 0
    await chain.in_step([(sent, verzoek), (another, second)])
    assert len(calls()) == 2
