# SPDX-License-Identifier: EUPL-1.2

"""Overload: many partners offer far more than there is room for, while others only keep the adapter busy.

Strangers take every connection for a while and say nothing, slow senders trickle octets, and Verzoek afhandelen is down
for the first half, so that work piles up. What was accepted must be delivered all the same, and the adapter must not
grow.
"""

import asyncio
import re
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from adapter.pki import client_context, load_key_pair
from adapter.simulator import SimulatedDso, World
from tests.chaos.checker import Report
from tests.chaos.hosts import Host
from tests.chaos.partner import NO_MISCHIEF, Announced, Counts, Partners
from tests.chaos.stage import SETTLING, STAM, Stage, build_stage
from tests.e2e.conftest import until

CONNECTIONS = 50
REQUESTS = 6
REQUESTS_PER_PARTNER = 4
BACKLOG_PER_AUTHORITY = 8

LIMITS = f"""
concurrency = 4
connections = {CONNECTIONS}
requests = {REQUESTS}
requests_per_partner = {REQUESTS_PER_PARTNER}
backlog = {3 * BACKLOG_PER_AUTHORITY}
backlog_per_authority = {BACKLOG_PER_AUTHORITY}
"""

STRANGERS = CONNECTIONS + 20
GROWTH = 96 * 1024 * 1024
"""Octets by which the resident memory of the adapter may grow under overload, from what it was after one message of
each kind: room for the requests and connections that are allowed, and for what the allocator keeps."""

_INTERMEDIARY_OIN = "00000099000000002000"
_SIZES = (5_000, 150_000, 1_000_000)
_NO_ANSWER = 5.0
_TRICKLE = (
    b'POST /ebms HTTP/1.1\r\nHost: localhost\r\nSOAPAction: "ebXML"\r\nContent-Length: 1000000\r\n'
    b'Content-Type: multipart/related; type="text/xml"; boundary="b"\r\n\r\n--b\r\n'
)


@dataclass(slots=True)
class Watched:
    """What was seen of the adapter meanwhile."""

    memory_before: int = 0
    memory_peak: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: set[str | None] = field(default_factory=set)
    slow_begun: int = 0
    slow_ended: int = 0
    strangers_turned_away: int = 0

    @property
    def growth(self) -> int:
        return self.memory_peak - self.memory_before


@dataclass(frozen=True, slots=True)
class Endured:
    """What an overload came to; `refused` are the reasons for a 503 by the metrics of the adapter."""

    seconds: float
    counts: Counts
    watched: Watched
    refused: dict[str, float]
    delivered: int
    report: Report


async def overload(directory: Path, seconds: float, *, senders: int = 8, seed: int = 1) -> Endured:
    """Overload an adapter for so long, and let it finish."""
    begun = time.monotonic()
    stage = await asyncio.to_thread(build_stage, directory, limits=LIMITS)
    makelaar = await asyncio.to_thread(_let_an_intermediary_act, stage.world)
    host, watched = Host(stage.world), Watched()
    async with SimulatedDso(stage.world) as dso:
        partners = Partners(dso, STAM, Random(seed), NO_MISCHIEF, _SIZES)
        host.start()
        try:
            await host.until_ready()
            first = [await partners.announce(authority) for authority in stage.world.authorities]
            for one in first:
                await partners.deliver(one)
            await until(stage.is_settled, SETTLING)
            watched.memory_before = watched.memory_peak = _memory(host.pid)
            async with _troubled(host, watched, makelaar, first[2]):
                await _besiege(host.world.ports.adapter, watched, seconds / 4)
                await _flood(dso, partners, senders, seconds)
            await until(partial(_is_quiet, host, stage), SETTLING)
            refused = await _refused(host)
            await host.stop()
        finally:
            await host.end()
    store = await stage.store()
    return Endured(
        seconds=time.monotonic() - begun,
        counts=partners.counts,
        watched=watched,
        refused=refused,
        delivered=sum(row["state"] == "delivered" for row in store.deliveries),
        report=await stage.check(partners),
    )


async def _flood(dso: SimulatedDso, partners: Partners, senders: int, seconds: float) -> None:
    """Offer without a pause, the first half of the time while no verzoek can be collected."""
    load = asyncio.create_task(partners.work(senders))
    try:
        dso.faults.unavailable = 1_000_000
        await asyncio.wait((load,), timeout=seconds / 2)
        dso.faults.unavailable = 0
        await asyncio.wait((load,), timeout=seconds / 2)
        partners.stop()
        async with asyncio.timeout(SETTLING):
            await load
    finally:
        load.cancel()


