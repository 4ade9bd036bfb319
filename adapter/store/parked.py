# SPDX-License-Identifier: EUPL-1.2

"""What waits for an operator, of every kind: listed, tried again, given up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, select

from adapter.store.deliveries import skip_delivery
from adapter.store.jobs import remove_jobs, unpark_by_id
from adapter.store.messages import set_message_state
from adapter.store.outgoing import OPEN
from adapter.store.pages import Page, Place, behind, bounded, page_end
from adapter.store.schema import delivery, job, message
from adapter.store.states import JobKind, JobState, MessageState

_OF_MESSAGES: Final = (JobKind.SEND, JobKind.ROUTE)
_OF_DELIVERIES: Final = (JobKind.COLLECT, JobKind.DELIVER)


class ParkedKind(StrEnum):
    """The kinds of work that can be parked."""

    SEND = JobKind.SEND
    ROUTE = JobKind.ROUTE
    COLLECT = JobKind.COLLECT
    DELIVER = JobKind.DELIVER
    RECONCILE = JobKind.RECONCILE


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedItem:
    """A parked job, and what it is about: a message (`send`, `route`), a delivery (`collect`, `deliver`) or nothing
    but the authority.

    `created_at` is when the work was made; `action` is the one of the message; `state` of a message is not None where
    the job is about it.
    """

    id: int
    kind: str
    authority: str
    lane: str
    reason: str | None
    attempts: int
    created_at: datetime
    message: int | None
    message_id: str | None
    action: str | None
    state: MessageState | None
    delivery: int | None
    verzoeknummer: str | None
    name: str | None
    sink: str | None

    @property
    def subject(self) -> str | None:
        """What people know it by: the verzoeknummer, else the MessageId, else the name of the delivery."""
        return self.verzoeknummer or self.message_id or self.name

    @property
    def can_be_skipped(self) -> bool:
        """Whether it can be given up; what is done on a schedule comes again anyway."""
        return self.message is not None or self.delivery is not None


def list_parked(
    conn: Connection,
    authorities: Collection[str],
    *,
    kind: str | None = None,
    lane: str | None = None,
    reason: str | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> Page[ParkedItem]:
    """A page of what is parked, the newest work first; `reason` is a text within the reason, in any case."""
    query = _parked(authorities)
    if kind is not None:
        query = query.where(job.c.kind == kind)
    if lane is not None:
        query = query.where(job.c.lane == lane)
    if reason is not None:
        query = query.where(job.c.reason.icontains(reason, autoescape=True))
    if after is not None:
        query = query.where(behind(job.c.created_at, job.c.id, after))
    query = query.order_by(job.c.created_at.desc(), job.c.id.desc()).limit(bounded(limit))
    rows = conn.execute(query).all()
    shown = rows[: bounded(limit) - 1]
    return Page(tuple(map(_item, shown)), page_end(rows, limit, job, "created_at"))


def find_parked(conn: Connection, ids: Sequence[int], authorities: Collection[str]) -> tuple[ParkedItem, ...]:
    """What of these jobs is parked, and of these authorities."""
    return tuple(
        _item(row) for row in conn.execute(_parked(authorities).where(job.c.id.in_(ids)).order_by(job.c.id))
    )


def count_parked(conn: Connection, authorities: Collection[str]) -> dict[str, int]:
    """Count what is parked, by the kind of its work."""
    query = select(job.c.kind, func.count().label("parked")).where(
        job.c.state == JobState.PARKED, job.c.authority.in_(sorted(authorities))
    )
    return {row.kind: row.parked for row in conn.execute(query.group_by(job.c.kind))}


def retry_parked(
    conn: Connection, ids: Sequence[int], authorities: Collection[str], now: datetime
) -> tuple[ParkedItem, ...]:
    """Try parked jobs again, those of these authorities; what is parked no more is passed over."""
    items = _locked(conn, ids, authorities)
    unpark_by_id(conn, [item.id for item in items], now)
    return items


def skip_parked(
    conn: Connection, ids: Sequence[int], authorities: Collection[str], reason: str, now: datetime
) -> tuple[ParkedItem, ...]:
    """Give parked work up, for this reason: a delivery is skipped, a message is not sent or routed any more.

    What is parked no more, or cannot be given up, is passed over.
    """
    items = tuple(item for item in _locked(conn, ids, authorities) if item.can_be_skipped)
    for item in items:
        if item.delivery is not None:
            skip_delivery(conn, item.delivery, reason, now)
        elif item.message is not None:
            _skip_message(conn, item, item.message, reason, now)
    return items


def _skip_message(conn: Connection, item: ParkedItem, row_id: int, reason: str, now: datetime) -> None:
    """A message that is sent no more has failed; one that is routed no more was seen to."""
    remove_jobs(conn, (item.kind,), row_id)
    said = f"skipped: {reason}"
    if item.state in OPEN:
        set_message_state(conn, row_id, OPEN, MessageState.FAILED, said, now)
    elif item.state is MessageState.RECEIVED and item.kind == JobKind.ROUTE:
        set_message_state(conn, row_id, MessageState.RECEIVED, MessageState.PROCESSED, said, now)


def _locked(conn: Connection, ids: Sequence[int], authorities: Collection[str]) -> tuple[ParkedItem, ...]:
    """Those of the jobs that are parked, which nobody else changes before this transaction ended."""
    query = _parked(authorities).where(job.c.id.in_(ids)).order_by(job.c.id)
    return tuple(_item(row) for row in conn.execute(query.with_for_update(of=job, skip_locked=True)))


def _parked(authorities: Collection[str]) -> Select[Any]:
    about_message = and_(job.c.kind.in_(_OF_MESSAGES), message.c.id == job.c.subject)
    about_delivery = and_(job.c.kind.in_(_OF_DELIVERIES), delivery.c.id == job.c.subject)
    columns = (
        *(job.c.id, job.c.kind, job.c.authority, job.c.lane, job.c.reason, job.c.attempts, job.c.created_at),
        message.c.id.label("message"),
        *(message.c.message_id, message.c.action, message.c.state),
        delivery.c.id.label("delivery"),
        *(delivery.c.verzoeknummer, delivery.c.name, delivery.c.sink),
    )
    tables = job.outerjoin(message, about_message).outerjoin(delivery, about_delivery)
    return (
        select(*columns)
        .select_from(tables)
        .where(job.c.state == JobState.PARKED, job.c.authority.in_(sorted(authorities)))
    )


def _item(row: Row[Any]) -> ParkedItem:
    return ParkedItem(**row._mapping)
