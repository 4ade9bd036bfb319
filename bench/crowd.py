# SPDX-License-Identifier: EUPL-1.2

"""The load spread over many authorities, each with its own keys and agreement, against the same load for one."""

import asyncio

from bench.arena import Arena, Crew
from bench.daemons import running_daemons
from bench.generator import running_load
from bench.goals import authorities
from bench.sites import REFERENCE, create_large_world, create_sites


async def measure_authorities(arena: Arena) -> None:
    """All the way to the sink: lanes of many authorities that are held back would be work that nobody has."""
    number = arena.options.authorities
    arena.say(f"making {number:,} authorities with their keys and agreements")
    directory = arena.place()
    # the one authority has a world that is made in the same way: nothing but the number differs
    large = await asyncio.to_thread(create_large_world, directory / "many", number)
    small = await asyncio.to_thread(create_large_world, directory / "one", 1)
    async with running_load(large) as for_many, running_load(small) as for_one:
        arena.say(f"starting a daemon with {number:,} authorities")
        many, one = create_sites(large, "site"), create_sites(small, "site")
        async with running_daemons(many) as crowd, running_daemons(one) as single:
            crews = [
                Crew(authorities(1), single, for_one, [each.cpa_id for each in small.authorities]),
                Crew(authorities(number), crowd, for_many, [each.cpa_id for each in large.authorities]),
            ]
            for crew in crews:
                stage = arena.stage(crew.daemons, arena.options.warm_up, crew.load)
                await stage.deliver(crew.cpa_ids, crew.daemons.delivered)
            await arena.deliver_by_turns(REFERENCE, crews)
