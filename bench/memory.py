# SPDX-License-Identifier: EUPL-1.2

"""Peak memory of a daemon that takes one message with a payload of a size, from the socket to the sink."""

import time

from bench.arena import Arena, remove
from bench.daemons import running_daemons
from bench.measuring import settle, until_delivered
from bench.results import Peak
from bench.sites import REFERENCE, SIZES


async def measure_memory(arena: Arena) -> None:
    """Every size, each with a daemon of its own."""
    for size, octets in SIZES.items():
        if octets > arena.options.largest:
            arena.results.missing[size] = f"a payload of {size} is larger than --largest"
            continue
        arena.say(f"a payload of {size}")
        sites = arena.sites(None, ebms='max_message = "3 GiB"')
        async with running_daemons(sites) as daemons:
            await arena.load.prepare(1, arena.cpa_ids(REFERENCE), octets)
            begun = time.perf_counter()
            await arena.load.send(daemons.endpoints, 1)
            await until_delivered(daemons.delivered, 1)
            seconds = time.perf_counter() - begun
            await arena.load.acknowledged()
            await settle(daemons, arena.options.pause)
            arena.results.memory[size] = Peak(daemons.peak_memory(), seconds)
        remove(sites)
