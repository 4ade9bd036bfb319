# SPDX-License-Identifier: EUPL-1.2

"""The daemon: the composition root, which builds every object, hands them to each other, and runs them.

Start is in an order in which nothing is accepted before it can be kept and worked on: store, agreements, worker,
listeners. Stop is the reverse: listeners first, then the worker within a grace, then the store.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from adapter.admin import ApplicationApi, Health, Live, create_admin_app
from adapter.config import Config, ConfigFiles, Environment
from adapter.daemon.background import Background
from adapter.daemon.chains import ChainsInUse
from adapter.daemon.clock import StoreClock
from adapter.daemon.counting import (
    JobCounter,
    LateWork,
    TimedHandler,
    recall_last_accepted,
    watch_backlog,
    watch_loop,
    watch_transactions,
)
from adapter.daemon.crls import CrlFetcher
from adapter.daemon.expiry import Expiry
from adapter.daemon.health_watch import HealthWatch, status_line
from adapter.daemon.listeners import Listeners
from adapter.daemon.load import room_of, watch_load
from adapter.daemon.notifying import Notifying
from adapter.daemon.opening import look_back, prepare_tables
from adapter.daemon.pulse import Pulse
from adapter.daemon.readiness import Readiness
from adapter.daemon.registry import Registry
from adapter.daemon.reloading import EVERY, Reloader, say_loaded
from adapter.daemon.retention import Purger, RetentionTask
from adapter.daemon.router import Router, sink_of
from adapter.daemon.sink_watch import SinkWatch
from adapter.daemon.sinks import SinkRooms
from adapter.daemon.systemd import ServiceManager
from adapter.daemon.tenants import Hosted, SourceRooms, Tenant, TenantMaker, Tenants
from adapter.daemon.tracing import make_tracing
from adapter.daemon.trust import load_revocation, load_trust
from adapter.delivery import Deliverer, SinkType
from adapter.msh import (
    Outbox,
    Partners,
    Pressure,
    Receiver,
    ResponseReader,
    Submitter,
)
from adapter.net import Witnesses
from adapter.notify import EVERY as LOOK_FOR_NEWS
from adapter.notify import make_channels
from adapter.observe import Metrics, get_logger, trace_with
from adapter.pki import Revocation, RevocationMode, TrustStore
from adapter.sinks import sink_types
from adapter.stam import Collector, Reconciler
from adapter.store import (
    SCHEDULED,
    Database,
    JobKind,
    Spool,
    is_shared,
    open_database,
    open_spool,
)
from adapter.work import Handler, JoinedRooms, Limits, RetryPolicy, Timing, Worker, utc_now

log = get_logger(__name__)

R = TypeVar("R")

GRACE: Final = timedelta(seconds=20)
"""How long running work may take to end when the daemon stops."""

STOP: Final = timedelta(seconds=50)
"""How long a stop may take in all; systemd waits longer than this (`TimeoutStopSec`)."""

_WAITING: Final = frozenset({JobKind.ROUTE, JobKind.COLLECT, JobKind.DELIVER})
"""Jobs that wait while their authority is withdrawn; what is sent, and who is asked, ends by its own rules."""

_LONG_STEP: Final = timedelta(seconds=30)
"""How much longer a start may take, said again and again while a long step of it goes on."""

_KINDS: Final = (JobKind.SEND, JobKind.ROUTE, JobKind.COLLECT, JobKind.DELIVER, *SCHEDULED)


@dataclass(frozen=True, slots=True)
class Materials:
    """How the daemon gets the things that touch the world outside; tests wrap them to stop it at any step."""

    open_database: Callable[[Config], Database] = lambda config: open_database(
        config.store.url, config.state, exclusive=True
    )
    open_spool: Callable[[Config], Spool] = open_spool
    sink_types: Callable[[], tuple[SinkType[Any], ...]] = sink_types
    clock: Callable[[], datetime] = utc_now
    timing: Timing = field(default_factory=Timing)
    grace: timedelta = GRACE
    stop: timedelta = STOP
    look_at_files: timedelta = EVERY
    look_for_news: timedelta = LOOK_FOR_NEWS


@dataclass(slots=True)
class Daemon:
    """One running adapter.

    `files` is where `config` was read from, to be read again when it changes; without it nothing ever changes.
    `manager` is told how the daemon is, and `inherited` are sockets that it keeps open for partners to connect to.
    `ebms_port` and `admin_port` are the ports that are listened on, once started: a configuration may ask for
    port 0, which means any. `fetcher` keeps the revocation lists, where they are looked at.
    """

    config: Config
    materials: Materials = field(default_factory=Materials)
    metrics: Metrics = field(default_factory=Metrics)
    files: ConfigFiles | None = None
    manager: ServiceManager = field(default_factory=ServiceManager)
    inherited: Sequence[socket.socket] = ()
    ebms_port: int = 0
    admin_port: int = 0
    fetcher: CrlFetcher | None = None
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    _background: Background = field(init=False)
    _listeners: Listeners = field(init=False)
    _reload: asyncio.Event = field(default_factory=asyncio.Event)
    _tenants: Tenants | None = None
    _clock: Callable[[], datetime] | None = None
    _reloader: Reloader | None = None

    def __post_init__(self) -> None:
        self._background = Background(self._closing)
        self._listeners = Listeners(
            self.config,
            self.metrics,
            self._background,
            self._closing,
            self.materials.look_at_files,
            self.inherited,
        )

    async def start(self) -> None:
        """Start everything, and return when messages are received.

        Raises ConfigProblem, StoreProblem or OSError (a port that is taken); nothing is then left running.
        """
        try:
            await self._trace()
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    def reload(self) -> None:
        """Read the configuration of the authorities again, soon, and the certificates of the listeners.

        What came of it is in the log.
        """
        self._reload.set()
        self._listeners.renew()

    async def stop(self) -> None:
        """Stop receiving, let running work end, and close."""
        self.manager.stopping()
        log.info("stopping", action="daemon.stopping")
        await self._closing.aclose()
        log.info("stopped", action="daemon.stopped")

    async def _start(self) -> None:
        config = self.config
        _warn_about(config)
        trust = load_trust(config)
        revocation = await load_revocation(config, self._time)
        witnesses = Witnesses(self.materials.clock)
        maker = TenantMaker(
            self.materials.sink_types(), trust, self._time, revocation, self.metrics, witnesses
        )
        tenants = await self._make_tenants(maker)
        await self._patiently("migrating the database", asyncio.to_thread(prepare_tables, config))
        db = self.materials.open_database(config)
        self._closing.push_async_callback(db.close)
        clock = await self._set_clock(db)
        spool = self.materials.open_spool(config)
        restored = await self._patiently(
            "looking after what was restored",
            look_back(config, db, spool, self.metrics, clock, self._background),
        )
        registry = Registry(
            tenants.config, tenants.keys, db, self.metrics, clock, spare_keys=tenants.spare_keys
        )
        await registry.import_files()
        await registry.refresh()
        test = config.environment is Environment.TEST
        partners = Partners(
            registry.current, trust, config.outgoing, test, tenants.spare_keys, revocation, witnesses
        )
        self._closing.push_async_callback(partners.close)
        responses = ResponseReader(db, spool, registry.current, trust, self.metrics, clock, revocation)
        reconciler = Reconciler(db, tenants.plans, self.metrics, clock)
        await reconciler.schedule()
        if restored is not None:
            await restored.conclude()
        notifying = await self._make_notifying(db, tenants, registry, clock)
        outbox = Outbox(db, spool, registry.current, partners, responses, self.metrics, clock)
        handlers: dict[str, Handler] = {
            JobKind.SEND: outbox,
            JobKind.ROUTE: Router(db, spool, registry.current, clock),
            JobKind.RECONCILE: reconciler,
            JobKind.COLLECT: Collector(
                db,
                spool,
                tenants.source,
                self.metrics,
                clock,
                lambda delivery, facts: sink_of(
                    registry.current().by_name.get(delivery.authority), delivery, facts
                ),
            ),
            JobKind.DELIVER: Deliverer(
                db, spool, tenants.sink, self.metrics, clock, config.limits.delivery_time
            ),
            **notifying.handlers,
        }
        chains = ChainsInUse(tenants.config, registry.current, tenants.spare_keys, trust, clock)
        self.fetcher = self._keep_lists(revocation, trust, chains)
        worker = self._worker(db, handlers, clock, tenants)
        await worker.start()
        self._closing.push_async_callback(worker.stop, self.materials.grace)
        await self._follow_store(db, spool, clock, registry, tenants)
        pressure = Pressure(room_of(config.limits))
        self._background.start(watch_load(db, spool, config.state, pressure, self.metrics), "load")
        receiver = Receiver(
            db,
            spool,
            registry.current,
            trust,
            self.metrics,
            clock,
            test=test,
            max_message=config.ebms.max_message,
            pressure=pressure,
            revocation=revocation,
        )
        listener = self._listeners.for_partners()
        expiry = Expiry(tenants, registry.current, self._listeners.keys, trust, self.metrics, clock)
        readiness = self._readiness(
            db=db,
            spool=spool,
            registry=registry,
            clock=clock,
            witnesses=witnesses,
            listener=listener,
            trust=trust,
            pulse=self._pulse(db, worker),
            expiry=expiry,
            sinks=self._sink_watch(tenants),
            told=self._tell(notifying, expiry),
        )
        health = self._health(readiness, tenants)
        submitter = Submitter(db, spool, registry.current, clock)
        api = ApplicationApi(db, spool, registry.current, submitter, tenants.config, self.metrics, clock)
        await self._serve_users(health, api, expiry)
        self._follow(tenants, maker, registry, reconciler, partners, notifying)
        self.ebms_port = await self._listeners.open_to_partners(
            listener, receiver, spool, trust, lambda: tenants.config().largest_message
        )
        log.info("ready", action="daemon.ready", ebms_port=self.ebms_port, admin_port=self.admin_port)
        self.manager.ready(status_line(await health.look()))
        self._background.start(HealthWatch(health, self.metrics, self.manager).watch(), "health")

    async def _serve_users(self, health: Health, api: ApplicationApi, expiry: Expiry) -> None:
        live = Live(api.db)
        self.admin_port = await self._listeners.open_to_users(
            create_admin_app(health=health, metrics=self.metrics, api=api, endings=expiry.endings, live=live)
        )
        self._background.start(live.watch(), "live")
        self._background.start(expiry.watch(), "expiry")

    async def _patiently(self, what: str, work: Awaitable[R]) -> R:
        """Do a step of the start that may take long, and have the service manager wait for it."""
        self.manager.status(f"starting: {what}")
        step = asyncio.ensure_future(work)
        while not step.done():
            self.manager.extend(_LONG_STEP)
            await asyncio.wait((step,), timeout=_LONG_STEP.total_seconds() / 3)
        return step.result()

    def _pulse(self, db: Database, worker: Worker) -> Pulse:
        def dead() -> list[str]:
            return self._background.dead() + ([] if worker.is_healthy else ["worker"])

        pulse = Pulse(self.manager, self.config.health.stuck, db.stuck, dead)
        self._background.start(pulse.beat(), "pulse")
        return pulse

    def _readiness(self, *, db: Database, clock: StoreClock, **parts: Any) -> Readiness:
        late = LateWork(db, self.config.health.backlog_age, clock)
        self._background.start(late.watch(), "late-work")
        return Readiness(
            settings=self.config.health,
            state=self.config.state,
            db=db,
            clock=clock,
            late=late,
            broken=lambda: self._reloader.broken if self._reloader is not None else {},
            fetcher=self.fetcher,
            **parts,
        )

    def _tell(self, notifying: Notifying, expiry: Expiry) -> Callable[[], Sequence[str]]:
        """Tell people from now on, where that is asked for; return what says which of it fails."""
        watch = notifying.watch(expiry)
        if notifying.channels:
            self._background.start(watch.watch(self.materials.look_for_news), "notifications")
        return watch.warnings

    def _sink_watch(self, tenants: Tenants) -> SinkWatch:
        settings = self.config.health
        watch = SinkWatch(tenants.sinks, self.metrics, settings.sink_probe, settings.sink_free)
        self._background.start(watch.watch(), "sinks")
        return watch

    def _health(self, readiness: Readiness, tenants: Tenants) -> Health:
        return Health(
            readiness.checks(),
            self.metrics,
            watches=readiness.watches(),
            authorities=lambda: tenants.current().keys(),
            live_check=readiness.live,
        )

    async def _follow_store(
        self, db: Database, spool: Spool, clock: StoreClock, registry: Registry, tenants: Tenants
    ) -> None:
        """Follow what becomes of the store, by this daemon and others."""
        self._background.start(clock.watch(), "clock")
        self._background.start(registry.watch(), "registry")
        await self._measure(db, clock)
        task = RetentionTask(tenants.config, Purger(db, spool), self.metrics, clock)
        self._background.start(task.work(), "retention")

    async def _trace(self) -> None:
        """Make traces from now on, where they are asked for, and hand over the last of them at the very end."""
        backend = await asyncio.to_thread(make_tracing, self.config.tracing)
        if backend is None:
            return

        async def end() -> None:
            trace_with(None)
            await asyncio.to_thread(backend.stop)

        trace_with(backend)
        self._closing.push_async_callback(end)

    async def _measure(self, db: Database, clock: StoreClock) -> None:
        """Measure what happens by itself from now on, and recall what did before."""
        watch_transactions(db, self.metrics)
        await recall_last_accepted(db, self.metrics, tuple(self.config.authorities))
        say_loaded(self.metrics, clock(), whole=True)
        self._background.start(watch_backlog(db, self.metrics, _KINDS, clock), "backlog")
        self._background.start(watch_loop(self.metrics), "loop")

    def _keep_lists(
        self, revocation: Revocation, trust: TrustStore, chains: ChainsInUse
    ) -> CrlFetcher | None:
        """Fetch revocation lists from now on, where they are looked at."""
        if not revocation.is_on:
            return None
        config = self.config
        fetcher = CrlFetcher(
            revocation, trust, config.trust.revocation, config.outgoing, self.metrics, chains
        )
        self._background.start(fetcher.watch(), "crls")
        return fetcher

    async def _set_clock(self, db: Database) -> StoreClock:
        clock = StoreClock(db, self.materials.clock, is_shared(self.config.store.url))
        await clock.look()
        self._clock = clock
        return clock

    def _time(self) -> datetime:
        """The time, for what is made before the store is open."""
        return self._clock() if self._clock is not None else self.materials.clock()

    async def _make_tenants(self, maker: TenantMaker) -> Tenants:
        made = await asyncio.to_thread(maker.make_all, self.config)
        self._tenants = tenants = Tenants(self.config, made, self.config.limits.delivery_time)
        self._closing.push_async_callback(tenants.close)
        return tenants

    async def _make_notifying(
        self, db: Database, tenants: Tenants, registry: Registry, clock: StoreClock
    ) -> Notifying:
        channels = await asyncio.to_thread(make_channels, self.config, clock)
        notifying = Notifying.over(channels, db, tenants.config, registry.current, self.metrics, clock)
        notifying.close_with(self._closing)
        await notifying.schedule()
        return notifying

    def _follow(
        self,
        tenants: Tenants,
        maker: TenantMaker,
        registry: Registry,
        reconciler: Reconciler,
        partners: Partners,
        notifying: Notifying,
    ) -> None:
        """Follow what changes in the files of the configuration."""
        if self.files is None:
            return

        async def settle(changed: frozenset[str]) -> None:
            await registry.refresh()
            await reconciler.schedule(changed)
            await notifying.pinger.schedule()

        async def retired(tenant: Tenant) -> None:
            await partners.close_unused((tenant.keys, *tenant.spare_keys))

        self._reloader = reloader = Reloader(
            self.files, tenants, maker, registry, self.metrics, settle, retired, self.manager
        )
        self._background.start(reloader.watch(self._reload, self.materials.look_at_files), "reload")

    def _worker(
        self, db: Database, handlers: dict[str, Handler], clock: StoreClock, tenants: Tenants
    ) -> Worker:
        retries = self.config.retries
        limits = Limits(self.config.limits.concurrency, self.config.limits.concurrency_per_authority)
        lanes = JoinedRooms((SinkRooms(tenants.sinks, limits.lane), SourceRooms(tenants)))
        return Worker(
            db,
            {
                kind: TimedHandler(
                    Hosted(tenants, handler, kind in _WAITING), self.metrics.job_seconds.labels(kind)
                )
                for kind, handler in handlers.items()
            },
            RetryPolicy(first=retries.first, max=retries.max, give_up=retries.give_up),
            clock=clock,
            limits=replace(limits, lanes=lanes),
            timing=self.materials.timing,
            observer=JobCounter(self.metrics),
            exclusive=not is_shared(self.config.store.url),
        )


def _warn_about(config: Config) -> None:
    if config.environment is not Environment.TEST and config.revocation is RevocationMode.OFF:
        log.warning(
            "certificates are accepted of which nobody knows whether they were revoked",
            action="daemon.revocation",
            mode=config.revocation,
        )
    if config.environment is Environment.TEST and config.ebms.tls is None and not config.ebms.trusted_proxies:
        log.warning(
            "plain HTTP: peers are not identified; only for tests on this machine",
            action="daemon.plain_http",
            listen=str(config.ebms.listen),
        )
