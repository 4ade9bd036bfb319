# SPDX-License-Identifier: EUPL-1.2

"""The job that hands one delivery to its sink and records what came of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from adapter.delivery.contract import (
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    Json,
    Outcome,
    Permanent,
    StepFailed,
    Temporary,
)
from adapter.delivery.handover import Package, handover_of, load_package
from adapter.delivery.making import ConfiguredSink
from adapter.observe import Metrics, bound, get_logger, mark, trace
from adapter.store import (
    Content,
    Database,
    DeliveryState,
    Done,
    Flow,
    Job,
    JobOutcome,
    LeaseLost,
    Park,
    Retry,
    Spool,
    SpoolDamaged,
    SpoolUnavailable,
    StaleState,
    StoredDelivery,
    complete_delivery,
    finish_job,
    set_checkpoint,
)

log = get_logger(__name__)

Clock = Callable[[], datetime]
SinkLookup = Callable[[str, str], ConfiguredSink | None]
"""The sink of an authority by its name, as the configuration is now; None when there is none."""

LONGEST: Final = timedelta(hours=1)
"""How long one attempt may take, unless the configuration says otherwise."""


class Deliverer:
    """The handler of jobs of kind `deliver`; the subject of such a job is a delivery.

    An attempt that takes longer than the sink's own timeout, else `longest`, is ended, and made again later.
    """

    def __init__(
        self,
        db: Database,
        spool: Spool,
        sinks: SinkLookup,
        metrics: Metrics,
        clock: Clock,
        longest: timedelta = LONGEST,
    ) -> None:
        self._db = db
        self._spool = spool
        self._sinks = sinks
        self._metrics = metrics
        self._clock = clock
        self._longest = longest

    async def __call__(self, job: Job) -> JobOutcome:
        """Makes one attempt.

        Delivered: the new state, what follows from it and the end of the job are one transaction; what the
        sink asks to keep waits in the store until an application fetched it. Temporary, and every exception
        of the sink: Retry. Permanent, and stored content that is gone or changed: Park, which parks the
        delivery.
        """
        package = await self._db.read(load_package, job.subject)
        delivery = package.delivery
        if delivery.state is DeliveryState.COLLECTING:
            return Park("the delivery is not collected yet: this job was made too early")
        if delivery.state not in {DeliveryState.READY, DeliveryState.PARKED}:
            return Done()  # delivered, skipped or repeated meanwhile
        with (
            bound(authority=delivery.authority, verzoeknummer=delivery.verzoeknummer),
            trace(
                "deliver", delivery.authority, delivery.traced_as, sink=delivery.sink, attempt=job.attempts
            ) as here,
        ):
            outcome = await self._attempt(job, package)
            here.set(outcome=type(outcome).__name__.lower())
            self._report(delivery, outcome)
            return await self._settle(job, delivery, outcome)

    async def _attempt(self, job: Job, package: Package) -> Outcome:
        delivery = package.delivery
        sink = self._sinks(delivery.authority, delivery.sink)
        if sink is None:
            return Temporary(
                f"authority {delivery.authority} has no sink {delivery.sink!r} in the configuration: add it"
            )
        reader = _CheckedReader(self._spool)
        try:
            handover = handover_of(package, reader.opener, job.attempts)
            await reader.require_present()
        except ContentDamaged as damage:
            return Permanent(str(damage))
        except ContentUnavailable as problem:
            return Temporary(str(problem))
        with self._metrics.delivery_seconds.labels(delivery.authority, delivery.sink).time():
            outcome = await self._call(sink, handover, StoreCheckpoint(self._db, job, package, self._clock))
        # Whatever a sink made of it: with damaged content nothing was delivered.
        if reader.damage is not None:
            return Permanent(reader.damage)
        if (unread := reader.unread) is not None:
            return Temporary(unread)
        self._count(sink, delivery, outcome)
        return _not_kept(delivery) if _keeps(outcome) and not _can_be_kept(delivery) else outcome

    async def _call(
        self, configured: ConfiguredSink, handover: Handover, checkpoint: "StoreCheckpoint"
    ) -> Outcome:
        longest = configured.common.timeout or self._longest
        try:
            async with asyncio.timeout(longest.total_seconds()) as allowed:
                return await configured.sink.deliver(handover, checkpoint)
        except StepFailed as failure:
            return failure.outcome
        except ContentDamaged as damage:
            return Permanent(str(damage))
        except ContentUnavailable as problem:
            return Temporary(str(problem))
        except LeaseLost:
            raise  # another worker has the delivery now, and whatever this attempt came to is void
        except Exception as error:
            if isinstance(error, TimeoutError) and allowed.expired():
                return Temporary(
                    f"the sink did not end within {longest}: see what holds it up, or allow it more time by its "
                    "option timeout, or for all sinks in [limits] delivery_time"
                )
            # A sink is a plug-in with somebody else's system behind it; what it did not foresee is temporary.
            log.exception(
                "a sink failed unexpectedly",
                action="delivery.sink_failed",
                sink=handover.sink,
                key=handover.key,
            )
            self._metrics.unexpected_errors_total.labels(kind="sink").inc()
            return Temporary(
                f"the sink failed unexpectedly ({type(error).__name__}); the log has the details"
            )

    def _count(self, sink: ConfiguredSink, delivery: StoredDelivery, outcome: Outcome) -> None:
        """Tell the breaker of the sink; Permanent is a clear answer, and no sign that the sink ails."""
        resting = self._metrics.sink_resting.labels(delivery.authority, delivery.sink)
        if not isinstance(outcome, Temporary):
            resting.set(0)
            if sink.breaker.succeeded():
                log.info("the sink works again", action="sink.works_again", sink=delivery.sink)
            return
        rests = sink.breaker.failed(outcome.after if outcome.of_sink else None)
        resting.set(sink.breaker.until is not None)
        if rests:
            log.warning(
                "the sink is left in peace for a while; what is for it waits",
                action="sink.left_in_peace",
                sink=delivery.sink,
                until=sink.breaker.until,
                reason=outcome.reason,
            )

    def _report(self, delivery: StoredDelivery, outcome: Outcome) -> None:
        word = type(outcome).__name__.lower()
        self._metrics.delivered_total.labels(delivery.authority, delivery.sink, word).inc()
        facts = {"sink": delivery.sink, "delivery": delivery.id, "message_id": delivery.message_id}
        if isinstance(outcome, Delivered):
            sentence, word = ("kept to be fetched", "kept") if outcome.keep else ("delivered", "delivered")
            log.info(sentence, action=f"delivery.{word}", reference=outcome.reference, **facts)
        else:
            log.warning("not delivered", action=f"delivery.{word}", reason=outcome.reason, **facts)

    async def _settle(self, job: Job, delivery: StoredDelivery, outcome: Outcome) -> JobOutcome:
        if isinstance(outcome, Temporary):
            return Retry(outcome.reason, outcome.after)
        if isinstance(outcome, Permanent):
            return Park(outcome.reason)
        try:
            await self._db.write(_finish, job, delivery, outcome, self._clock())
        except StaleState as stale:
            # An operator skipped it while the sink was at work: what the operator said stands.
            log.warning(
                "a delivery was skipped after all, but the sink has it",
                action="delivery.overtaken",
                error=str(stale),
            )
            return Done()
        self._metrics.handling_seconds.labels(delivery.authority).observe(
            (self._clock() - delivery.created_at).total_seconds()
        )
        return Done(already_finished=True)


class StoreCheckpoint:
    """The checkpoint of one delivery, kept in the store, and set only by who holds the job of the delivery."""

    def __init__(self, db: Database, job: Job, package: Package, clock: Clock) -> None:
        self._db = db
        self._job = job
        self._delivery = package.delivery.id
        self._known: dict[str, Json] = dict(package.checkpoints)
        self._earlier = package.earlier
        self._clock = clock

    def get(self, step: str) -> Json | None:
        """What was set for this step in this or an earlier attempt."""
        return self._known.get(step)

    def earlier(self, step: str) -> Json | None:
        """What another delivery of the same verzoek to the same sink set last."""
        return self._earlier.get(step)

    async def set(self, step: str, value: Json, *, note: str | None = None) -> None:
        """Commits the result of a step. Raises LeaseLost where the job is another's by now."""
        now = self._clock()
        await self._db.write(
            set_checkpoint, self._delivery, step, dict(value), now, holder=self._job, note=note
        )
        self._known[step] = value
        mark("checkpoint")  # not its name, in which that of a file may be


