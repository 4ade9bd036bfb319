# SPDX-License-Identifier: EUPL-1.2

"""The receive path: what was received, the answer to it and the work that follows, in one transaction.

The unique key of `received_id` decides what is a duplicate, in the same transaction that stores the message;
so a message is neither lost (noted before it was stored) nor taken twice (stored before it was noted).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from adapter.store.jobs import NewJob, add_job, jobs_for
from adapter.store.messages import (
    NewMessage,
    NewPayload,
    StoredMessage,
    add_message_row,
    add_payloads,
    get_message,
    lock_message,
    message_action,
)
from adapter.store.schema import job as job_table
from adapter.store.schema import message, received_id, refused_body
from adapter.store.states import JobKind, JobState, MessageState
from adapter.store.timeline import add_message_event

_Key = Mapping[str, str]
"""The values of a primary key, by the names of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """A message that is in order, and everything that follows from it.

    `content_digest` tells a repeat from another message under the same MessageId; `keep_until` is how long
    the MessageId is remembered (EB 6.4.6 PersistDuration). `eliminate_duplicates`: the message asks for it.
    `response_job` is None when the response goes back in the HTTP response.
    """

    message: NewMessage
    payloads: tuple[NewPayload, ...] = ()
    content_digest: str
    keep_until: datetime
    eliminate_duplicates: bool
    response: NewMessage | None
    route: NewJob | None
    response_job: NewJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A message that is refused, and the error that answers it.

    `under_message_id`: the message is known to come from the other party, so that the error is the answer to
    its MessageId; otherwise the error is found again by `content_digest`, the digest of the raw content.
    """

    message: NewMessage
    response: NewMessage | None
    under_message_id: bool
    content_digest: str
    keep_until: datetime
    reason: str | None = None
    response_job: NewJob | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message was stored: the ids of it and of its response."""

    message: int
    response: int | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The message was received before: the id of the first one, and the response that was given."""

    message: int | None
    response: StoredMessage | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another message with this MessageId was received before."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ReceivedId:
    """A MessageId that is remembered; `message` and `response` are ids of messages."""

    authority: str
    cpa_id: str
    from_party: str
    message_id: str
    content_digest: str
    message: int | None
    response: int | None
    received_at: datetime
    keep_until: datetime


def accept(conn: Connection, reception: Reception, now: datetime) -> Accepted | Duplicate | Conflict:
    """Store a message, its payloads, its response and the jobs that follow.

    A message that was received before changes nothing but the timeline, and gives the stored response. A
    MessageId is remembered until it is purged, even when its time has passed.
    """
    new = reception.message
    if reception.eliminate_duplicates:
        earlier = _remember(conn, new, reception.content_digest, reception.keep_until, now)
        if earlier is not None:
            return _answer_again(conn, earlier, reception.content_digest, now)
    row_id = add_message_row(conn, new, MessageState.RECEIVED, None, now)
    add_payloads(conn, row_id, reception.payloads)
    add_message_event(conn, row_id, message_action(new.kind, "received"), now)
    response = _store_response(conn, reception.response, reception.response_job, now)
    if reception.eliminate_duplicates:
        _IDS.set(conn, _received_key(new), {"message": row_id, "response": response})
    if reception.route is not None:
        add_job(conn, reception.route, new.authority, row_id, now)
    return Accepted(row_id, response)


def find_received(
    conn: Connection, authority: str, cpa_id: str, from_party: str, message_id: str
) -> ReceivedId | None:
    """Find a MessageId that is remembered, with its response."""
    key = {"authority": authority, "cpa_id": cpa_id, "from_party": from_party, "message_id": message_id}
    row = _IDS.find(conn, key)
    return None if row is None else ReceivedId(**row._mapping)


def refuse(conn: Connection, refusal: Refusal, now: datetime) -> int | None:
    """Store the evidence of a refused message (no payloads), and the error that answers it.

    When the same message was answered before (two copies at the same time), the first answer stands and
    nothing is stored.

    Returns:
        The id of the message that is the answer; None when there is none.

    """
    earlier = _remember_refusal(conn, refusal, now)
    if earlier is not None and earlier.content_digest == refusal.content_digest:
        _note_duplicate(conn, earlier.message or earlier.response, now)
        return earlier.response
    new = refusal.message
    row_id = add_message_row(conn, new, MessageState.REFUSED, refusal.reason, now)
    action = message_action(new.kind, "refused")
    add_message_event(conn, row_id, action, now, reason=refusal.reason)
    response = _store_response(conn, refusal.response, refusal.response_job, now)
    if earlier is None and refusal.under_message_id:
        _IDS.set(conn, _received_key(new), {"message": row_id, "response": response})
    elif earlier is None:
        _BODIES.set(conn, _body_key(refusal), {"response": response})
    return response


def find_refused(conn: Connection, authority: str, cpa_id: str, body_digest: str) -> StoredMessage | None:
    """Find the error that answered a message with this raw content, refused before its sender was known."""
    row = _BODIES.find(conn, {"authority": authority, "cpa_id": cpa_id, "body_digest": body_digest})
    return None if row is None or row.response is None else get_message(conn, row.response)


def resend_response(conn: Connection, response_message_id: int, job: NewJob, now: datetime) -> None:
    """Send a stored response again: its `send` job becomes due now, or a new one is made.

    A response that was sent, or was given up, becomes CREATED again: a duplicate is answered with the
    original response, however often it comes (EB 6.5.5).
    """
    lock_message(conn, response_message_id)  # two repeats at the same time make one job
    conn.execute(
        update(message)
        .where(
            message.c.id == response_message_id,
            message.c.state.in_((MessageState.TRANSMITTED, MessageState.FAILED, MessageState.EXPIRED)),
        )
        .values(state=MessageState.CREATED, reason=None, updated_at=now)
    )
    response = get_message(conn, response_message_id)
    if not _rearm(conn, response_message_id, now):
        add_job(conn, job, response.authority, response_message_id, now)
    add_message_event(conn, response_message_id, message_action(response.kind, "resent"), now)


def purge_received(conn: Connection, now: datetime, limit: int = 1000) -> int:
    """Forget MessageIds and refused contents whose time has passed, `limit` of each at most; return how many."""
    return sum(_purge(conn, table, now, limit) for table in (received_id, refused_body))


@dataclass(frozen=True, slots=True)
class _Earlier:
    content_digest: str
    message: int | None
    response: int | None
    message_id: str


class _Memory:
    """A table that remembers what was received, and the statements on it.

    They are made once: making a statement costs several times what running it does.
    """

    def __init__(self, table: Table) -> None:
        # not by the name of the column, which in an UPDATE stands for what is set
        key = [column == bindparam(f"key_{column.name}") for column in table.primary_key.columns]
        self._find = select(table).where(*key)
        self._set = update(table).where(*key)
        self._insert = {
            "sqlite": sqlite.insert(table).on_conflict_do_nothing(),
            "postgresql": postgresql.insert(table).on_conflict_do_nothing(),
        }

    def insert_once(self, conn: Connection, key: _Key, values: Mapping[str, Any]) -> bool:
        """Insert a row; False when there is one with its key, by whoever was first."""
        return conn.execute(self._insert[conn.dialect.name], {**key, **values}).rowcount == 1

    def find(self, conn: Connection, key: _Key) -> Row[Any] | None:
        """The row with this key."""
        return conn.execute(self._find, _named(key)).one_or_none()

    def set(self, conn: Connection, key: _Key, values: Mapping[str, Any]) -> None:
        """Change the row with this key."""
        conn.execute(self._set, {**_named(key), **values})


_IDS: Final = _Memory(received_id)
_BODIES: Final = _Memory(refused_body)


def _named(key: _Key) -> dict[str, Any]:
    return {f"key_{name}": value for name, value in key.items()}


def _remember(
    conn: Connection, new: NewMessage, content_digest: str, keep_until: datetime, now: datetime
) -> _Earlier | None:
    """Claim a MessageId; when it was claimed before, return what is known of it."""
    key = _received_key(new)
    values = {"content_digest": content_digest, "received_at": now, "keep_until": keep_until}
    while not _IDS.insert_once(conn, key, values):
        if (row := _IDS.find(conn, key)) is not None:  # else it was purged between the two
            return _Earlier(row.content_digest, row.message, row.response, new.message_id)
    return None


def _remember_refusal(conn: Connection, refusal: Refusal, now: datetime) -> _Earlier | None:
    new = refusal.message
    if refusal.under_message_id:
        return _remember(conn, new, refusal.content_digest, refusal.keep_until, now)
    key = _body_key(refusal)
    while not _BODIES.insert_once(conn, key, {"received_at": now, "keep_until": refusal.keep_until}):
        if (row := _BODIES.find(conn, key)) is not None:
            return _Earlier(refusal.content_digest, None, row.response, new.message_id)
    return None


def _received_key(new: NewMessage) -> _Key:
    return {
        "authority": new.authority,
        "cpa_id": new.cpa_id,
        "from_party": new.from_party,
        "message_id": new.message_id,
    }


def _body_key(refusal: Refusal) -> _Key:
    new = refusal.message
    return {"authority": new.authority, "cpa_id": new.cpa_id, "body_digest": refusal.content_digest}


def _answer_again(
    conn: Connection, earlier: _Earlier, content_digest: str, now: datetime
) -> Duplicate | Conflict:
    if earlier.content_digest != content_digest:
        if earlier.message is not None:
            add_message_event(conn, earlier.message, "message.conflict", now)
        return Conflict(earlier.message_id)
    _note_duplicate(conn, earlier.message, now)
    response = None if earlier.response is None else get_message(conn, earlier.response)
    return Duplicate(earlier.message, response)


def _note_duplicate(conn: Connection, row_id: int | None, now: datetime) -> None:
    if row_id is not None:
        add_message_event(conn, row_id, "message.duplicate", now)


def _store_response(
    conn: Connection, response: NewMessage | None, job: NewJob | None, now: datetime
) -> int | None:
    if response is None:
        return None
    state = MessageState.TRANSMITTED if job is None else MessageState.CREATED
    row_id = add_message_row(conn, response, state, None, now)
    add_message_event(conn, row_id, message_action(response.kind, "stored"), now)
    if job is not None:
        add_job(conn, job, response.authority, row_id, now)
    return row_id


def _rearm(conn: Connection, response: int, now: datetime) -> bool:
    """Make the `send` job of a response due; True when there is one (one that runs is sending it already)."""
    conn.execute(
        update(job_table)
        .where(
            job_table.c.kind == JobKind.SEND,
            job_table.c.subject == response,
            job_table.c.state.in_((JobState.READY, JobState.PARKED)),
        )
        .values(state=JobState.READY, not_before=now, attempts=0, first_attempt_at=None)
    )
    return bool(jobs_for(conn, JobKind.SEND, response))


def _purge(conn: Connection, table: Table, now: datetime, limit: int) -> int:
    columns = tuple(table.primary_key.columns)
    passed = conn.execute(select(*columns).where(table.c.keep_until < now).limit(limit)).all()
    for row in passed:
        conn.execute(delete(table).filter_by(**row._mapping))
    return len(passed)
