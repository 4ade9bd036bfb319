# SPDX-License-Identifier: EUPL-1.2

"""Mailboxes: sinks whose messages stay in the store until an application fetched them and says so.

What waits in one are its deliveries of flow `message` that are DELIVERED and not processed; which sinks are
mailboxes is known to who asks, from the configuration.
"""

from collections.abc import Collection
from datetime import datetime
from heapq import nsmallest

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy import update as sql_update

from adapter.store.delivering import mark_message_processed
from adapter.store.filters import MessageFilter, equals, filter_conditions
from adapter.store.messages import StoredMessage, messages_by_id
from adapter.store.schema import delivery, message
from adapter.store.states import DeliveryState, Flow
from adapter.store.timeline import add_delivery_event

Mailbox = tuple[str, str]
"""A mailbox by the names of the authority and of the sink."""


def mailbox_messages(
    conn: Connection, mailboxes: Collection[Mailbox], filter: MessageFilter, limit: int
) -> list[StoredMessage]:
    """Find the messages that wait in these mailboxes, oldest first, at most `limit`."""
    found = (row for mailbox in set(mailboxes) for row in _waiting(conn, mailbox, filter, limit))
    # One that was put in twice (an operator routed it again) is one message.
    rows = dict.fromkeys(row_id for _, row_id in nsmallest(limit, found))
    messages = messages_by_id(conn, rows)
    return [messages[row_id] for row_id in rows]


def is_in_mailbox(conn: Connection, mailboxes: Collection[Mailbox], message_row: int) -> bool:
    """Whether a message waits in one of these mailboxes."""
    query = select(delivery.c.authority, delivery.c.sink).where(*_is_waiting(message_row))
    return not set(mailboxes).isdisjoint((row.authority, row.sink) for row in conn.execute(query))


def mark_mailbox_processed(conn: Connection, message_row: int, now: datetime) -> bool:
    """Note that an application has a message: it leaves its mailbox and is PROCESSED.

    Returns:
        Whether it was waiting in one; else nothing was changed.

    """
    rows = conn.execute(
        sql_update(delivery)
        .where(*_is_waiting(message_row))
        .values(processed_at=now, updated_at=now)
        .returning(delivery.c.id, delivery.c.sink)
    ).all()
    for row in rows:
        add_delivery_event(conn, row.id, "delivery.processed", now, sink=row.sink)
    if rows:
        mark_message_processed(conn, message_row, now)
    return bool(rows)


def _waiting(conn: Connection, mailbox: Mailbox, filter: MessageFilter, limit: int) -> list[tuple[int, int]]:
    """The first deliveries that wait in a mailbox, each with its message; by the index of the unprocessed."""
    query = select(delivery.c.id, delivery.c.message)
    if conditions := filter_conditions(filter):
        query = query.join(message, delivery.c.message == message.c.id).where(*conditions)
    query = query.where(
        equals(delivery.c.authority, mailbox[0], filter),
        delivery.c.sink == mailbox[1],
        delivery.c.flow == Flow.MESSAGE,
        equals(delivery.c.state, DeliveryState.DELIVERED, filter),
        delivery.c.processed_at.is_(None),
        delivery.c.message.is_not(None),  # retention may have removed it
    )
    return [(row.id, row.message) for row in conn.execute(query.order_by(delivery.c.id).limit(limit))]


def _is_waiting(message_row: int) -> tuple[ColumnElement[bool], ...]:
    return (
        delivery.c.message == message_row,
        delivery.c.flow == Flow.MESSAGE,
        delivery.c.state == DeliveryState.DELIVERED,
        delivery.c.processed_at.is_(None),
    )