@asynccontextmanager
async def _troubled(
    host: Host, watched: Watched, makelaar: ssl.SSLContext, repeated: Announced
) -> AsyncIterator[None]:
    """Slow senders are at it, and the adapter is watched."""
    port = host.world.ports.adapter
    work: list[Coroutine[Any, Any, None]] = [
        _watch_memory(host, watched),
        _watch_health(host, watched),
        _send_as_any_partner(host.world, watched, repeated),
        *(_trickle(port, makelaar, watched) for _ in range(REQUESTS_PER_PARTNER)),
    ]
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _watch_memory(host: Host, watched: Watched) -> None:
    while True:
        watched.memory_peak = max(watched.memory_peak, _memory(host.pid))
        await asyncio.sleep(0.05)


async def _watch_health(host: Host, watched: Watched) -> None:
    url = f"http://127.0.0.1:{host.world.ports.admin}/health/live"
    while True:
        try:
            async with (
                asyncio.timeout(_NO_ANSWER),
                aiohttp.ClientSession() as session,
                session.get(url) as response,
            ):
                watched.lives[str(response.status)] += 1
        except (aiohttp.ClientError, TimeoutError) as problem:
            watched.lives[repr(problem)] += 1
        await asyncio.sleep(0.1)


async def _send_as_any_partner(world: World, watched: Watched, repeated: Announced) -> None:
    """Send one message again and again, with an eye for what the answer says."""
    context = client_context(world.dso_keys, world.trust)
    body = b"".join(repeated.sent.body.stream_sync())
    async with aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.post(
                    world.adapter_endpoint, data=body, headers=dict(repeated.sent.body.headers), ssl=context
                ) as response:
                    watched.statuses[response.status] += 1
                    if response.status == 503:
                        watched.retry_after.add(response.headers.get("Retry-After"))
            await asyncio.sleep(0.05)


async def _trickle(port: int, context: ssl.SSLContext, watched: Watched) -> None:
    """An octet now and then, in a request that has begun; `slow_ended` counts where the adapter had enough of it."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        except ConnectionError:  # the adapter had no room for one more connection
            await asyncio.sleep(0.1)
            continue
        answer = asyncio.create_task(reader.read(1))
        try:
            writer.write(_TRICKLE)
            watched.slow_begun += 1
            while not answer.done():
                writer.write(b"x")
                await asyncio.sleep(0.1)
            watched.slow_ended += 1
        finally:
            answer.cancel()
            writer.close()


async def _besiege(port: int, watched: Watched, seconds: float) -> None:
    """Strangers take all the connections there are, without as much as a handshake, and then go away."""

    async def say_nothing() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await reader.read()
            watched.strangers_turned_away += 1
        except ConnectionError:
            watched.strangers_turned_away += 1
        finally:
            writer.close()

    tasks = [asyncio.create_task(say_nothing()) for _ in range(STRANGERS)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _let_an_intermediary_act(world: World) -> ssl.SSLContext:
    """Somebody else who may send under an agreement of ours, with a certificate and so with room of its own."""
    issued = world.pki.issue("Makelaar (simulatie)", _INTERMEDIARY_OIN, key_size=2048)
    keys = load_key_pair(*issued.write(world.directory / "tls", "makelaar"))
    one = world.authorities[0]
    table = f'\n[authorities.{one.name}.agreements."{one.cpa_id}"]\nacts_for = ["{_INTERMEDIARY_OIN}"]\n'
    world.config.write_text(world.config.read_text() + table)
    return client_context(keys, world.trust)


async def _is_quiet(host: Host, stage: Stage) -> bool:
    """Whether nothing comes in any more, and nothing is left to do: who went away may have been half way through."""
    (receiving,) = re.findall(r"^stam_adapter_receiving (\S+)", await _metrics(host), re.MULTILINE)
    return float(receiving) == 0 and await stage.is_settled()


async def _metrics(host: Host) -> str:
    url = f"http://127.0.0.1:{host.world.ports.admin}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def _refused(host: Host) -> dict[str, float]:
    text = await _metrics(host)
    found = re.findall(r'stam_adapter_refused_total\{reason="overload_(\w+)"\} (\S+)', text)
    turned_away = re.findall(r'connections_turned_away_total\{listener="ebms"\} (\S+)', text)
    return {reason: float(number) for reason, number in [*found, *(("connections", n) for n in turned_away)]}


def _memory(pid: int) -> int:
    """The resident set of a process, in octets."""
    (line,) = re.findall(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(line) * 1024
