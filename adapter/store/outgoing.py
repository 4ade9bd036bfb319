# SPDX-License-Identifier: EUPL-1.2

"""Business messages that we send: from the submission to what the partner, or time, made of them.

Late news is never lost: an acknowledgment after giving up corrects the state, so that it says what really happened.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from adapter.store.jobs import NewJob, remove_jobs
from adapter.store.locking import lock_name
from adapter.store.messages import (
    NewMessage,
    NewPayload,
    StoredMessage,
    find_outgoing,
    get_message,
    insert_message,
    lock_message,
    set_message_state,
)
from adapter.store.problems import StoreProblem
from adapter.store.states import JobKind, MessageState
from adapter.store.timeline import add_message_event

OPEN: Final = (MessageState.CREATED, MessageState.SENT)
"""States of a message that is still being sent."""


_CORRECTED_BY_ERROR: Final = (MessageState.EXPIRED, MessageState.TRANSMITTED)


class MessageIdUsed(StoreProblem):
    """We sent a message with this MessageId under this agreement before."""


class News(StrEnum):
    """What a signal about our message meant for it.

    CHANGED: it ended by it. LATE: it had ended without news of the partner, and is corrected. KNOWN: it had ended in
    this way before, or in another that is final.
    """

    CHANGED = "changed"
    LATE = "late"
    KNOWN = "known"


def submit_message(
    conn: Connection, new: NewMessage, payloads: Sequence[NewPayload], job: NewJob, now: datetime
) -> int:
    """Store a message to be sent, its payloads and the job that sends it; return its id (REL-17).

    Raises:
        MessageIdUsed: a MessageId is used once.

    """
    lock_name(conn, "message.id", new.cpa_id, new.message_id)
    if find_outgoing(conn, new.cpa_id, new.message_id) is not None:
        raise MessageIdUsed(f"MessageId {new.message_id} was used before under {new.cpa_id}")
    return insert_message(conn, new, job, now, payloads=payloads)


def acknowledge_message(conn: Connection, row_id: int, now: datetime) -> News:
    """The partner acknowledged our message: it is delivered, and is not sent again (2.3)."""
    lock_message(conn, row_id)
    current = get_message(conn, row_id)
    if current.state in OPEN:
        _end(conn, current, MessageState.DELIVERED, None, now)
        return News.CHANGED
    if current.state is MessageState.EXPIRED:
        set_message_state(
            conn, row_id, MessageState.EXPIRED, MessageState.DELIVERED, "acknowledged late", now
        )
        return News.LATE
    add_message_event(conn, row_id, "message.acknowledged_again", now)
    return News.KNOWN


def reject_message(conn: Connection, row_id: int, reason: str, now: datetime) -> News:
    """The partner answered with an error of severity Error: the message failed (2.4).

    Errors about best-effort messages are reported too; they come after the message was transmitted, and correct that.
    """
    lock_message(conn, row_id)
    current = get_message(conn, row_id)
    if current.state in OPEN:
        _end(conn, current, MessageState.FAILED, reason, now)
        return News.CHANGED
    if current.state in _CORRECTED_BY_ERROR:
        set_message_state(conn, row_id, current.state, MessageState.FAILED, reason, now)
        return News.LATE
    add_message_event(conn, row_id, "message.rejected_again", now, reason=reason)
    return News.KNOWN


def _end(
    conn: Connection, current: StoredMessage, state: MessageState, reason: str | None, now: datetime
) -> None:
    set_message_state(conn, current.id, OPEN, state, reason, now)
    # a job that runs at this moment finds the message ended, and ends itself
    remove_jobs(conn, (JobKind.SEND,), current.id)
