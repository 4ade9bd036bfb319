# SPDX-License-Identifier: EUPL-1.2

"""Alerts: what people are to be told, whom it was told to, and how each channel to people fares.

An alert is one thing that is so. It is there from when it was first seen until it has ended and every channel that
told of it told that too. So what was told survives a restart, and several daemons agree about it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy import update as sql_update

from adapter.config import NotificationEvent
from adapter.store.lanes import paused_lanes
from adapter.store.locking import lock_name
from adapter.store.schema import alert, alert_told, delivery, job, message, notification_channel
from adapter.store.states import JobKind, JobState

_SEEN_EVERY: Final = timedelta(minutes=1)
"""How often it is noted that an alert is still so: seldom, since each time is a write."""

_MOST: Final = 500
"""Parked jobs that become alerts in one transaction."""

_MOST_TOLD: Final = 10_000
"""Alerts that one message can be about."""


@dataclass(frozen=True, slots=True)
class NewAlert:
    """Something that is so; `key` is the same for as long as it is. A lower `level` is worse, and told again.

    `detail` has what JSON can hold. Nothing in an alert may be personal: it leaves the adapter.
    """

    key: str
    event: NotificationEvent
    authority: str
    what: str
    level: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as it is in the store; `changed_at` is when it began, or became worse."""

    id: int
    key: str
    event: NotificationEvent
    authority: str
    what: str
    level: int
    detail: Mapping[str, Any]
    changed_at: datetime
    ended_at: datetime | None


