# SPDX-License-Identifier: EUPL-1.2

"""The tenants: what is made from the configuration of each authority, swapped as a whole when that changes.

Each is made by itself, so that a change of one leaves the connections, breakers and running deliveries of all others as
they are. Who needs something of an authority asks for it each time; what was replaced is closed when no job that may
have it runs any more.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapter.config import AuthorityConfig, Config, ConfigProblem, FileState, look_at
from adapter.daemon.collecting import Source, Sources
from adapter.daemon.key_rings import load_key_rings
from adapter.daemon.reconciling import reconcile_plans
from adapter.daemon.sinks import Sinks, make_sinks
from adapter.delivery import ConfiguredSink, SinkType
from adapter.net import Witnesses
from adapter.observe import Metrics, get_logger
from adapter.pki import KeyPair, Revocation, TrustStore
from adapter.stam import Plan
from adapter.store import Job, JobOutcome, Retry
from adapter.work import Handler

log = get_logger(__name__)

Files = Mapping[Path, FileState]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One authority as this daemon serves it, with the files that were read for it."""

    name: str
    settings: AuthorityConfig
    keys: KeyPair
    spare_keys: tuple[KeyPair, ...]
    keys_until: datetime | None
    sinks: Sinks
    sources: Sources
    plan: Plan | None
    files: Files
    cpas: Files

    def has_other_keys(self, now: datetime) -> bool:
        """Whether it is to be made again, since another of its certificates is in use from now on."""
        return self.keys_until is not None and self.keys_until <= now

    async def close(self) -> None:
        """Close its connections."""
        for one in self.sinks.values():
            await one.sink.close()
        await self.sources.close()


@dataclass(frozen=True, slots=True)
class TenantMaker:
    """Makes tenants."""

    types: tuple[SinkType[Any], ...]
    trust: TrustStore
    clock: Callable[[], datetime]
    revocation: Revocation = field(default_factory=Revocation.off)
    metrics: Metrics | None = None
    witnesses: Witnesses | None = None

    def make_all(self, config: Config) -> Mapping[str, Tenant]:
        """Make every tenant. Blocking. Raises ConfigProblem with everything that is wrong with any."""
        made: dict[str, Tenant] = {}
        problems: list[str] = []
        for name in config.authorities:
            try:
                made[name] = self.make(config, name)
            except ConfigProblem as problem:
                problems += problem.problems
        if problems:
            raise ConfigProblem(problems)
        return made

    def make(self, config: Config, name: str) -> Tenant:
        """Make one tenant. Blocking. Raises ConfigProblem."""
        own = config.only(name)
        settings = own.authorities[name]
        # looked at first: what changes while it is read is then seen to have changed
        files = {path: look_at(path) for path in settings.key_files}
        cpas = {path: look_at(path) for path in settings.cpas}
        ring = load_key_rings(own, self.clock())[name]
        keys = {name: ring.current}
        sources = Sources(own, keys, self.trust, self.clock, self.revocation, self.metrics, self.witnesses)
        sinks = make_sinks(own, self.types, keys, self.clock)
        for sink in sinks.values():
            files |= {path: look_at(path) for path in sink.files}
        return Tenant(
            name=name,
            settings=settings,
            keys=ring.current,
            spare_keys=ring.spare,
            keys_until=ring.until,
            sinks=sinks,
            sources=sources,
            plan=reconcile_plans(own, sources).get(name),
            files=files,
            cpas=cpas,
        )


@dataclass(frozen=True, slots=True)
class _Moment:
    """All tenants at one moment, also as others look them up."""

    config: Config
    by_name: Mapping[str, Tenant]
    keys: Mapping[str, KeyPair]
    sinks: Sinks
    plans: Mapping[str, Plan]


def _moment(config: Config, tenants: Mapping[str, Tenant]) -> _Moment:
    return _Moment(
        config=config,
        by_name=MappingProxyType(dict(tenants)),
        keys={name: tenant.keys for name, tenant in tenants.items()},
        sinks={where: sink for tenant in tenants.values() for where, sink in tenant.sinks.items()},
        plans={name: tenant.plan for name, tenant in tenants.items() if tenant.plan is not None},
    )


