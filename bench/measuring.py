# SPDX-License-Identifier: EUPL-1.2

"""One round of messages to a receiver, measured; and what several rounds come to."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from bench.generator import Generator, Sent

_IDLE = 0.02
_LONGEST = 15.0
_PATIENCE = 600.0


class Receiver(Protocol):
    """Who receives the load: the daemons of one store, or another product."""

    @property
    def endpoints(self) -> Sequence[str]:
        """Where it receives."""
        ...

    def cpu(self) -> float:
        """CPU time so far of what receives, in seconds."""
        ...

    def database_cpu(self) -> float:
        """CPU time so far of a database that is a process of its own, in seconds."""
        ...

    async def hold(self) -> None:
        """Do nothing with what is received but answer it, until `release`."""
        ...

    async def release(self, messages: int) -> None:
        """Do the rest of the work, of so many messages that were held, and return when it is done."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to, in seconds."""

    messages: int
    seconds: float
    cpu: float
    database_cpu: float
    load_cpu: float
    latencies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Several rounds: medians, CPU and latencies in milliseconds; the latter over all rounds together."""

    per_second: float
    cpu: float
    database_cpu: float
    load_cpu: float
    p50: float
    p99: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Figures":
        """The figures of these rounds."""
        latencies = sorted(one for each in rounds for one in each.latencies)
        return cls(
            per_second=median(one.messages / one.seconds for one in rounds),
            cpu=median(one.cpu / one.messages for one in rounds) * 1000,
            database_cpu=median(one.database_cpu / one.messages for one in rounds) * 1000,
            load_cpu=median(one.load_cpu / one.messages for one in rounds) * 1000,
            p50=_percentile(latencies, 0.5) * 1000,
            p99=_percentile(latencies, 0.99) * 1000,
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a round is played: a receiver, the load that it gets, and how much."""

    receiver: Receiver
    load: Generator
    messages: int
    senders: int
    pause: float

    async def receive(self, cpa_ids: Sequence[str]) -> Round:
        """Until every message is answered and acknowledged: what follows waits, and is done after the measurement."""
        await self.receiver.hold()
        begun = await self._begin(cpa_ids)
        sent = await self.load.send(self.receiver.endpoints, self.senders)
        await self.load.acknowledged()
        measured = await self._end(begun, sent, sent.seconds)
        await self.receiver.release(self.messages)
        return measured

    async def deliver(self, cpa_ids: Sequence[str], delivered: Callable[[], int]) -> Round:
        """Until every message is acknowledged and in its sink, with nothing held back; `delivered` counts those."""
        target = delivered() + self.messages
        begun = await self._begin(cpa_ids)
        started = time.perf_counter()
        sent = await self.load.send(self.receiver.endpoints, self.senders)
        await until_delivered(delivered, target)
        seconds = time.perf_counter() - started
        await self.load.acknowledged()
        return await self._end(begun, sent, seconds)

    async def _begin(self, cpa_ids: Sequence[str]) -> tuple[float, float, float]:
        await self.load.prepare(self.messages, cpa_ids)
        await settle(self.receiver, self.pause)
        return self._clocks()

    async def _end(self, begun: tuple[float, float, float], sent: Sent, seconds: float) -> Round:
        await settle(self.receiver, self.pause)
        cpu, database, load = (now - then for now, then in zip(self._clocks(), begun, strict=True))
        return Round(self.messages, seconds, cpu, database, load, sent.latencies)

    def _clocks(self) -> tuple[float, float, float]:
        return self.receiver.cpu(), self.receiver.database_cpu(), self.load.cpu()


async def until_delivered(delivered: Callable[[], int], target: int) -> None:
    """Wait until so many messages are in their sinks."""
    async with asyncio.timeout(_PATIENCE):
        # a sink is a directory: nothing tells of a change
        while delivered() < target:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def settle(receiver: Receiver, pause: float) -> None:
    """Wait until it has done what it was at: its CPU time, and its database's, all but stand still for a pause."""
    async with asyncio.timeout(_LONGEST):
        last = float("-inf")
        while (now := receiver.cpu() + receiver.database_cpu()) - last > _IDLE:
            last = now
            await asyncio.sleep(pause)


def _percentile(latencies: Sequence[float], part: float) -> float:
    return latencies[min(len(latencies) - 1, int(len(latencies) * part))]
