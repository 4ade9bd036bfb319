# SPDX-License-Identifier: EUPL-1.2

"""Writing the notices that applications poll; `events` reads them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, literal, select

from adapter.store.columns import Named, UtcDateTime
from adapter.store.schema import message, message_event
from adapter.store.states import EventType, MessageState

NOTICE_OF_STATE: Final[Mapping[MessageState, EventType]] = {
    MessageState.DELIVERED: EventType.DELIVERED,
    # No acknowledgment was agreed, so there is nothing more to wait for.
    MessageState.TRANSMITTED: EventType.DELIVERED,
    MessageState.FAILED: EventType.FAILED,
    MessageState.EXPIRED: EventType.EXPIRED,
}
"""What an application is told when a business message that it sent comes into a state."""


def add_message_notice(conn: Connection, message_row: int, type: EventType, now: datetime) -> bool:
    """Let applications know something of a message; return whether they were not told that before.

    Nothing happens when there is no such message. There is no line on the timeline for it: the step that it
    belongs to is in the same transaction and has its own.
    """
    of_message = message_event.c.message == message_row
    told = select(message_event.c.id).where(of_message, message_event.c.type == type).exists()
    row = select(
        message.c.id, message.c.authority, literal(type, Named(EventType)), literal(now, UtcDateTime())
    ).where(message.c.id == message_row, ~told)
    return (
        conn.execute(insert(message_event).from_select(["message", "authority", "type", "at"], row)).rowcount
        > 0
    )
