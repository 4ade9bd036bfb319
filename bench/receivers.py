# SPDX-License-Identifier: EUPL-1.2

"""The main rows: the adapter on each store, and ebms-core, under the same load by turns; and the floor below them."""

import asyncio
from contextlib import AsyncExitStack

from adapter.pki import load_key_pair
from bench.arena import Arena, Crew
from bench.floor import floor
from bench.goals import EBMS_CORE, POSTGRESQL, SQLITE, TWO
from bench.measuring import Receiver
from bench.messages import make_message
from bench.reference import running_reference
from bench.sites import PLANS, authority_of
from cpa import PartyId, agreement_for, parse_cpa
from cpa.names import OIN_TYPE
from tests.interop.peer import PeerMissing, build

_DELIVERED = ("osb-rm async", "osb-rm-s async")
"""What is measured to the sink: after the answer there is no difference between the reply modes."""

_FLOOR_MESSAGES = 200


def measure_floor(arena: Arena) -> None:
    """The floor of each profile; how the acknowledgment goes back makes no difference to it. Blocking."""
    arena.say("the floor")
    tls = arena.world.directory / "tls"
    for case in _DELIVERED:
        authority = next(one for one in arena.world.authorities if one.name == authority_of(case))
        ours = agreement_for(parse_cpa(authority.cpa_path.read_bytes()), PartyId(authority.oin, OIN_TYPE))
        keys = load_key_pair(tls / f"{authority.name}.pem", tls / f"{authority.name}.key")
        theirs = arena.world.agreements()[authority.cpa_id]
        number = min(_FLOOR_MESSAGES, arena.options.messages)
        messages = [make_message(theirs, arena.world.dso_keys) for _ in range(number)]
        place = arena.place()
        place.mkdir()
        arena.results.floor[case.partition(" ")[0]] = floor(place, ours, keys, messages) * 1000


async def measure_receivers(arena: Arena) -> None:
    """Every case with every receiver."""
    async with AsyncExitStack() as running:
        daemons = {SQLITE: await running.enter_async_context(arena.daemons(arena.sites(None)))}
        if arena.server is not None:
            for name, number in ((POSTGRESQL, 1), (TWO, 2)):
                sites = await asyncio.to_thread(arena.sites, arena.server, number)
                daemons[name] = await running.enter_async_context(arena.daemons(sites, arena.server))
        receivers: list[tuple[str, Receiver]] = [*daemons.items()]
        if (reference := await _reference(arena, running)) is not None:
            receivers.append((EBMS_CORE, reference))
        for case in PLANS:
            await arena.receive_by_turns(case, [(name, arena.stage(one)) for name, one in receivers])
            if case in _DELIVERED:
                await arena.deliver_by_turns(case, [Crew(name, one) for name, one in daemons.items()])
    order = [name for name, _ in receivers]
    arena.results.rows.sort(key=lambda row: (order.index(row.receiver), row.until))


async def _reference(arena: Arena, running: AsyncExitStack) -> Receiver | None:
    """ebms-core, warmed up; where it cannot be had the results say why."""
    if not arena.options.peer:
        arena.results.missing[EBMS_CORE] = "not asked for"
        return None
    arena.say("starting and warming up ebms-core")
    try:
        built = await asyncio.to_thread(build)
        reference = await running.enter_async_context(running_reference(arena.world, built))
    except PeerMissing as missing:
        arena.results.missing[EBMS_CORE] = str(missing)
        return None
    arena.results.machine += f"; ebms-core: {built.origin}"
    # a long one: Java compiles what it does often
    await arena.stage(reference, arena.options.peer_warm_up).receive(arena.cpa_ids(*PLANS))
    return reference
