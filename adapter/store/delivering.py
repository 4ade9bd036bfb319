# SPDX-License-Identifier: EUPL-1.2

"""The end of a delivery: the other side took it, or it is kept until an application fetched it."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from adapter.store.deliveries import move_delivery
from adapter.store.messages import set_message_state
from adapter.store.notices import add_message_notice
from adapter.store.problems import StaleState
from adapter.store.schema import delivery, message
from adapter.store.states import DeliveryState, EventType, Flow, MessageState

_STATE: Final = select(message.c.state).where(message.c.id == bindparam("row")).with_for_update()


def complete_delivery(
    conn: Connection,
    row_id: int,
    expected: DeliveryState,
    now: datetime,
    *,
    keep: bool = False,
    reference: str | None = None,
) -> None:
    """Move a delivery from the expected state to DELIVERED, and its message with it.

    Taken by the other side, which calls it by this `reference`, the message is PROCESSED. To `keep` it puts it in the
    mailbox that the sink is: the message stays RECEIVED, and applications are told of it.

    Raises:
        StaleState: the delivery is not in the expected state, or there is no message of it to be kept;
            nothing was changed.

    """
    if keep:
        _keep(conn, row_id, expected, now)
        return
    row = move_delivery(
        conn,
        row_id,
        (expected,),
        DeliveryState.DELIVERED,
        None,
        now,
        processed_at=now,
        reference=reference,
    )
    if row.message is not None:
        mark_message_processed(conn, row.message, now)


def mark_message_processed(conn: Connection, message_row: int, now: datetime) -> None:
    """Move a received message to PROCESSED; one that is so already, or is gone, stays as it is."""
    if conn.execute(_STATE, {"row": message_row}).scalar_one_or_none() is MessageState.RECEIVED:
        set_message_state(conn, message_row, MessageState.RECEIVED, MessageState.PROCESSED, None, now)


def _keep(conn: Connection, row_id: int, expected: DeliveryState, now: datetime) -> None:
    kept = conn.execute(
        select(delivery.c.message).where(delivery.c.id == row_id, delivery.c.flow == Flow.MESSAGE)
    ).scalar_one_or_none()
    if kept is None:
        raise StaleState(f"delivery {row_id} is not one of a message, so there is nothing to keep")
    move_delivery(conn, row_id, (expected,), DeliveryState.DELIVERED, None, now, said="kept")
    add_message_notice(conn, kept, EventType.RECEIVED, now)
