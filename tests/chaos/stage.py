# SPDX-License-Identifier: EUPL-1.2

"""The stage of a campaign: authorities of every kind, and the hosts on which the adapter runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapter.simulator import AgreementPlan, World, create_world
from cpa import Profile, SyncReplyMode
from tests.chaos.checker import Report, Store, check, read_postgres, read_sinks, read_spool, read_sqlite
from tests.chaos.partner import Partners
from tests.e2e.test_e2e_shared import host, with_spool

SETTLING = 120.0
"""Seconds in which, after the last fault, all must be acknowledged and delivered."""

STAM = frozenset({"stamdorp", "stamstad"})

PLANS: Mapping[str, AgreementPlan] = {
    "stamdorp": AgreementPlan(),
    "stamstad": AgreementPlan(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
    "postdorp": AgreementPlan(Profile.OSB_RM, sign_acknowledgments=False),
    "poststad": AgreementPlan(Profile.OSB_RM_S, SyncReplyMode.MSH_SIGNALS_ONLY),
}
"""One authority of each: verzoeken or messages, acknowledged apart or in the response, signed or not."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A world, and its adapter on one host or several; `url` is that of the database."""

    world: World
    hosts: tuple[World, ...]
    url: str
    spool: Path

    @property
    def taken(self) -> Path:
        """Where the consumer takes deliveries to: a directory for each authority."""
        return self.world.directory / "taken"

    async def check(self, partners: Partners) -> Report:
        """Compare what the partners believe, what the store says, and what the sinks and their consumer have."""
        places = {one.name: (one.sink, self.taken / one.name) for one in self.world.authorities}
        return check(partners.believed(), await self.store(), read_sinks(places), read_spool(self.spool))

    async def is_settled(self) -> bool:
        """Whether no job waits, runs or is parked."""
        return not (await self.store()).jobs

    async def store(self) -> Store:
        """What the store says."""
        if self.url == "sqlite":
            return read_sqlite(self.world.directory / "var" / "stam-adapter.db")
        return await read_postgres(self.url)


def build_stage(directory: Path, url: str = "sqlite", *, hosts: int = 1, limits: str = "") -> Stage:
    """A new stage; several hosts share the database and the spool. `limits` is TOML for [limits]."""
    extra = f'\n[store]\nurl = "{url}"\n\n[limits]\n{limits}\n'
    world = create_world(directory, PLANS, extra_config=extra)
    _adapt(world)
    for name in PLANS:
        (directory / "taken" / name).mkdir(parents=True)
    if hosts == 1:
        return Stage(world, (world,), url, directory / "var" / "spool")
    spool = directory / "spool"
    spool.mkdir(mode=0o700)
    several = tuple(with_spool(host(world, f"host-{number}"), spool) for number in range(1, hosts + 1))
    return Stage(world, several, url, spool)


def _adapt(world: World) -> None:
    """Retries within seconds, and the routes of the authorities that get no verzoeken."""
    text = world.config.read_text().replace('max = "1m"', 'max = "2s"')
    before, *sections = text.split("\n[authorities.")
    changed = []
    for section in sections:
        name = section.partition("]")[0].partition(".")[0]
        changed.append(section.replace('flow = "stam"', f'flow = "{"stam" if name in STAM else "message"}"'))
    world.config.write_text("\n[authorities.".join([before, *changed]))