class Turn(StrEnum):
    """What there is to tell of an alert: it is new (or worse), it still lasts, or it is over."""

    NEW = "new"
    LASTING = "lasting"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Untold:
    """An alert of which a channel has something to tell, and when it told something of it before."""

    alert: StoredAlert
    turn: Turn
    told_at: datetime | None

    @property
    def since(self) -> datetime:
        """From when on there was this to tell."""
        return self.alert.ended_at or self.alert.changed_at


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel fares: when it last sent, and since when and why it cannot."""

    name: str
    sent_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    try_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FailingWork:
    """Jobs of one kind, to one place, that were tried and failed."""

    kind: str
    authority: str
    to: str
    jobs: int
    most_attempts: int


def settle_alerts(
    conn: Connection,
    events: Collection[NotificationEvent],
    found: Iterable[NewAlert],
    now: datetime,
    grace: timedelta = timedelta(),
) -> bool:
    """Make the alerts of these kinds what was found now; return whether there is anything new to tell.

    With a `grace` what was not found only ends when nobody else found it for so long: other daemons may look at other
    things.
    """
    lock_name(conn, "alerts")
    known = {row.key: row for row in conn.execute(select(alert).where(alert.c.event.in_(events)))}
    wanted = {one.key: one for one in found}
    news = False
    for key, one in wanted.items():
        row = known.get(key)
        values = {"what": one.what, "level": one.level, "detail": dict(one.detail), "seen_at": now}
        if row is None:
            fixed = {"key": key, "event": one.event, "authority": one.authority, "changed_at": now}
            conn.execute(insert(alert).values(**fixed, **values))
            news = True
        elif row.ended_at is not None or row.level != one.level:
            conn.execute(
                sql_update(alert).where(alert.c.id == row.id).values(**values, changed_at=now, ended_at=None)
            )
            news = True
        elif now - row.seen_at >= _SEEN_EVERY:
            conn.execute(sql_update(alert).where(alert.c.id == row.id).values(**values))
    gone = [
        row.id
        for key, row in known.items()
        if row.ended_at is None and key not in wanted and now - row.seen_at >= grace
    ]
    for row_id in gone:
        conn.execute(sql_update(alert).where(alert.c.id == row_id).values(ended_at=now))
    return news or bool(gone)


def settle_parked(conn: Connection, now: datetime) -> bool:
    """Make the alerts of what is parked those of the jobs that are; return whether there is anything new to tell."""
    lock_name(conn, "alerts")
    parked = select(job.c.id).where(job.c.state == JobState.PARKED)
    mine = (alert.c.event == NotificationEvent.PARKED,)
    ended = sql_update(alert).where(*mine, alert.c.ended_at.is_(None), alert.c.job.not_in(parked))
    again = sql_update(alert).where(*mine, alert.c.ended_at.is_not(None), alert.c.job.in_(parked))
    changed = conn.execute(ended.values(ended_at=now)).rowcount
    changed += conn.execute(again.values(ended_at=None, changed_at=now)).rowcount
    known = select(alert.c.job).where(*mine)
    rows = conn.execute(
        _subjects().where(job.c.state == JobState.PARKED, job.c.id.not_in(known)).limit(_MOST)
    )
    fresh = [
        {
            "key": f"{NotificationEvent.PARKED}|{row.id}",
            "event": NotificationEvent.PARKED,
            "authority": row.authority,
            "what": row.verzoeknummer or row.message_id or "",
            "level": 0,
            "detail": {"work": row.kind, "verzoeknummer": row.verzoeknummer, "sink": row.sink},
            "job": row.id,
            "changed_at": now,
            "seen_at": now,
        }
        for row in rows
    ]
    if fresh:
        conn.execute(insert(alert), fresh)
    return bool(fresh or changed)


def failing_work(conn: Connection) -> tuple[FailingWork, ...]:
    """The work that is tried again since it failed, by what it goes to: a sink, an agreement, or nothing in particular.

    What waits for the answer to a Ping or other request of ours is no failure.
    """
    to = case(
        (job.c.kind == JobKind.DELIVER, delivery.c.sink),
        (job.c.kind == JobKind.SEND, message.c.cpa_id),
        else_=literal(""),
    )
    failed = and_(
        job.c.kind.in_((JobKind.SEND, JobKind.COLLECT, JobKind.DELIVER)),
        job.c.state.in_((JobState.READY, JobState.RUNNING)),
        job.c.reason.is_not(None),
        job.c.attempts > 0,
    )
    of_request = and_(job.c.kind == JobKind.SEND, message.c.kind.in_(("ping", "status_request")))
    found = (
        select(job.c.kind, job.c.authority, to.label("to"), job.c.attempts)
        .select_from(_with_subjects())
        .where(failed, ~func.coalesce(of_request, literal(False)))
        .subquery()
    )
    columns = (found.c.kind, found.c.authority, found.c.to)
    counted = (func.count().label("jobs"), func.max(found.c.attempts).label("most_attempts"))
    query = select(*columns, *counted).group_by(*columns)
    return tuple(
        FailingWork(row.kind, row.authority, row.to or "", row.jobs, row.most_attempts)
        for row in conn.execute(query)
    )


def untaken_jobs(conn: Connection, due_before: datetime) -> int:
    """How many jobs are due since then and not taken, though nothing keeps them: no pause, no order, no failure."""
    failing = select(job.c.lane).where(
        job.c.reason.is_not(None), job.c.attempts > 0, job.c.state.in_((JobState.READY, JobState.RUNNING))
    )
    holder = job.alias("holder")
    is_held = (
        select(holder.c.id).where(holder.c.holds_key == job.c.order_key, holder.c.id != job.c.id).exists()
    )
    query = select(func.count()).where(
        job.c.state == JobState.READY,
        job.c.not_before <= due_before,
        job.c.kind.in_((JobKind.SEND, JobKind.ROUTE, JobKind.COLLECT, JobKind.DELIVER)),
        job.c.lane.not_in(paused_lanes()),
        job.c.lane.not_in(failing),
        ~is_held,
    )
    return conn.execute(query).scalar_one()


def untold_alerts(
    conn: Connection,
    channel: str,
    events: Collection[NotificationEvent],
    authorities: Collection[str] | None,
    lasting_since: datetime,
) -> tuple[Untold, ...]:
    """What a channel has to tell, the oldest first.

    `authorities`: None is all; what is of no authority is for everybody. What lasts is told again when it was last told
    before `lasting_since`, but for what has its own rhythm.
    """
    joined = alert.outerjoin(
        alert_told, and_(alert_told.c.alert == alert.c.id, alert_told.c.channel == channel)
    )
    lasts = and_(alert_told.c.at <= lasting_since, alert.c.level == 0)
    turn = case(
        (alert.c.ended_at.is_not(None), literal(Turn.OVER.value)),
        (alert_told.c.alert.is_(None), literal(Turn.NEW.value)),
        (alert.c.level != alert_told.c.level, literal(Turn.NEW.value)),
        else_=literal(Turn.LASTING.value),
    )
    is_open = and_(
        alert.c.ended_at.is_(None),
        or_(alert_told.c.alert.is_(None), alert.c.level != alert_told.c.level, lasts),
    )
    is_over = and_(alert.c.ended_at.is_not(None), alert_told.c.alert.is_not(None))
    query = (
        select(*_columns(), turn.label("turn"), alert_told.c.at.label("told_at"))
        .select_from(joined)
        .where(alert.c.event.in_(events), or_(is_open, is_over))
        .order_by(alert.c.changed_at, alert.c.id)
        .limit(_MOST_TOLD)
    )
    if authorities is not None:
        query = query.where(alert.c.authority.in_((*authorities, "")))
    found = []
    for row in conn.execute(query):
        values = dict(row._mapping)
        turn_of, told_at = Turn(values.pop("turn")), values.pop("told_at")
        found.append(Untold(StoredAlert(**values), turn_of, told_at))
    return tuple(found)


def note_told(conn: Connection, channel: str, told: Sequence[Untold], now: datetime) -> None:
    """Remember what a channel told."""
    for start in range(0, len(told), _MOST):
        _note_told(conn, channel, told[start : start + _MOST], now)


def _note_told(conn: Connection, channel: str, told: Sequence[Untold], now: datetime) -> None:
    ids = [one.alert.id for one in told]
    conn.execute(delete(alert_told).where(alert_told.c.channel == channel, alert_told.c.alert.in_(ids)))
    there = set(conn.scalars(select(alert.c.id).where(alert.c.id.in_(ids))))
    values = [
        {"alert": one.alert.id, "channel": channel, "level": one.alert.level, "at": now}
        for one in told
        if one.turn is not Turn.OVER and one.alert.id in there
    ]
    if values:
        conn.execute(insert(alert_told), values)


def forget_alerts(conn: Connection) -> int:
    """Remove what is over and of which no channel has anything to tell; return how many."""
    told = select(alert_told.c.alert)
    return conn.execute(delete(alert).where(alert.c.ended_at.is_not(None), alert.c.id.not_in(told))).rowcount


def open_keys(conn: Connection, event: NotificationEvent) -> frozenset[str]:
    """The keys of the alerts of a kind that there are."""
    query = select(alert.c.key).where(alert.c.event == event, alert.c.ended_at.is_(None))
    return frozenset(conn.scalars(query))


def open_alerts(conn: Connection) -> Mapping[NotificationEvent, int]:
    """How many alerts there are of each kind."""
    query = select(alert.c.event, func.count().label("alerts")).where(alert.c.ended_at.is_(None))
    return {row.event: row.alerts for row in conn.execute(query.group_by(alert.c.event))}


def channel_state(conn: Connection, name: str) -> ChannelState:
    """How a channel fares."""
    row = conn.execute(select(notification_channel).where(notification_channel.c.name == name)).one_or_none()
    return ChannelState(name) if row is None else ChannelState(**row._mapping)


def channel_states(conn: Connection) -> tuple[ChannelState, ...]:
    """How the channels fare that ever had something to do, by name."""
    query = select(notification_channel).order_by(notification_channel.c.name)
    return tuple(ChannelState(**row._mapping) for row in conn.execute(query))


def set_channel_state(conn: Connection, state: ChannelState) -> None:
    """Remember how a channel fares."""
    table = notification_channel
    values = {column.name: getattr(state, column.name) for column in table.c if column.name != "name"}
    if not conn.execute(sql_update(table).where(table.c.name == state.name).values(**values)).rowcount:
        conn.execute(insert(table).values(name=state.name, **values))


def keep_channels(conn: Connection, names: Collection[str]) -> None:
    """Forget what was told by channels that are not there any more, so that what is over can go."""
    tables: tuple[tuple[Table, str], ...] = ((alert_told, "channel"), (notification_channel, "name"))
    for table, column in tables:
        conn.execute(delete(table).where(table.c[column].not_in(names)))


def _columns() -> tuple[Any, ...]:
    names = ("id", "key", "event", "authority", "what", "level", "detail", "changed_at", "ended_at")
    return tuple(alert.c[name] for name in names)


def _with_subjects() -> Any:
    of_delivery = job.c.kind.in_((JobKind.COLLECT, JobKind.DELIVER))
    of_message = job.c.kind.in_((JobKind.SEND, JobKind.ROUTE))
    return job.outerjoin(delivery, and_(of_delivery, delivery.c.id == job.c.subject)).outerjoin(
        message, and_(of_message, message.c.id == job.c.subject)
    )


def _subjects() -> Select[Any]:
    columns = (job.c.id, job.c.kind, job.c.authority)
    of_subject = (delivery.c.verzoeknummer, delivery.c.sink, message.c.message_id)
    return select(*columns, *of_subject).select_from(_with_subjects()).order_by(job.c.id)
