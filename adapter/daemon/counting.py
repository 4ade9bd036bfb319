# SPDX-License-Identifier: EUPL-1.2

"""Counts what becomes of jobs, how many wait and how long, and how late the event loop is."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Gauge, Histogram
from sqlalchemy import Connection

from adapter.admin import Trouble
from adapter.observe import Metrics, get_logger
from adapter.store import (
    Database,
    Done,
    Job,
    JobOutcome,
    JobState,
    Lane,
    LaneLoad,
    Park,
    StoreProblem,
    count_jobs,
    lane_loads,
    lanes,
    last_accepted,
)
from adapter.work import Handler

log = get_logger(__name__)

_EVERY = 5.0
_LAG_EVERY = 0.5
_LATE_EVERY = 30.0


@dataclass(frozen=True, slots=True)
class JobCounter:
    """The observer of the worker."""

    metrics: Metrics

    def finished(self, job: Job, outcome: JobOutcome) -> None:
        """Count an attempt by its outcome."""
        word = "done" if isinstance(outcome, Done) else "parked" if isinstance(outcome, Park) else "retried"
        self.metrics.jobs_total.labels(kind=job.kind, outcome=word).inc()

    def crashed(self, job: Job, error: BaseException) -> None:  # noqa: ARG002 - the worker logs the error
        """Count an exception that no code expected."""
        self.metrics.unexpected_errors_total.labels(kind=job.kind).inc()

    def lost(self, job: Job) -> None:
        """Count a job whose lease was lost while it ran."""
        self.metrics.jobs_total.labels(kind=job.kind, outcome="lost").inc()


@dataclass(slots=True)
class LateWork:
    """Follows which lanes have work that has waited for too long."""

    db: Database
    longest: timedelta
    clock: Callable[[], datetime]
    _late: tuple[LaneLoad, ...] = ()
    _paused: frozenset[str] = frozenset()

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except StoreProblem as problem:
                log.warning(
                    "it cannot be seen now which work waits for long",
                    action="backlog.not_counted",
                    reason=str(problem),
                )
            await asyncio.sleep(_LATE_EVERY)

    async def look(self) -> None:
        """Look once. Raises StoreProblem."""
        before = self.clock() - self.longest
        loads, known = await self.db.read(_loads)
        self._late = tuple(one for one in loads if one.state is JobState.READY and one.oldest < before)
        self._paused = frozenset(lane.name for lane in known if lane.paused)

    async def troubles(self) -> list[Trouble]:
        """Each lane with late work."""
        return [self._trouble(load) for load in self._late]

    def _trouble(self, load: LaneLoad) -> Trouble:
        hours = (self.clock() - load.oldest) / timedelta(hours=1)
        fix = (
            f"the lane is paused: `stam-adapter lane resume {load.name}`"
            if load.name in self._paused
            else "see its log for why, and `stam-adapter lane list`"
        )
        return Trouble(
            f"lane {load.name}: of {load.jobs} jobs the oldest waits for {hours:.1f} h; {fix}", load.name
        )


@dataclass(frozen=True, slots=True)
class TimedHandler:
    """A handler of jobs, of which each attempt is timed."""

    handler: Handler
    seconds: Histogram

    async def __call__(self, job: Job) -> JobOutcome:
        """Run the handler."""
        with self.seconds.time():
            return await self.handler(job)


def watch_transactions(db: Database, metrics: Metrics) -> None:
    """Time every transaction from now on."""
    took = {name: metrics.store_transaction_seconds.labels(name) for name in ("read", "write")}
    waited = {name: metrics.store_wait_seconds.labels(name) for name in took}

    def observe(operation: str, wait: float, time: float) -> None:
        waited[operation].observe(wait)
        took[operation].observe(time)

    db.observe = observe


async def watch_loop(metrics: Metrics) -> None:
    """Measure how late the event loop turns to what is due, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_EVERY
        await asyncio.sleep(_LAG_EVERY)
        metrics.event_loop_lag_seconds.observe(max(0.0, loop.time() - due))


async def recall_last_accepted(db: Database, metrics: Metrics, authorities: tuple[str, ...]) -> None:
    """Show when each authority accepted its last business message, also before this daemon started."""
    for authority, at in (await db.read(_last_accepted, authorities)).items():
        metrics.last_accepted_timestamp_seconds.labels(authority).set(at.timestamp())


async def watch_backlog(
    db: Database, metrics: Metrics, kinds: tuple[str, ...], clock: Callable[[], datetime]
) -> None:
    """Keep the gauges of waiting, running and parked jobs up to date, until cancelled."""
    gauges = {
        JobState.READY: metrics.jobs_waiting,
        JobState.RUNNING: metrics.jobs_running,
        JobState.PARKED: metrics.jobs_parked,
    }
    while True:
        try:
            counts, loads, known = await db.read(_backlog)
        except StoreProblem as problem:
            log.warning(
                "the backlog cannot be counted now", action="backlog.not_counted", reason=str(problem)
            )
        else:
            for state, gauge in gauges.items():
                for kind in kinds:
                    gauge.labels(kind=kind).set(counts.get((kind, state), 0))
            _show_lanes(metrics, loads, known, clock())
        await asyncio.sleep(_EVERY)


def _last_accepted(conn: Connection, authorities: tuple[str, ...]) -> Mapping[str, datetime]:
    found = {authority: last_accepted(conn, authority) for authority in authorities}
    return {authority: at for authority, at in found.items() if at is not None}


def _backlog(
    conn: Connection,
) -> tuple[Mapping[tuple[str, JobState], int], tuple[LaneLoad, ...], tuple[Lane, ...]]:
    return count_jobs(conn), *_loads(conn)


def _loads(conn: Connection) -> tuple[tuple[LaneLoad, ...], tuple[Lane, ...]]:
    return lane_loads(conn), lanes(conn)


def _show_lanes(
    metrics: Metrics, loads: tuple[LaneLoad, ...], known: tuple[Lane, ...], now: datetime
) -> None:
    """Show the lanes of now: of one that is empty nothing is said."""
    oldest: dict[tuple[str, ...], datetime] = {}
    for load in loads:
        if load.state is not JobState.PARKED:
            where = (load.authority, load.name)
            oldest[where] = min(load.oldest, oldest.get(where, load.oldest))
    ages = {where: max(0.0, (now - since).total_seconds()) for where, since in oldest.items()}
    _show(metrics.lane_jobs, {(load.authority, load.name, load.state): load.jobs for load in loads})
    _show(metrics.lane_oldest_seconds, ages)
    _show(metrics.lane_paused, {(lane.name,): 1 for lane in known if lane.paused})


def _show(gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
    """Show these values and no others; never less than these, since a scrape may come in between."""
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
    shown = {tuple(sample.labels.values()) for sample in next(iter(gauge.collect())).samples}
    for labels in shown - {tuple(map(str, labels)) for labels in values}:
        gauge.remove(*labels)
