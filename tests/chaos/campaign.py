# SPDX-License-Identifier: EUPL-1.2

"""Load under kills: partners send, a consumer takes, and the daemons are killed at random steps and moments.

What happens when is decided by a seed; how far the processes are by then is not, so a run is repeated in kind and not
to the letter. In the end everything is acknowledged, worked off and stopped, and the checker is asked.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from adapter.simulator import AdapterProcess, Faults, SimulatedDso
from tests.chaos.checker import Report
from tests.chaos.hosts import LEASE_SECONDS, NEVER, Host
from tests.chaos.partner import Counts, Partners
from tests.chaos.stage import SETTLING, STAM, Stage
from tests.e2e.conftest import until
from tests.e2e.test_e2e_kills import POINTS, label
from tests.e2e.test_e2e_shared import Balancer

_LABELS = sorted({label(point) for point in POINTS})
_STARTING, _MOMENT, _STEP, _PAUSE = "while starting", "at a moment", "at a step", "after a pause"
_STARTS = (0.05, 0.6)  # seconds after the start of the process
_LIVES = (0.1, 2.0)  # seconds after it is ready
_TIMES = (1, 10)  # the n-th time that a step is made
_TOO_LONG = 3.0  # seconds: a step that was not reached by then is a moment after all
_DOWN = (0.0, 0.3)
_PAUSES = (LEASE_SECONDS, 2 * LEASE_SECONDS)  # so long that another daemon takes the jobs over
_SWEPT_AFTER = 2 * 24 * 3600  # older than what a daemon spares in a spool that it shares


@dataclass(frozen=True, slots=True)
class Plan:
    """How much: kills in all, senders for each authority, and what decides about everything else."""

    kills: int
    seed: int
    senders: int = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a campaign came to; `kills` by the step or the way in which they came."""

    plan: Plan
    database: str
    daemons: int
    counts: Counts
    kills: Counter[str]
    delivered: int
    seconds: float
    report: Report


async def run_campaign(stage: Stage, plan: Plan) -> Outcome:
    """Play a campaign on a stage that was just built."""
    begun = time.monotonic()
    chance = Random(plan.seed)
    hosts = [Host(world) for world in stage.hosts]
    victims = [Victim(host, Random(chance.random()), pauses=len(hosts) > 1) for host in hosts]
    kills: Counter[str] = Counter()
    async with (
        SimulatedDso(stage.world) as dso,
        _address(stage),
        _ended(hosts),
        Consumer(stage, Random(plan.seed)),
    ):
        partners = Partners(dso, STAM, chance)
        load = asyncio.create_task(partners.work(plan.senders))
        try:
            await asyncio.gather(*(_harass(victim, kills, plan.kills) for victim in victims))
            for host in hosts:
                host.start()
            await asyncio.gather(*(host.until_ready() for host in hosts))
            partners.stop()
            async with asyncio.timeout(SETTLING):
                await load
        finally:
            load.cancel()
        _end_mischief(dso.faults)
        await until(stage.is_settled, SETTLING)
        await asyncio.gather(*(host.stop() for host in hosts))
        await _sweep(stage, hosts[0])
    store = await stage.store()
    return Outcome(
        plan=plan,
        database="SQLite" if stage.url == "sqlite" else "PostgreSQL",
        daemons=len(hosts),
        counts=partners.counts,
        kills=kills,
        delivered=sum(row["state"] == "delivered" for row in store.deliveries),
        seconds=time.monotonic() - begun,
        report=await stage.check(partners),
    )


@dataclass(slots=True)
class Victim:
    """The daemon of one host, which lives and dies again and again; `pauses`: it may also be held up for a while."""

    host: Host
    chance: Random
    pauses: bool

    async def live_and_die(self) -> str:
        """Start, and be killed: at a step, at a moment, or before it is ready; return which."""
        await asyncio.sleep(self.chance.uniform(*_DOWN))
        way = self.chance.choice((_STARTING, _MOMENT, _STEP, _STEP, _PAUSE if self.pauses else _STEP))
        if way == _STEP:
            step = f"{self.chance.choice(_LABELS)}#{self.chance.randint(*_TIMES)}"
            return await self._die_at(step, _TOO_LONG)
        if way == _MOMENT:
            return await self._die_at(NEVER, self.chance.uniform(*_LIVES))
        if way == _PAUSE:
            return await self._pause()
        self.host.start()
        await self.host.until_dead(self.chance.uniform(*_STARTS))
        await self.host.kill()
        return _STARTING

    async def _die_at(self, point: str, seconds: float) -> str:
        """Live so long at the most after being ready; return the step, where that came first."""
        self.host.start(point)
        alive = await self.host.until_ready_or_dead() and not await self.host.until_dead(seconds)
        await self.host.kill()
        return _MOMENT if alive else label(point)

    async def _pause(self) -> str:
        """Stand still as the machine of a host may, and go on as if nothing had been, until it dies after all."""
        before, still, after = (self.chance.uniform(*bounds) for bounds in (_LIVES, _PAUSES, _LIVES))
        self.host.start()
        if await self.host.until_ready_or_dead() and not await self.host.until_dead(before):
            self.host.signal(signal.SIGSTOP)
            await asyncio.sleep(still)
            self.host.signal(signal.SIGCONT)
            await self.host.until_dead(after)
        await self.host.kill()
        return _PAUSE


class Consumer:
    """Takes about half of the deliveries away as soon as they have their names, as consumers do."""

    def __init__(self, stage: Stage, chance: Random) -> None:
        self._places = [(one.sink, stage.taken / one.name) for one in stage.world.authorities]
        self._chance = chance
        self._seen: set[Path] = set()
        self._number = 0

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _work(self) -> None:
        while True:
            for sink, taken in self._places:
                for path in [entry for entry in sink.iterdir() if not entry.name.startswith(".")]:
                    self._look(path, taken)
            await asyncio.sleep(0.02)

    def _look(self, path: Path, taken: Path) -> None:
        if path in self._seen:  # left lying, or delivered again: that must be found there
            return
        if self._chance.random() < 0.5:
            self._number += 1
            path.rename(taken / f"{self._number}-{path.name}")
        else:
            self._seen.add(path)


async def _harass(victim: Victim, kills: Counter[str], number: int) -> None:
    while kills.total() < number:
        kills[await victim.live_and_die()] += 1


def _end_mischief(faults: Faults) -> None:
    """What was still to go wrong does not."""
    faults.late_acknowledgment = faults.cut_message = faults.unavailable = 0
    faults.cut.clear()


async def _sweep(stage: Stage, host: Host) -> None:
    """Let retention do what it does every hour, when all was long ago: what a kill left in the spool goes."""
    long_ago = time.time() - _SWEPT_AFTER
    for path in stage.spool.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    purge = await AdapterProcess.start(
        host.world, "-m", "adapter", "db", "purge", "--config", str(host.world.config)
    )
    assert await purge.wait() == 0, host.world.adapter_log


@asynccontextmanager
async def _ended(hosts: list[Host]) -> AsyncIterator[None]:
    """Leave no process behind, whatever fails."""
    try:
        yield
    finally:
        await asyncio.gather(*(host.end() for host in hosts))


@asynccontextmanager
async def _address(stage: Stage) -> AsyncIterator[None]:
    """The address that the agreements name, where several daemons are behind it."""
    if len(stage.hosts) == 1:
        yield
        return
    async with Balancer(*(host.ports.adapter for host in stage.hosts)).listening(stage.world.ports.adapter):
        yield
