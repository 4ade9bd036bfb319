"""The load: so many senders at a time, each over a connection of its own that stays open."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from adapter.pki import client_context
from adapter.simulator import World
from bench.messages import ReadyMessage


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load came to: latencies in seconds, sorted; `seconds` is wall time, `cpu` that of the load itself."""

    latencies: tuple[float, ...]
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        """Messages per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """The latency that this part of the messages stayed below, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))] * 1000


async def send_all(world: World, messages: Sequence[ReadyMessage], senders: int) -> Measured:
    """Send every message once; RuntimeError where one is not taken."""
    context = client_context(world.dso_keys, world.trust)
    waiting = iter(messages)
    latencies: list[float] = []

    async def sender(session: aiohttp.ClientSession) -> None:
        for message in waiting:
            begun = time.perf_counter()
            async with session.post(
                world.adapter_endpoint, data=message.body, headers=message.headers, ssl=context
            ) as response:
                await response.read()
                if response.status not in {200, 204}:
                    raise RuntimeError(f"a message was answered with HTTP {response.status}")
            latencies.append(time.perf_counter() - begun)

    connector = aiohttp.TCPConnector(limit=senders)
    async with aiohttp.ClientSession(connector=connector) as session:
        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(sender(session) for _ in range(senders)))
        return Measured(tuple(sorted(latencies)), time.perf_counter() - begun, time.process_time() - cpu)
