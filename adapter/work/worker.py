# SPDX-License-Identifier: EUPL-1.2

"""The worker: claims jobs, runs their handlers, and says of each what became of it.

One task dispatches: it claims as many jobs as there is room for, in all and in each lane, and starts a task
for each. It wakes when the store changes, when a job is due and when a job ended. Another task renews the
leases of what runs. The worker knows no job's content.
"""

import asyncio
import os
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection

from adapter.observe import get_logger
from adapter.store import (
    Database,
    Done,
    Job,
    JobOutcome,
    LeaseLost,
    Park,
    Retry,
    StoreProblem,
    claim_jobs,
    finish_job,
    next_due,
    park_job,
    release_all,
    release_jobs,
    renew_leases,
    retry_job,
)
from adapter.work.policy import RetryPolicy

log = get_logger(__name__)

Handler = Callable[[Job], Awaitable[JobOutcome]]
"""Does a job of one kind. What it raises counts as `Retry`."""

Clock = Callable[[], datetime]


class JobObserver(Protocol):
    """Who wants to know what became of jobs, for counters."""

    def finished(self, job: Job, outcome: JobOutcome) -> None:
        """A handler ended, and its outcome is in the store."""

    def crashed(self, job: Job, error: BaseException) -> None:
        """A handler raised instead of returning an outcome."""

    def lost(self, job: Job) -> None:
        """A handler ended after the lease of its job was lost; its outcome was not applied."""


class Unobserved:
    """An observer that looks away."""

    def finished(self, job: Job, outcome: JobOutcome) -> None:
        """Do nothing."""

    def crashed(self, job: Job, error: BaseException) -> None:
        """Do nothing."""

    def lost(self, job: Job) -> None:
        """Do nothing."""


class LaneRooms(Protocol):
    """Which lanes have a limit of their own, which may change from one moment to the next."""

    def rooms(self) -> Mapping[str, int]:
        """How many jobs may run now in each of these lanes; 0 is none."""

    def next_change(self) -> datetime | None:
        """When one of the limits changes by itself; None when none does."""


@dataclass(frozen=True, slots=True)
class FixedRooms:
    """Limits of lanes that never change."""

    lanes: Mapping[str, int] = field(default_factory=dict)

    def rooms(self) -> Mapping[str, int]:
        """Give the limits."""
        return self.lanes

    def next_change(self) -> datetime | None:
        """Never."""
        return None


