# SPDX-License-Identifier: EUPL-1.2

"""Sites: hosts on which the authorities of a world have their adapter, each with its own store, ports and sinks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from adapter.simulator import AgreementPlan, World, create_world, free_ports
from cpa import Profile, SyncReplyMode
from tests.interop.agreements import signals_synchronous

SQLITE_URL = "sqlite"

PLANS: Mapping[str, AgreementPlan] = {
    "osb-rm async": AgreementPlan(profile=Profile.OSB_RM),
    "osb-rm sync": AgreementPlan(profile=Profile.OSB_RM, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
    "osb-rm-s async": AgreementPlan(),
    "osb-rm-s sync": AgreementPlan(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
}
"""The cases of the table; each is the agreement of an authority of its own."""

REFERENCE = "osb-rm-s async"
"""The case with which everything is measured that is measured once."""

SIZES: Mapping[str, int] = {"1 KB": 1_000, "10 MB": 10_000_000, "1 GB": 1_000_000_000}
"""Payloads of which the memory is measured, in octets; the first is what the others are compared with."""


def authority_of(case: str) -> str:
    """The authority whose agreement is of a case."""
    return case.replace(" ", "").replace("-", "")


def create_bench_world(directory: Path) -> World:
    """A world with an authority per case."""
    world = create_world(directory, {authority_of(case): plan for case, plan in PLANS.items()})
    for authority, plan in zip(world.authorities, PLANS.values(), strict=True):
        if plan.sync_reply is SyncReplyMode.MSH_SIGNALS_ONLY:
            # ebms-core answers synchronously only where the channels for signals say so too
            authority.cpa_path.write_text(signals_synchronous(authority.cpa_path.read_text()))
    return world


def create_large_world(directory: Path, authorities: int) -> World:
    """A world with many authorities, each with its own keys and agreement."""
    plan = PLANS[REFERENCE]
    return create_world(directory, {f"gemeente{number}": plan for number in range(authorities)})


@dataclass(frozen=True, slots=True)
class Site:
    """One host: a world with ports and a state of its own; `shared` has what all daemons of one store share."""

    world: World
    shared: Path
    store: str

    @property
    def state(self) -> Path:
        """The state directory of its daemon."""
        return self.world.directory / "var"

    def delivered(self) -> int:
        """How many messages are in the sinks."""
        sinks = (self.shared / "verzoeken" / authority.name for authority in self.world.authorities)
        return sum(not entry.name.startswith(".") for sink in sinks for entry in os.scandir(sink))


def create_sites(
    world: World, name: str, *, store: str = SQLITE_URL, number: int = 1, ebms: str = ""
) -> list[Site]:
    """Make the sites of as many daemons on one store; `ebms` is TOML for that table of their configuration.

    They share spool and sinks, as docs/store.md says. What is delivered is the payload as it is (flow `message`):
    measured is the message service handler, not the simulation of an API.
    """
    shared = world.directory / name
    (shared / "spool").mkdir(parents=True, mode=0o700)
    for authority in world.authorities:
        (shared / "verzoeken" / authority.name).mkdir(parents=True)
    return [_create_site(world, shared, shared / str(one), store, ebms) for one in range(number)]


def _create_site(world: World, shared: Path, directory: Path, store: str, ebms: str) -> Site:
    mine = free_ports()
    host = replace(
        world, directory=directory, ports=replace(world.ports, adapter=mine.adapter, admin=mine.admin)
    )
    site = Site(host, shared, store)
    site.state.mkdir(parents=True, mode=0o700)
    (site.state / "spool").symlink_to(shared / "spool")
    (directory / "verzoeken").symlink_to(shared / "verzoeken")
    for common in ("tls", "cpa"):
        (directory / common).symlink_to(world.directory / common)
    text = world.config.read_text().replace('flow = "stam"', 'flow = "message"')
    text = text.replace(f"127.0.0.1:{world.ports.adapter}", f"127.0.0.1:{host.ports.adapter}")
    text = text.replace(f"127.0.0.1:{world.ports.admin}", f"127.0.0.1:{host.ports.admin}")
    text = text.replace("[trust]\n", f'[store]\nurl = "{store}"\n\n[trust]\n')
    host.config.write_text(text.replace("[ebms]\n", f"[ebms]\n{ebms}\n"))
    return site
