# SPDX-License-Identifier: EUPL-1.2

"""What applications are told of messages, until they say that they dealt with it.

Every poll reads the index of unprocessed notices from its start, per authority and type, so what it costs
grows neither with what was processed before nor with what waits for other authorities.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest
from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy import update as sql_update

from adapter.store.filters import MessageFilter, equals, filter_conditions
from adapter.store.messages import StoredMessage, lock_message, messages_by_id
from adapter.store.schema import message, message_event
from adapter.store.states import EventType
from adapter.store.timeline import add_message_event


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """Something that an application is to be told of a message, since `at`."""

    message: StoredMessage
    type: EventType
    at: datetime


def find_message_events(
    conn: Connection,
    *,
    authorities: Collection[str] | None,
    types: Collection[EventType] | None,
    filters: MessageFilter,
    limit: int,
) -> list[MessageEvent]:
    """Find what no application dealt with yet, oldest first, at most `limit`; None is every one there is."""
    waiting = _authorities(conn)
    asked = waiting if authorities is None else waiting & set(authorities)
    kinds = set(EventType) if types is None else set(types)
    found = (
        row
        for authority in asked
        for type_ in kinds
        for row in _unprocessed(conn, authority, type_, filters, limit)
    )
    rows = nsmallest(limit, found, key=lambda row: row.id)
    messages = messages_by_id(conn, {row.message for row in rows})
    return [MessageEvent(messages[row.message], row.type, row.at) for row in rows]


def mark_event_processed(conn: Connection, message_row: int, now: datetime) -> bool:
    """Note that an application dealt with the oldest notice of a message; return whether there was one.

    One at a time: a notice that was written after the application looked (delivered, once it was sent again
    after it had failed) stays until it was seen too.
    """
    lock_message(conn, message_row)
    of_message = (message_event.c.message == message_row, message_event.c.processed_at.is_(None))
    oldest = select(func.min(message_event.c.id)).where(*of_message).scalar_subquery()
    row = conn.execute(
        sql_update(message_event)
        .where(message_event.c.id == oldest, message_event.c.processed_at.is_(None))
        .values(processed_at=now)
        .returning(message_event.c.type)
    ).one_or_none()
    if row is None:
        return False
    add_message_event(conn, message_row, "message.notice_processed", now, notice=row.type)
    return True


def _authorities(conn: Connection) -> set[str]:
    """The authorities with unprocessed notices: from one to the next over the index."""
    unprocessed = message_event.c.processed_at.is_(None)
    first = select(func.min(message_event.c.authority).label("authority")).where(unprocessed)
    found = first.cte("authorities_found", recursive=True)
    following = (
        select(func.min(message_event.c.authority))
        .where(unprocessed, message_event.c.authority > found.c.authority)
        .scalar_subquery()
    )
    found = found.union_all(select(following).where(found.c.authority.is_not(None)))
    return set(conn.execute(select(found.c.authority).where(found.c.authority.is_not(None))).scalars())


def _unprocessed(
    conn: Connection, authority: str, type: EventType, filters: MessageFilter, limit: int
) -> Iterator[Row[Any]]:
    query = select(message_event.c.id, message_event.c.message, message_event.c.type, message_event.c.at)
    if conditions := filter_conditions(filters):
        query = query.join(message, message_event.c.message == message.c.id).where(*conditions)
    query = query.where(
        equals(message_event.c.authority, authority, filters),
        message_event.c.type == type,
        message_event.c.processed_at.is_(None),
    )
    return iter(conn.execute(query.order_by(message_event.c.id).limit(limit)))
