# SPDX-License-Identifier: EUPL-1.2

"""Repair in bulk: what an operator chose by authority, sink, state, reason and period, changed batch by batch.

A `Repair` names rows and what to do with them. It is counted first, and what is changed then is never more than was
counted: rows that came later, or were chosen no longer by their turn, are left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, null, select
from sqlalchemy import update as sql_update

from adapter.store.columns import UtcDateTime
from adapter.store.deliveries import skip_delivery
from adapter.store.jobs import NewJob, partner_lane, unpark_jobs
from adapter.store.reception import resend_response
from adapter.store.schema import agreement, delivery, job, message
from adapter.store.states import (
    AgreementState,
    DeliveryState,
    Direction,
    JobKind,
    JobState,
    MessageKind,
    MessageState,
)
from adapter.store.timeline import add_delivery_event

BATCH: Final = 100
"""How many rows one transaction changes: on a slow machine it works for some tenths of a second."""

RESENDABLE: Final = frozenset({MessageKind.ACKNOWLEDGMENT, MessageKind.ERROR, MessageKind.PONG})
"""The signals that are sent again on request, with the octets of the first time."""

_OF_DELIVERIES: Final = (JobKind.COLLECT, JobKind.DELIVER)
_OF_MESSAGES: Final = (JobKind.SEND, JobKind.ROUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows an operator chose; what is None holds for all.

    `reason` is a text within the reason. `since` and `until` are about when a delivery got its state, and when a
    message was stored; `until` itself is not included.
    """

    authority: str | None = None
    sink: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """How many rows that were chosen are alike; `what` is the sink of a delivery, and the action of a message."""

    authority: str
    what: str
    state: str
    reason: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Repair:
    """Rows, and what is done with them.

    `chosen` selects `id`, `authority`, `what`, `state` and `reason`; `key` is the column behind `id`. `change` takes
    the ids of one batch and returns how many it changed.
    """

    chosen: Select[Any]
    key: ColumnElement[int]
    change: Callable[[Connection, Sequence[int], datetime], int]


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a batch; `last` is where the next one begins, None at the end."""

    changed: int
    last: int | None


def retry_deliveries(choice: Choice, state: DeliveryState, now: datetime) -> Repair:
    """Try deliveries again: those that are parked, or those that wait for their next attempt at once."""
    chosen = _deliveries(choice, (state,), now)
    if state is DeliveryState.PARKED:
        return Repair(chosen, delivery.c.id, _unpark)
    waiting = select(job.c.id).where(job.c.subject == delivery.c.id, *_waits_for_its_time(now)).exists()
    return Repair(chosen.where(waiting), delivery.c.id, _hurry)


def skip_deliveries(choice: Choice, state: DeliveryState, reason: str, now: datetime) -> Repair:
    """Give up deliveries that are on their way or parked, for this reason."""

    def skip(conn: Connection, ids: Sequence[int], at: datetime) -> int:
        for row_id in ids:
            skip_delivery(conn, row_id, reason, at)
        return len(ids)

    return Repair(_deliveries(choice, (state,), now), delivery.c.id, skip)


def retry_messages(choice: Choice, state: MessageState | None, now: datetime) -> Repair:
    """Try again the routing or sending of messages that is parked."""
    columns = (
        job.c.id,
        job.c.authority,
        message.c.action.label("what"),
        message.c.state,
        job.c.reason,
    )
    chosen = (
        select(*columns)
        .select_from(job.join(message, job.c.subject == message.c.id))
        .where(
            job.c.state == JobState.PARKED,
            job.c.kind.in_(_OF_MESSAGES),
            *_holds(choice, job.c.authority, job.c.reason, message.c.created_at, now),
        )
    )
    if state is not None:
        chosen = chosen.where(message.c.state == state)
    return Repair(chosen, job.c.id, _unpark_ids)


def resend_signals(choice: Choice, state: MessageState | None, now: datetime) -> Repair:
    """Send acknowledgments and other signals of ours again, as far as the partner can still use them."""
    chosen = _signals(choice, state, now).where(_use_of_signal(now).is_(None))
    return Repair(chosen, message.c.id, _resend)


def count_unsendable(
    conn: Connection, choice: Choice, state: MessageState | None, now: datetime
) -> Mapping[str, int]:
    """Count the signals that `resend_signals` leaves alone, by why."""
    why = _use_of_signal(now)
    rows = (
        _signals(choice, state, now).where(why.is_not(None)).with_only_columns(why.label("why"), func.count())
    )
    return {str(reason): count for reason, count in conn.execute(rows.group_by(why))}


def count_chosen(conn: Connection, repair: Repair) -> list[Group]:
    """Count what a repair would change, the most numerous first."""
    rows = repair.chosen.subquery()
    alike = (rows.c.authority, rows.c.what, rows.c.state, rows.c.reason)
    query = select(*alike, func.count()).group_by(*alike).order_by(func.count().desc(), *alike)
    return [Group(*row) for row in conn.execute(query)]


def repair_batch(conn: Connection, repair: Repair, after: int, now: datetime, *, limit: int = BATCH) -> Batch:
    """Change the next rows of a repair, beginning behind the id `after`; what another holds now is passed over."""
    query = repair.chosen.where(repair.key > after).order_by(repair.key).limit(limit)
    table = repair.key.table
    ids = [row.id for row in conn.execute(query.with_for_update(of=table, skip_locked=True))]
    if not ids:
        return Batch(0, None)
    return Batch(repair.change(conn, ids, now), ids[-1])


# --- which rows


def _deliveries(choice: Choice, states: Sequence[DeliveryState], now: datetime) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [delivery.c.state.in_(states)]
    conditions += _holds(choice, delivery.c.authority, delivery.c.reason, delivery.c.updated_at, now)
    if choice.sink is not None:
        conditions.append(delivery.c.sink == choice.sink)
    columns = (
        delivery.c.id,
        delivery.c.authority,
        delivery.c.sink.label("what"),
        delivery.c.state,
        delivery.c.reason,
    )
    return select(*columns).where(*conditions)


def _signals(choice: Choice, state: MessageState | None, now: datetime) -> Select[Any]:
    columns = (
        message.c.id,
        message.c.authority,
        message.c.action.label("what"),
        message.c.state,
        message.c.reason,
    )
    query = select(*columns).where(
        message.c.direction == Direction.OUT,
        message.c.kind.in_(RESENDABLE),
        *_holds(choice, message.c.authority, message.c.reason, message.c.created_at, now),
    )
    return query if state is None else query.where(message.c.state == state)


def _use_of_signal(now: datetime) -> ColumnElement[str | None]:
    """Why a signal is of no use any more; NULL where it is."""
    used = select(agreement.c.cpa_id).where(agreement.c.state == AgreementState.ACTIVE)
    return case(
        (message.c.expires_at <= literal(now, UtcDateTime()), "the partner waits for it no longer"),
        (message.c.cpa_id.not_in(used), "its agreement is not in use"),
        else_=null(),
    )


def _holds(
    choice: Choice,
    authority: ColumnElement[str],
    reason: ColumnElement[str | None],
    at: ColumnElement[datetime],
    now: datetime,
) -> list[ColumnElement[bool]]:
    """The conditions of a choice; what comes after `now` is not part of it."""
    conditions: list[ColumnElement[bool]] = [
        at < literal(choice.until, UtcDateTime()) if choice.until else at <= literal(now, UtcDateTime())
    ]
    if choice.since is not None:
        conditions.append(at >= literal(choice.since, UtcDateTime()))
    if choice.authority is not None:
        conditions.append(authority == choice.authority)
    if choice.reason is not None:
        conditions.append(reason.icontains(choice.reason, autoescape=True))
    return conditions


def _waits_for_its_time(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        job.c.kind.in_(_OF_DELIVERIES),
        job.c.state == JobState.READY,
        job.c.not_before > literal(now, UtcDateTime()),
    )


# --- what is done with them


def _unpark(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    return unpark_jobs(conn, _OF_DELIVERIES, ids, now)


def _unpark_ids(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    subjects = conn.execute(select(job.c.subject).where(job.c.id.in_(ids))).scalars()
    return unpark_jobs(conn, _OF_MESSAGES, list(subjects), now)


def _hurry(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    """Make jobs due that wait for a later attempt."""
    rows = conn.execute(
        sql_update(job)
        .where(job.c.subject.in_(ids), *_waits_for_its_time(now))
        .values(not_before=now)
        .returning(job.c.kind, job.c.subject)
    ).all()
    for row in rows:
        add_delivery_event(conn, row.subject, "job.hurried", now, kind=row.kind)
    return len(rows)


def _resend(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    query = select(message.c.id, message.c.authority, message.c.cpa_id).where(message.c.id.in_(ids))
    for row in conn.execute(query.order_by(message.c.id)).all():
        lane = partner_lane(row.authority, row.cpa_id)
        resend_response(conn, row.id, NewJob(JobKind.SEND, lane), now)
    return len(ids)
