# SPDX-License-Identifier: EUPL-1.2

"""Reloading: the authorities of the configuration are added, changed and withdrawn while the daemon runs.

It happens when somebody asks for it (SIGHUP), and when a file changed: the main file, one in ``authorities.d``, or a
certificate, key, CPA or secret that an authority names. What is wrong with one authority keeps that one as it was, and
is said; the others change. All reading and making is done in a thread, and one reload at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from adapter.config import (
    AuthorityConfig,
    Config,
    ConfigFiles,
    ConfigProblem,
    Mark,
    Problems,
    Renewal,
    look_at,
    mark_of,
    without,
)
from adapter.daemon.registry import Registry
from adapter.daemon.systemd import ServiceManager
from adapter.daemon.tenants import Files, Tenant, TenantMaker, Tenants, close_tenant
from adapter.observe import Metrics, get_logger
from adapter.store import StoreProblem

log = get_logger(__name__)

EVERY: Final = timedelta(seconds=5)
"""Time between two looks at the files; what changed is read at the second look that finds it the same."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload did, by the names of authorities; `not_reloaded` are those that stay as they were."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    not_reloaded: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether everything is as it was."""
        return not (self.added or self.changed or self.withdrawn)


@dataclass(slots=True)
class _Prepared:
    """A reload that is ready to be put to use: the configuration, the tenants that go with it, and why some stay as
    they were. `dropped` are tenants that were made in vain.
    """

    renewal: Renewal
    config: Config
    tenants: dict[str, Tenant]
    broken: dict[str, tuple[str, ...]]
    refused: dict[str, AuthorityConfig] = field(default_factory=dict)
    dropped: list[Tenant] = field(default_factory=list)


@dataclass(slots=True)
class Reloader:
    """Renews the tenants.

    `settle` is called after each change, with the names of the authorities that are other than before; `retired` when
    what one had is closed. `manager` is told of what was asked for.
    """

    files: ConfigFiles
    tenants: Tenants
    maker: TenantMaker
    registry: Registry
    metrics: Metrics
    settle: Callable[[frozenset[str]], Awaitable[None]]
    retired: Callable[[Tenant], Awaitable[None]]
    manager: ServiceManager = field(default_factory=ServiceManager)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _broken: Problems = field(default_factory=dict)
    _refused: Mapping[str, AuthorityConfig] = field(default_factory=dict)
    _unsettled: frozenset[str] = frozenset()
    _said: tuple[str, ...] = ()

    @property
    def broken(self) -> Problems:
        """What is wrong with the files of each authority that cannot be reloaded."""
        return self._broken

    async def watch(self, asked: asyncio.Event, every: timedelta = EVERY) -> None:
        """Reload when `asked`, and when a file changed, until cancelled; `every` is the time between two looks."""
        loaded: Mapping[Path, Mark | None] | None = None
        before: Mapping[Path, Mark | None] | None = None
        while True:
            by_hand = asked.is_set()
            asked.clear()
            if by_hand:
                self.manager.reloading()
            marks = await self._look()
            # a file that is being written is other at the next look, and read when it stays as it is
            is_other = marks is not None and marks == before != loaded
            if by_hand or is_other or self._has_other_keys():
                loaded = marks if await self._try(by_hand=by_hand) else None
            before = marks
            if by_hand:
                failed = (
                    f"; what is wrong with {', '.join(self._broken)} is in the log" if self._broken else ""
                )
                self.manager.ready(f"reloaded{failed}")
            with suppress(TimeoutError):
                async with asyncio.timeout(every.total_seconds()):
                    await asked.wait()

    async def _look(self) -> Mapping[Path, Mark | None] | None:
        """The marks of every file; None when they cannot be had now."""
        try:
            return await asyncio.to_thread(self._marks)
        except OSError as problem:  # as when the process has no file descriptors left, which passes
            log.warning(
                "the files of the configuration cannot be looked at now; it is tried again",
                action="configuration.not_looked_at",
                reason=str(problem),
            )
            return None

    async def _try(self, *, by_hand: bool) -> bool:
        """Reload; return whether that need not be done again."""
        try:
            done = await self.reload(thorough=by_hand)
        except StoreProblem as problem:
            log.warning(
                "the authorities cannot be reloaded now; it is tried again",
                action="configuration.reload_failed",
                reason=str(problem),
            )
            return False
        except Exception:  # the watch must outlive what nobody foresaw, as in a sink of somebody else
            log.exception("the authorities cannot be reloaded", action="configuration.reload_crashed")
            self.metrics.unexpected_errors_total.labels(kind="reload").inc()
            self.metrics.configuration_loaded.set(0)
            return True
        if by_hand or not done.is_nothing:
            log.info(
                "the authorities were reloaded",
                action="configuration.reloaded",
                added=len(done.added),
                changed=len(done.changed),
                withdrawn=len(done.withdrawn),
                not_reloaded=len(done.not_reloaded),
                unchanged=done.unchanged,
            )
        return True

    async def reload(self, *, thorough: bool = False) -> Reloaded:
        """Read the files again, those that changed or with `thorough` all, and put to use what can be.

        Raises StoreProblem; nothing is then changed.
        """
        async with self._one_at_a_time:
            prepared = await asyncio.to_thread(self._prepare, thorough)
            try:
                await self._import(prepared)
            except BaseException:
                await self._close_new(prepared)
                raise
            return await self._use(prepared, by_hand=thorough)

    def _marks(self) -> Mapping[Path, Mark | None]:
        """The marks of every file that counts. Blocking."""
        marks = dict(self.files.marks())
        for tenant in self.tenants.current().values():
            for path in (*tenant.files, *tenant.cpas):
                marks[path] = mark_of(path)
        for settings in self._refused.values():  # what they name may be what is put right
            for path in (*settings.key_files, *settings.cpas):
                marks[path] = mark_of(path)
        return marks

    def _has_other_keys(self) -> bool:
        return any(tenant.has_other_keys(self.maker.clock()) for tenant in self.tenants.current().values())

    def _prepare(self, thorough: bool) -> _Prepared:
        """Read and make what is other than before. Blocking."""
        renewal = self.files.renew(self.tenants.config(), thorough=thorough)
        prepared = _Prepared(renewal, renewal.config, {}, dict(renewal.broken))
        problems: dict[str, tuple[str, ...]] = {}
        for name in renewal.config.authorities:
            try:
                prepared.tenants[name] = self._renewed(renewal.config, name, thorough)
            except ConfigProblem as problem:
                problems[name] = problem.problems
        self._leave(prepared, problems)
        return prepared

    def _renewed(self, config: Config, name: str, thorough: bool) -> Tenant:
        """The tenant as it is, where nothing of it changed, else another. Blocking. Raises ConfigProblem."""
        tenant = self.tenants.current().get(name)
        if tenant is None or tenant.settings is not config.authorities[name]:
            return self.maker.make(config, name)
        if tenant.has_other_keys(self.maker.clock()):
            return self.maker.make(config, name)
        if _digests(_look_again(tenant.files, thorough)) != _digests(tenant.files):
            return self.maker.make(config, name)
        cpas = _look_again(tenant.cpas, thorough)
        # only its agreements changed: its connections stay
        return tenant if _digests(cpas) == _digests(tenant.cpas) else replace(tenant, cpas=cpas)

    async def _import(self, prepared: _Prepared) -> None:
        """Import the CPA files of what changed. Raises StoreProblem."""
        problems: dict[str, tuple[str, ...]] = {}
        for name, tenant in prepared.tenants.items():
            if tenant is not self.tenants.current().get(name):
                found = await self.registry.import_cpas(name, prepared.config, only_usable=True)
                if found:
                    problems[name] = found
        self._leave(prepared, problems)

    def _leave(self, prepared: _Prepared, problems: Problems) -> None:
        """Leave these as they were, with whatever would clash with that."""
        if not problems:
            return
        current = self.tenants.current()
        prepared.refused |= {name: prepared.config.authorities[name] for name in problems}
        prepared.config, clashes = without(
            self.tenants.config(), prepared.config, problems, prepared.renewal.origin
        )
        prepared.broken |= {**problems, **clashes}
        for name in (*problems, *clashes):
            made = prepared.tenants.pop(name, None)
            if made is not None:
                prepared.dropped.append(made)
            if name in current:
                prepared.tenants[name] = current[name]

    async def _use(self, prepared: _Prepared, *, by_hand: bool) -> Reloaded:
        before, now = self.tenants.current(), prepared.tenants
        done = Reloaded(
            added=tuple(sorted(now.keys() - before.keys())),
            changed=tuple(
                sorted(name for name in now.keys() & before.keys() if now[name] is not before[name])
            ),
            withdrawn=tuple(sorted(before.keys() - now.keys())),
            not_reloaded=tuple(sorted(prepared.broken)),
            unchanged=sum(now[name] is before[name] for name in now.keys() & before.keys()),
        )
        for tenant in prepared.dropped:
            await self._close_unused(tenant)
        if not done.is_nothing:
            gone = self.tenants.swap(prepared.config, now)
            self._unsettled |= {*done.added, *done.changed, *done.withdrawn}
        else:
            gone = ()
        self._say(done, prepared, by_hand=by_hand)
        try:
            if self._unsettled:
                await self.settle(self._unsettled)
                self._unsettled = frozenset()
        finally:
            self.tenants.retire(gone, self.retired)
        return done

    async def _close_new(self, prepared: _Prepared) -> None:
        for name, tenant in prepared.tenants.items():
            if tenant is not self.tenants.current().get(name):
                await self._close_unused(tenant)

    async def _close_unused(self, tenant: Tenant) -> None:
        """Close a tenant that nobody ever used, unless it shares its connections with the one in use."""
        current = self.tenants.current().get(tenant.name)
        if current is None or current.sinks is not tenant.sinks:
            await close_tenant(tenant)

    def _say(self, done: Reloaded, prepared: _Prepared, *, by_hand: bool) -> None:
        """One line for each authority that is not as it was, or should not be, and for all else that changed."""
        for action, names in (
            ("added", done.added),
            ("changed", done.changed),
            ("withdrawn", done.withdrawn),
        ):
            for name in names:
                log.info(f"authority {action}", action=f"authority.{action}", authority=name)
        for name, problems in sorted(prepared.broken.items()):
            self.metrics.authority_not_reloaded.labels(authority=name).set(1)
            if by_hand or self._broken.get(name) != problems:
                kept = "it is served as before" if name in prepared.tenants else "it is not served"
                log.error(
                    f"an authority cannot be reloaded; {kept}",
                    action="authority.not_reloaded",
                    authority=name,
                    reasons=list(problems),
                )
        for name in self._broken.keys() - prepared.broken.keys():
            self.metrics.authority_not_reloaded.remove(name)
        self._broken, self._refused = prepared.broken, prepared.refused
        main, restart = prepared.renewal.main, prepared.renewal.restart
        say_loaded(self.metrics, self.maker.clock(), whole=not main and not prepared.broken)
        self.metrics.configuration_needs_restart.set(bool(restart))
        if main and (by_hand or not set(main) <= set(self._said)):
            log.error(
                "the configuration is wrong outside its authorities, and a restart would fail",
                action="configuration.not_reloaded",
                reasons=list(main),
            )
        if restart and (by_hand or not set(restart) <= set(self._said)):
            log.warning(
                f"needs a restart: {', '.join(restart)}",
                action="configuration.needs_restart",
                keys=list(restart),
            )
        self._said = (*main, *restart)


def say_loaded(metrics: Metrics, now: datetime, *, whole: bool) -> None:
    """Show whether all of the configuration could be used when it was looked at."""
    metrics.configuration_loaded.set(whole)
    if whole:
        metrics.configuration_loaded_timestamp_seconds.set(now.timestamp())


def _look_again(files: Files, thorough: bool) -> Files:
    return {path: look_at(path, None if thorough else state) for path, state in files.items()}


def _digests(files: Files) -> Mapping[Path, str | None]:
    return {path: state.digest for path, state in files.items()}
