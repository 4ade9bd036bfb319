# SPDX-License-Identifier: EUPL-1.2

"""Watching: sees what people are to be told of, and keeps that in the store as alerts.

Every daemon looks, and finds the same in the store. What each knows by itself, the certificates in its own files, is
over only when none has seen it for a while.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapter.authorities import Authorities
from adapter.config import Config, NotificationEvent
from adapter.notify.outage import Outage
from adapter.observe import Metrics, get_logger
from adapter.store import (
    ChannelState,
    Contact,
    Database,
    FailingWork,
    JobKind,
    NewAlert,
    StoreProblem,
    bring_schedules_forward,
    channel_states,
    contacts,
    failing_work,
    forget_alerts,
    open_alerts,
    open_keys,
    settle_alerts,
    settle_parked,
    untaken_jobs,
)

log = get_logger(__name__)

EVERY: Final = timedelta(seconds=15)
"""Between two looks."""

GATHER: Final = timedelta(seconds=30)
"""How long the first thing to tell waits for others, so that they go together."""

DAYS: Final = (60, 30, 14, 7, 1)
"""How many days before its end it is told that something ends; and once more when it has."""

LATE: Final = timedelta(minutes=15)
"""How long work may be due before that is told."""

_GRACE: Final = timedelta(minutes=5)
"""When what no daemon sees any more is over."""

_ATTEMPTS: Final = 3
_JOBS: Final = 5
"""Failed attempts at one job, or jobs that failed, after which a sink or source counts as failing."""


class Ending(Protocol):
    """Something that ends; `kind` agreement is a CPA, every other a certificate."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def authority(self) -> str:
        """Whose; empty for what serves all."""

    @property
    def what(self) -> str:
        """Which."""

    @property
    def end(self) -> datetime:
        """When it ends."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a daemon knows at one moment, beside what is in the store."""

    now: datetime
    config: Config
    authorities: Authorities
    endings: tuple[NewAlert, ...] | None


@dataclass(slots=True)
class Watch:
    """Looks again and again. `endings` is None as long as it is not known what ends."""

    db: Database
    config: Callable[[], Config]
    authorities: Callable[[], Authorities]
    endings: Callable[[], Sequence[Ending] | None]
    outage: Outage
    metrics: Metrics
    clock: Callable[[], datetime]
    _states: tuple[ChannelState, ...] = field(default=())

    def warnings(self) -> list[str]:
        """One sentence for each channel that cannot tell anything now."""
        return [
            f"notifications by channel {state.name} fail since {state.failing_since:%Y-%m-%d %H:%M} UTC: "
            f"{state.reason}; see `stam-adapter notify test`"
            for state in self._states
            if state.failing_since is not None
        ]

    async def watch(self, every: timedelta = EVERY) -> None:
        """Look every so often, until cancelled; a store that cannot be used is told too, when that lasts."""
        while True:
            try:
                await self.look()
            except (StoreProblem, SQLAlchemyError) as problem:
                await self.outage.note(type(problem).__name__)
            except Exception:  # the watch must outlive what nobody foresaw
                log.exception("what people are to be told cannot be seen", action="notification.crashed")
                self.metrics.unexpected_errors_total.labels(kind="notify").inc()
            else:
                await self.outage.over()
            await asyncio.sleep(every.total_seconds())

    async def look(self) -> None:
        """Make the alerts in the store what is so now, and wake the channels where there is news.

        Raises StoreProblem.
        """
        now, endings = self.clock(), self.endings()
        found = None if endings is None else tuple(_endings(endings, now))
        await self.db.write(_settle, _Seen(now, self.config(), self.authorities(), found))
        self._states = await self.db.read(channel_states)
        counts = await self.db.read(open_alerts)
        for event in set(NotificationEvent) - {NotificationEvent.RECOVERED, NotificationEvent.DATABASE}:
            self.metrics.alerts.labels(event=event).set(counts.get(event, 0))


def _settle(conn: Connection, seen: _Seen) -> None:
    """One transaction: everything that is so now."""
    now = seen.now
    news = settle_parked(conn, now)
    if seen.endings is not None:
        ending = (NotificationEvent.CERTIFICATE, NotificationEvent.CPA)
        news |= settle_alerts(conn, ending, seen.endings, now, _GRACE)
    work = failing_work(conn)
    for event, kind in ((NotificationEvent.SINK, JobKind.DELIVER), (NotificationEvent.DSO, JobKind.COLLECT)):
        of_kind = [one for one in work if one.kind == kind]
        news |= settle_alerts(conn, (event,), _failing(event, of_kind, open_keys(conn, event)), now)
    unsent = [one for one in work if one.kind == JobKind.SEND]
    partners = {one.key: one for one in _unreachable(seen, contacts(conn), unsent)}
    news |= settle_alerts(conn, (NotificationEvent.PARTNER,), partners.values(), now)
    news |= settle_alerts(conn, (NotificationEvent.BACKLOG,), _backlog(untaken_jobs(conn, now - LATE)), now)
    forget_alerts(conn)
    if news:
        bring_schedules_forward(conn, JobKind.NOTIFY, now + GATHER)


def level_of(end: datetime, now: datetime) -> int | None:
    """Which of `DAYS` the time before an end has come down to; 0 once it has ended, None where it is too early."""
    if end <= now:
        return 0
    return next((days for days in reversed(DAYS) if end - now <= timedelta(days=days)), None)


def _endings(endings: Iterable[Ending], now: datetime) -> Iterator[NewAlert]:
    for one in endings:
        level = level_of(one.end, now)
        if level is None:
            continue
        event = NotificationEvent.CPA if one.kind == "agreement" else NotificationEvent.CERTIFICATE
        key = "|".join((event, one.authority, one.kind, one.what, one.end.isoformat()))
        detail = {"kind": one.kind, "end": one.end.isoformat()}
        yield NewAlert(key, event, one.authority, one.what, level, detail)


def _failing(
    event: NotificationEvent, work: Iterable[FailingWork], known: frozenset[str]
) -> Iterator[NewAlert]:
    """Where work fails again and again; once that is so, until none of it does."""
    for one in work:
        key = f"{event}|{one.authority}|{one.to}"
        if one.most_attempts >= _ATTEMPTS or one.jobs >= _JOBS or key in known:
            yield NewAlert(key, event, one.authority, one.to, detail={"jobs": one.jobs})


def _unreachable(seen: _Seen, pinged: Iterable[Contact], unsent: Iterable[FailingWork]) -> Iterator[NewAlert]:
    """The partners that did not answer pings, or that could not be sent to, so often in a row."""
    failures = [(one.authority, one.cpa_id, one.failures) for one in pinged]
    failures += [(one.authority, one.to, one.most_attempts) for one in unsent]
    for authority, cpa_id, count in failures:
        settings = seen.config.authorities.get(authority)
        if settings is None or count < settings.ping_failures_of(cpa_id):
            continue
        known = seen.authorities.find_agreement(cpa_id)
        partner = known.agreement.them.name if known is not None else "?"
        key = f"{NotificationEvent.PARTNER}|{authority}|{cpa_id}"
        yield NewAlert(key, NotificationEvent.PARTNER, authority, cpa_id, detail={"partner": partner})


def _backlog(late: int) -> Iterator[NewAlert]:
    if late:
        detail = {"jobs": late, "minutes": LATE // timedelta(minutes=1)}
        yield NewAlert(NotificationEvent.BACKLOG, NotificationEvent.BACKLOG, "", "", detail=detail)
