# SPDX-License-Identifier: EUPL-1.2

"""The run: every part of it, one after the other."""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from bench.arena import Arena
from bench.crowd import measure_authorities
from bench.generator import running_load
from bench.goals import POSTGRESQL
from bench.memory import measure_memory
from bench.options import Options, Part
from bench.receivers import measure_floor, measure_receivers
from bench.results import Results
from bench.server import running_server
from bench.sites import create_bench_world
from bench.stored import measure_stored
from tests.postgresql import Server
from tests.servers import NoServer

_MEASURES: Mapping[Part, Callable[[Arena], Awaitable[None]]] = {
    Part.RECEIVERS: measure_receivers,
    Part.STORED: measure_stored,
    Part.AUTHORITIES: measure_authorities,
    Part.MEMORY: measure_memory,
}


_WITH_SERVER = frozenset({Part.RECEIVERS, Part.STORED})


async def run(options: Options, directory: Path, say: Callable[[str], None]) -> Results:
    """Measure everything in a directory that is empty; `say` tells what is being done."""
    results = Results(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}")
    say("making a world")
    world = await asyncio.to_thread(create_bench_world, directory / "world")
    async with AsyncExitStack() as running:
        server = None
        if _WITH_SERVER.intersection(options.parts):
            say("starting PostgreSQL")
            server = await _server(running, results)
        load = await running.enter_async_context(running_load(world))
        arena = Arena(options, directory, say, world, load, server, results)
        measure_floor(arena)
        for part in Part:
            if part in options.parts:
                await _MEASURES[part](arena)
    return results


async def _server(running: AsyncExitStack, results: Results) -> Server | None:
    """The server, or None; the results then say why."""
    try:
        return await running.enter_async_context(running_server())
    except NoServer as missing:
        results.missing[POSTGRESQL] = str(missing)
        return None