class _CheckedReader:
    """Opens content of the spool, and remembers of which it is not known that it is what was stored."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._contents: dict[str, Content] = {}
        self._unread: dict[str, str] = {}
        self.damage: str | None = None

    @property
    def unread(self) -> str | None:
        """Why a content could not be read, that was not read afterwards."""
        return next(iter(self._unread.values()), None)

    def opener(self, path: str, content: Content) -> Callable[[], AsyncGenerator[bytes, None]]:
        """What a handover file has as `open`."""
        self._contents[path] = content
        return lambda: self._read(path, content)

    async def require_present(self) -> None:
        """Raises ContentDamaged when what an opener was made for is gone or has another size."""
        for path, content in self._contents.items():
            try:
                size = await self._spool.stored_size(content)
            except SpoolUnavailable as problem:
                raise _unavailable(path, problem) from problem
            if size != content.size:
                found = "gone" if size is None else f"{size} octets"
                raise self._damaged(f"stored content of {path} is {found}, it was {content.size} octets")

    async def _read(self, path: str, content: Content) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._spool.open(content)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except SpoolDamaged as error:
            raise self._damaged(f"stored content of {path} cannot be read: {error}") from error
        except SpoolUnavailable as problem:
            unavailable = _unavailable(path, problem)
            self._unread[path] = str(unavailable)
            raise unavailable from problem
        self._unread.pop(path, None)

    def _damaged(self, reason: str) -> ContentDamaged:
        self.damage = reason
        return ContentDamaged(reason)


def _unavailable(path: str, problem: SpoolUnavailable) -> ContentUnavailable:
    return ContentUnavailable(f"stored content of {path} cannot be read now: {problem}")


def _keeps(outcome: Outcome) -> bool:
    return isinstance(outcome, Delivered) and outcome.keep


def _can_be_kept(delivery: StoredDelivery) -> bool:
    return delivery.flow is Flow.MESSAGE and delivery.message is not None


def _not_kept(delivery: StoredDelivery) -> Permanent:
    return Permanent(
        f"sink {delivery.sink!r} keeps messages for an application to fetch, and there is no message here to "
        'keep: only a route with flow "message" may lead to it'
    )


def _finish(
    conn: Connection, job: Job, delivery: StoredDelivery, delivered: Delivered, now: datetime
) -> None:
    complete_delivery(
        conn, delivery.id, delivery.state, now, keep=delivered.keep, reference=delivered.reference
    )
    finish_job(conn, job)
