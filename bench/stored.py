# SPDX-License-Identifier: EUPL-1.2

"""A full store against an empty one, and how long the daemon takes to be ready with either."""

import asyncio
from collections.abc import Sequence
from statistics import median

from bench.arena import Arena, remove
from bench.daemons import running_daemons
from bench.goals import POSTGRESQL, SQLITE, empty, full
from bench.processes import Start, measured_adapter
from bench.sites import REFERENCE, Site
from bench.stock import stock_postgresql, stock_sqlite
from tests.postgresql import Server

_TEMPLATES = ("osb-rm async", "osb-rm-s async")


async def measure_stored(arena: Arena) -> None:
    """Both stores."""
    await _measure(arena, SQLITE, None)
    if arena.server is not None:
        await _measure(arena, POSTGRESQL, arena.server)


async def _measure(arena: Arena, store: str, server: Server | None) -> None:
    stored, ready_stored = arena.options.stored, arena.options.ready_stored
    nothing, filled = await asyncio.to_thread(arena.sites, server), await _filled(arena, server, stored)
    if ready_stored != stored:
        sites = await _filled(arena, server, ready_stored)
        arena.results.ready[full(store, ready_stored)] = _median(
            await _starts(arena, sites, arena.options.starts)
        )
        remove(sites)
    receivers = {empty(store): nothing, full(store, stored): filled}
    starts = {
        name: await _starts(arena, sites, arena.options.starts - 1) for name, sites in receivers.items()
    }
    async with arena.daemons(nothing, server) as one, arena.daemons(filled, server) as other:
        running = dict(zip(receivers, (one, other), strict=True))
        for name, daemons in running.items():
            arena.results.ready[name] = _median([*starts[name], *(each.start for each in daemons.adapters)])
        await arena.receive_by_turns(REFERENCE, [(name, arena.stage(each)) for name, each in running.items()])
    remove(nothing)
    remove(filled)


async def _filled(arena: Arena, server: Server | None, number: int) -> Sequence[Site]:
    """A site with a full store: with messages that its daemon received, and copies of those."""
    sites = await asyncio.to_thread(arena.sites, server)
    async with running_daemons(sites, server) as daemons:
        stage = arena.stage(daemons, len(_TEMPLATES))
        await stage.deliver(arena.cpa_ids(*_TEMPLATES), daemons.delivered)
    arena.say(f"storing {number:,} messages")
    copies = max(1, number // len(_TEMPLATES))
    if server is None:
        await asyncio.to_thread(stock_sqlite, sites[0].state, copies)
    else:
        await stock_postgresql(sites[0].store, copies)
    return sites


async def _starts(arena: Arena, sites: Sequence[Site], number: int) -> list[Start]:
    """How long the daemon of a site takes to be ready, so many times."""
    times = []
    for _ in range(number):
        arena.say("timing the start of a daemon")
        async with measured_adapter(sites[0].world) as adapter:
            times.append(adapter.start)
    return times


def _median(starts: Sequence[Start]) -> Start:
    return Start(median(one.seconds for one in starts), median(one.cpu for one in starts))