@dataclass(frozen=True, slots=True)
class JoinedRooms:
    """The limits that several tell, each of lanes of its own."""

    parts: tuple[LaneRooms, ...]

    def rooms(self) -> Mapping[str, int]:
        """All limits."""
        return {lane: room for part in self.parts for lane, room in part.rooms().items()}

    def next_change(self) -> datetime | None:
        """When the first of them changes."""
        return min(filter(None, (part.next_change() for part in self.parts)), default=None)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs run at a time: in all, of one authority, and in one lane unless `lanes` says otherwise for it."""

    concurrency: int = 32
    share: int = 16
    lane: int = 4
    lanes: LaneRooms = field(default_factory=FixedRooms)


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a worker that are no policy.

    `lease`: how long a job stays claimed when its worker is gone. `idle`: the longest wait between looks for work, and
    `rest` the shortest: what happens within it is looked at once. `hiccup`: the wait after the store failed.
    """

    lease: timedelta = timedelta(seconds=60)
    idle: timedelta = timedelta(seconds=30)
    rest: timedelta = timedelta(milliseconds=5)
    hiccup: timedelta = timedelta(seconds=1)


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class Worker:
    """Runs the jobs that it has handlers for."""

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        policy: RetryPolicy,
        *,
        clock: Clock = utc_now,
        limits: Limits | None = None,
        timing: Timing | None = None,
        observer: JobObserver | None = None,
        exclusive: bool = False,
        owner: str | None = None,
    ):
        """Make a worker that is not started.

        Args:
            db: the store with the jobs.
            handlers: who does a job, by kind of job.
            policy: when a job is tried again.
            clock: the time.
            limits: how many jobs run at a time.
            timing: leases and waits.
            observer: who counts.
            exclusive: no other process works on this store, so what runs at start was left by a dead one.
            owner: the name in the leases; made up by default.

        """
        self._db = db
        self._handlers = dict(handlers)
        self._policy = policy
        self._clock = clock
        self._limits = limits or Limits()
        self._timing = timing or Timing()
        self._observer: JobObserver = observer or Unobserved()
        self._exclusive = exclusive
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._running: dict[int, tuple[Job, asyncio.Task[None]]] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._stopping = False
        self._astray = False
        self._ended = asyncio.Event()
        self._rested_at = 0.0

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that run now."""
        return tuple(job for job, _ in self._running.values())

    @property
    def is_healthy(self) -> bool:
        """Whether the worker was started and still works."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def start(self) -> None:
        """Start to claim and run jobs."""
        if self._exclusive and (left := await self._db.write(release_all)):
            log.warning(
                "took up the jobs that a dead process left running", action="jobs.recovered", jobs=left
            )
        self._tasks = (
            asyncio.create_task(self._forever(self._dispatch, "dispatch"), name="work-dispatch"),
            asyncio.create_task(self._forever(self._heartbeat, "heartbeat"), name="work-heartbeat"),
        )

    async def stop(self, grace: timedelta) -> None:
        """Claim nothing more, let what runs end within `grace`, then cancel it and put it back."""
        self._stopping = True
        self._ended.set()
        dispatch, heartbeat = self._tasks[:1], self._tasks[1:]
        await _cancel(dispatch)
        if tasks := self._running_tasks():
            await asyncio.wait(tasks, timeout=grace.total_seconds())
        await _cancel(self._running_tasks())
        await _cancel(heartbeat)
        self._tasks = ()
        try:
            released = await self._db.write(release_jobs, self.owner)
        except StoreProblem as problem:
            log.warning(
                "jobs could not be put back; they go on when their leases end",
                action="jobs.not_put_back",
                reason=type(problem).__name__,
            )
            return
        if released:
            log.info("put back the jobs that did not end in time", action="jobs.put_back", jobs=released)

    def _running_tasks(self) -> set[asyncio.Task[None]]:
        return {task for _, task in self._running.values()}

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        said = ""
        while not self._stopping:
            try:
                await step()
            except Exception as error:  # logged, and tried again: the worker outlives a store that fails
                self._astray = True  # a claim may have been committed
                if repr(error) != said:  # a store that is down for hours is said once
                    said = repr(error)
                    log.exception(
                        "the worker cannot reach the store; it tries again",
                        action="worker.failed",
                        step=name,
                    )
                await asyncio.sleep(self._timing.hiccup.total_seconds())
            else:
                if said:
                    log.info("the worker reaches the store again", action="worker.recovered", step=name)
                said = ""

    async def _dispatch(self) -> None:
        """Claim and start what there is room for, then wait until there may be more."""
        await self._take_back()
        # the end of a job is news twice, by its commit and by its task: a rest makes one look of these
        await asyncio.sleep(self._rested_at - asyncio.get_running_loop().time())
        self._rested_at = asyncio.get_running_loop().time() + self._timing.rest.total_seconds()
        seen, now = self._db.changes.count, self._clock()
        self._ended.clear()
        jobs, due = await self._claim(now)
        for job in jobs:
            self._start(job)
        changes = self._limits.lanes.next_change()
        idle = min([self._timing.idle, *(moment - now for moment in (due, changes) if moment is not None)])
        await self._something_happens(seen, idle.total_seconds())

    async def _take_back(self) -> None:
        """After the store failed: put back what we claimed and do not run, rather than when its lease ends.

        Only before claiming, so that nothing is on its way from the one state to the other.
        """
        if not self._astray:
            return
        await asyncio.sleep(self._timing.hiccup.total_seconds())
        self._astray = False  # and True again where this fails
        released = await self._db.write(release_jobs, self.owner, spare=tuple(self._running))
        if released:
            log.info("put back jobs whose end could not be stored", action="jobs.taken_back", jobs=released)

    async def _claim(self, now: datetime) -> tuple[list[Job], datetime | None]:
        """Claim what there is room for; and when more is due, unless there is no room for it then."""
        room = self._limits.concurrency - len(self._running)
        if room <= 0:
            return [], None
        busy = Counter(job.lane for job in self.running)
        own, usual = self._limits.lanes.rooms(), self._limits.lane
        left = {lane: own.get(lane, usual) - busy[lane] for lane in busy.keys() | own.keys()}
        full = [lane for lane, number in left.items() if number <= 0]
        shares = Counter(job.authority for job in self.running)
        kinds = tuple(self._handlers)
        claim = partial(
            claim_jobs,
            owner=self.owner,
            now=now,
            lease=self._timing.lease,
            limit=room,
            full_lanes=full,
            kinds=kinds,
            room=left,
            lane_limit=self._limits.lane,
            spare=tuple(self._running),
            shares={authority: self._limits.share - number for authority, number in shares.items()},
            share=self._limits.share,
        )
        # Cancelled by `stop` while this commits, what was claimed is put back there.
        return await self._db.write(_claim_and_look, claim, kinds, now)

    async def _something_happens(self, seen: int, timeout: float) -> None:  # noqa: ASYNC109
        """Return when a job ended, when the store changed, or after the time-out."""
        ended = asyncio.ensure_future(self._ended.wait())
        changed = asyncio.ensure_future(self._db.wait_for_change(timeout, since=seen))
        try:
            done, _ = await asyncio.wait((ended, changed), return_when=asyncio.FIRST_COMPLETED)
            if changed in done:
                changed.result()
        finally:
            for task in (ended, changed):
                task.cancel()

    def _start(self, job: Job) -> None:
        task = asyncio.create_task(self._run(job), name=f"job-{job.kind}-{job.id}")
        self._running[job.id] = (job, task)
        task.add_done_callback(lambda ended: self._forget(job, ended))

    def _forget(self, job: Job, task: asyncio.Task[None]) -> None:
        if self._running.get(job.id, (None, None))[1] is task:
            del self._running[job.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._astray |= isinstance(error, StoreProblem)
            log.error(
                "what became of a job could not be stored; it is run again, at the latest when its lease ends",
                action="job.unsettled",
                job=job.id,
                kind=job.kind,
                exc_info=error,
            )
        self._ended.set()

    async def _run(self, job: Job) -> None:
        try:
            outcome = await self._handlers[job.kind](job)
        except LeaseLost:
            self._lose(job)
            return
        except Exception as error:  # a handler that fails in an unforeseen way must not stop the others
            log.exception(
                "a job failed in a way that its handler does not foresee; it is tried again",
                action="job.crashed",
                job=job.id,
                kind=job.kind,
                authority=job.authority,
                subject=job.subject,
            )
            self._observer.crashed(job, error)
            outcome = Retry(f"{type(error).__name__}: {error}")
        await self._settle(job, outcome)

    async def _settle(self, job: Job, outcome: JobOutcome) -> None:
        outcome = self._final(job, outcome)
        if outcome != Done(already_finished=True):
            try:
                await self._db.write(_apply, job, outcome, self._clock(), self._policy.delay(job.attempts))
            except LeaseLost:
                self._lose(job)
                return
        log.info(
            "a job ended",
            action=f"job.{type(outcome).__name__.lower()}",
            job=job.id,
            kind=job.kind,
            authority=job.authority,
            subject=job.subject,
            attempts=job.attempts,
            reason=None if isinstance(outcome, Done) else outcome.reason,
        )
        self._observer.finished(job, outcome)

    def _final(self, job: Job, outcome: JobOutcome) -> JobOutcome:
        given_up = self._policy.gives_up(job.first_attempt_at, self._clock())
        if isinstance(outcome, Retry) and given_up and not outcome.patient:
            return Park(outcome.reason)
        return outcome

    def _lose(self, job: Job) -> None:
        log.warning(
            "a job ended after its lease was lost; what became of it is not applied",
            action="job.lease_lost",
            job=job.id,
            kind=job.kind,
            authority=job.authority,
            subject=job.subject,
        )
        self._observer.lost(job)

    async def _heartbeat(self) -> None:
        """Renew the leases of what runs, then wait a third of a lease."""
        if ids := tuple(self._running):
            held = await self._db.write(renew_leases, self.owner, ids, self._clock() + self._timing.lease)
            for job_id in set(ids) - held:
                if job_id in self._running:
                    log.warning("the lease of a job was lost", action="job.lease_expired", job=job_id)
        await asyncio.sleep(self._timing.lease.total_seconds() / 3)


def _claim_and_look(
    conn: Connection, claim: Callable[[Connection], list[Job]], kinds: Collection[str], now: datetime
) -> tuple[list[Job], datetime | None]:
    """Claim jobs, and look when more is due: one transaction, since a worker that has claimed always asks."""
    jobs = claim(conn)
    return jobs, next_due(conn, kinds, after=now)


def _apply(conn: Connection, job: Job, outcome: JobOutcome, now: datetime, back_off: timedelta) -> None:
    """Store what became of a job; `back_off` is for a retry that names no time."""
    if isinstance(outcome, Retry):
        wait = back_off if outcome.after is None else outcome.after
        retry_job(conn, job, now + wait, outcome.reason, now)
    elif isinstance(outcome, Park):
        park_job(conn, job, outcome.reason, now)
    else:
        finish_job(conn, job)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