class Tenants:
    """Holds the tenants of the moment; used from the event loop only.

    `config` is the configuration in use, `longest` how long what was replaced is waited for.
    """

    def __init__(self, config: Config, tenants: Mapping[str, Tenant], longest: timedelta) -> None:
        self._now = _moment(config, tenants)
        self._longest = longest
        self._at_work: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._retiring: set[asyncio.Task[None]] = set()
        self._replaced: list[Tenant] = []

    def config(self) -> Config:
        """The configuration in use."""
        return self._now.config

    def current(self) -> Mapping[str, Tenant]:
        """The tenants by name."""
        return self._now.by_name

    def keys(self) -> Mapping[str, KeyPair]:
        """The key pair of each."""
        return self._now.keys

    def spare_keys(self, authority: str) -> tuple[KeyPair, ...]:
        """The further key pairs of an authority."""
        tenant = self._now.by_name.get(authority)
        return () if tenant is None else tenant.spare_keys

    def sinks(self) -> Sinks:
        """All sinks; the same object until there are others."""
        return self._now.sinks

    def sink(self, authority: str, name: str) -> ConfiguredSink | None:
        """One sink of an authority; None when it has no such."""
        return self._now.sinks.get((authority, name))

    def source(self, authority: str) -> Source | None:
        """Where an authority collects from; None when it does not."""
        tenant = self._now.by_name.get(authority)
        return None if tenant is None else tenant.sources.source(authority)

    def plans(self) -> Mapping[str, Plan]:
        """How each authority is reconciled, of those that are."""
        return self._now.plans

    @contextmanager
    def at_work(self, authority: str) -> Iterator[None]:
        """A job of an authority runs: what it may use stays open."""
        ended = asyncio.Event()
        self._at_work[authority].add(ended)
        try:
            yield
        finally:
            ended.set()
            self._at_work[authority].discard(ended)
            if not self._at_work[authority]:
                del self._at_work[authority]

    def swap(self, config: Config, tenants: Mapping[str, Tenant]) -> tuple[Tenant, ...]:
        """Use these from now on; return those that were replaced or withdrawn, which are to be retired."""
        before, self._now = self._now.by_name, _moment(config, tenants)
        now = self._now.by_name
        gone = [one for name, one in before.items() if name not in now or now[name].sinks is not one.sinks]
        self._replaced += gone
        return tuple(gone)

    def retire(self, gone: Iterable[Tenant], then: Callable[[Tenant], Awaitable[None]]) -> None:
        """Close each of these, and do what comes then, as soon as no job runs that began before."""
        for tenant in gone:
            task = asyncio.create_task(self._retire(tenant, then), name=f"retire-{tenant.name}")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, tenant: Tenant, then: Callable[[Tenant], Awaitable[None]]) -> None:
        # whoever begins after the swap gets what is new, so that only these can have what is old
        waited = [asyncio.create_task(ended.wait()) for ended in self._at_work.get(tenant.name, ())]
        try:
            if waited:
                _, left = await asyncio.wait(waited, timeout=self._bound(tenant).total_seconds())
                if left:
                    log.warning(
                        "jobs still run with what an authority had before it changed; its connections are closed now",
                        action="authority.cut_off",
                        authority=tenant.name,
                        jobs=len(left),
                    )
        finally:
            for task in waited:
                task.cancel()
        await close_tenant(tenant)
        self._replaced.remove(tenant)
        await then(tenant)
        log.info("closed what was replaced", action="authority.retired", authority=tenant.name)

    def _bound(self, tenant: Tenant) -> timedelta:
        own = [one.common.timeout for one in tenant.sinks.values() if one.common.timeout is not None]
        return max([self._longest, *own])

    async def close(self) -> None:
        """Close everything, also what waits to be retired."""
        for task in tuple(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for tenant in (*self._replaced, *self._now.by_name.values()):
            await close_tenant(tenant)


@dataclass(frozen=True, slots=True)
class SourceRooms:
    """How many jobs may run in the lanes of the sources there are now: what the worker asks."""

    tenants: Tenants

    def rooms(self) -> Mapping[str, int]:
        """The lanes with a limit of their own at this moment."""
        return {
            lane: room
            for tenant in self.tenants.current().values()
            for lane, room in tenant.sources.rooms().items()
        }

    def next_change(self) -> datetime | None:
        """When the first of these limits changes by itself; None when none does."""
        changes = (tenant.sources.next_change() for tenant in self.tenants.current().values())
        return min(filter(None, changes), default=None)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A handler of jobs that keeps open what it may use.

    With `waits`, the jobs of an authority that was withdrawn wait until it is back; else the handler decides.
    """

    tenants: Tenants
    handler: Handler
    waits: bool

    async def __call__(self, job: Job) -> JobOutcome:
        """Run the handler, unless the job has to wait."""
        if self.waits and job.authority not in self.tenants.current():
            return Retry(
                f"authority {job.authority} is not in the configuration; add it again, or skip what it waits for",
                patient=True,
            )
        with self.tenants.at_work(job.authority):
            return await self.handler(job)


async def close_tenant(tenant: Tenant) -> None:
    """Close what a tenant has open, and say where that fails."""
    try:
        await tenant.close()
    except Exception:  # a sink is a plug-in: that it cannot be closed must not keep others open
        log.exception(
            "what an authority had could not be closed", action="authority.not_closed", authority=tenant.name
        )
