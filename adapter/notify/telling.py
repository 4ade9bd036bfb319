# SPDX-License-Identifier: EUPL-1.2

"""Telling: the handler of the jobs of kind `notify`, one for each channel, which put themselves back for the next time.

The job has the lease, so that of several daemons one sends. What was told is noted after the server took it: where a
daemon dies in between, it is sent again, with the same id and Message-ID if nothing else came to be told meanwhile.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from adapter.config import NotificationEvent
from adapter.notify.channel import Channel, ChannelProblem
from adapter.notify.composing import Composer
from adapter.notify.watching import GATHER
from adapter.observe import Metrics, get_logger
from adapter.store import (
    ChannelState,
    Database,
    Done,
    Job,
    JobKind,
    JobOutcome,
    LeaseLost,
    NewJob,
    Retry,
    Turn,
    Untold,
    channel_state,
    drop_schedules,
    forget_alerts,
    keep_channels,
    keep_schedule,
    note_told,
    require_claim,
    set_channel_state,
    untold_alerts,
)

log = get_logger(__name__)

IDLE: Final = timedelta(minutes=10)
"""When a channel that nobody wakes looks again: what lasts is told again by the clock."""

FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=1)


class Teller:
    """Tells by each channel what there is to tell: everything together, and not more often than its `every`."""

    def __init__(
        self,
        db: Database,
        channels: Mapping[str, Channel],
        composers: Mapping[str, Composer],
        metrics: Metrics,
        clock: Callable[[], datetime],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._db: Final = db
        self._channels: Final = channels
        self._composers: Final = composers
        self._metrics: Final = metrics
        self._clock: Final = clock
        self._chance: Final = chance
        for name in channels:  # there from the start, so that the first one is an increase
            for outcome in ("sent", "failed"):
                metrics.notifications_total.labels(name, outcome)

    async def schedule(self) -> None:
        """See to it that every channel has its job, and nothing is left of others."""
        now, names = self._clock(), tuple(self._channels)
        await self._db.write(drop_schedules, JobKind.NOTIFY, names)
        await self._db.write(keep_channels, names)
        for name in names:
            lane = f"notify:{name}"
            new = NewJob(JobKind.NOTIFY, lane, lane, now)
            # a channel that failed waits longer than one that has nothing to do
            await self._db.write(keep_schedule, new, name, now + LONGEST_RETRY * 1.1, now)

    async def __call__(self, job: Job) -> JobOutcome:
        """Tell what there is, and say when to look again."""
        channel = self._channels.get(job.authority)
        if channel is None:
            return Done()
        try:
            return await self._tell(channel, job)
        except LeaseLost:
            raise
        except Exception as error:  # its job lives for years: crashes must not add up until it is parked
            log.exception(
                "telling people failed in an unforeseen way",
                action="notification.crashed",
                channel=channel.name,
            )
            self._metrics.unexpected_errors_total.labels(kind=JobKind.NOTIFY).inc()
            return Retry(f"{type(error).__name__}: {error}", FIRST_RETRY, patient=True)

    async def _tell(self, channel: Channel, job: Job) -> JobOutcome:
        now, options = self._clock(), channel.options
        state = await self._db.read(channel_state, channel.name)
        if state.try_at is not None and now < state.try_at:
            return Retry("the channel failed", state.try_at - now, patient=True)
        events = frozenset(options.events) - {NotificationEvent.RECOVERED}
        found = await self._db.read(
            untold_alerts, channel.name, events, options.only, now - options.again / 2
        )
        told = _worth_telling(found, now - options.again, NotificationEvent.RECOVERED in options.events)
        if not told:
            over = tuple(one for one in found if one.turn is Turn.OVER)
            if over:  # on a channel that does not tell so
                await self._db.write(_note, job, channel.name, over, None, now)
            return Retry("nothing to tell", IDLE, patient=True)
        due = min(one.since for one in told) + GATHER
        if state.sent_at is not None:
            due = max(due, state.sent_at + options.every)
        if now < due:
            return Retry("gathers what there is to tell", due - now, patient=True)
        return await self._send(channel, job, told, state)

    async def _send(
        self, channel: Channel, job: Job, told: tuple[Untold, ...], state: ChannelState
    ) -> JobOutcome:
        notification = self._composers[channel.name].compose(told, self._clock())
        try:
            await channel.send(notification)
        except ChannelProblem as problem:
            return await self._failed(channel, job, state, str(problem))
        now = self._clock()
        await self._db.write(_note, job, channel.name, told, ChannelState(channel.name, sent_at=now), now)
        self._metrics.notifications_total.labels(channel=channel.name, outcome="sent").inc()
        log.info(
            "people were told",
            action="notification.sent",
            channel=channel.name,
            notification=notification.id,
            told=notification.count,
            failed_before=state.failures,
        )
        return Retry("told", channel.options.every, patient=True)

    async def _failed(self, channel: Channel, job: Job, state: ChannelState, reason: str) -> JobOutcome:
        now = self._clock()
        # bounded, so that a channel that is away for weeks does not overflow
        wait = min(FIRST_RETRY * 2 ** min(state.failures, 10), LONGEST_RETRY) * self._chance(0.75, 1.0)
        failing = ChannelState(
            channel.name,
            sent_at=state.sent_at,
            failures=state.failures + 1,
            failing_since=state.failing_since or now,
            try_at=now + wait,
            reason=reason,
        )
        await self._db.write(_note, job, channel.name, (), failing, now)
        self._metrics.notifications_total.labels(channel=channel.name, outcome="failed").inc()
        log.warning(
            "people could not be told; it is tried again",
            action="notification.failed",
            channel=channel.name,
            reason=reason,
            failures=failing.failures,
            again_in=round(wait.total_seconds()),
        )
        return Retry(reason, wait, patient=True)


def _worth_telling(
    found: Iterable[Untold], last_told_before: datetime, tells_recovery: bool
) -> tuple[Untold, ...]:
    """What is told now: all that lasts as soon as one of it is due again, and what is over where that is wanted."""
    found = tuple(found)
    reminds = any(
        one.turn is Turn.LASTING and one.told_at is not None and one.told_at <= last_told_before
        for one in found
    )
    wanted = {Turn.NEW: True, Turn.LASTING: reminds, Turn.OVER: tells_recovery}
    return tuple(one for one in found if wanted[one.turn])


def _note(
    conn: Connection,
    job: Job,
    channel: str,
    told: tuple[Untold, ...],
    state: ChannelState | None,
    now: datetime,
) -> None:
    """One transaction of who holds the job: what was told, and how the channel fares."""
    require_claim(conn, job)
    note_told(conn, channel, told, now)
    if state is not None:
        set_channel_state(conn, state)
    forget_alerts(conn)
