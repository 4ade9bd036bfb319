# SPDX-License-Identifier: EUPL-1.2

"""Messages as they were received and as they are sent: the evidence, and how far each is."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select
from sqlalchemy import update as sql_update

from adapter.store.columns import RowId
from adapter.store.jobs import NewJob, add_job
from adapter.store.notices import NOTICE_OF_STATE, add_message_notice
from adapter.store.problems import NotFound, StaleState
from adapter.store.schema import message, payload
from adapter.store.spool import Content
from adapter.store.states import Direction, MessageKind, MessageState
from adapter.store.timeline import add_message_event

Headers = tuple[tuple[str, str], ...]
"""Names and values in the order in which they were on the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be stored.

    `envelope` holds the octets of the SOAP part as received or as sent, `envelope_headers` the MIME headers
    of that part, `content_type` the one of the whole HTTP body. `expires_at`: when sending it has no use any
    more.
    """

    authority: str
    direction: Direction
    kind: MessageKind
    cpa_id: str
    message_id: str
    conversation_id: str
    from_party: str
    to_party: str
    service: str
    action: str
    timestamp: datetime
    envelope: bytes
    ref_to_message_id: str | None = None
    from_role: str | None = None
    to_role: str | None = None
    service_type: str | None = None
    time_to_live: datetime | None = None
    profile: str | None = None
    http_headers: Headers = ()
    envelope_headers: Headers = ()
    content_type: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as it is in the store; `attempts` counts how often it was sent."""

    id: int
    authority: str
    direction: Direction
    kind: MessageKind
    cpa_id: str
    message_id: str
    conversation_id: str
    ref_to_message_id: str | None
    from_party: str
    from_role: str | None
    to_party: str
    to_role: str | None
    service: str
    service_type: str | None
    action: str
    timestamp: datetime
    time_to_live: datetime | None
    state: MessageState
    reason: str | None
    profile: str | None
    http_headers: Headers
    envelope: bytes
    envelope_headers: Headers
    content_type: str | None
    created_at: datetime
    updated_at: datetime
    attempts: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewPayload:
    """A payload of a message, already in the spool."""

    content: Content
    content_id: str | None = None
    content_type: str | None = None
    name: str | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload as it is in the store; `position` counts from 0."""

    id: int
    message: int
    position: int
    content: Content
    content_id: str | None
    content_type: str | None
    name: str | None
    headers: Headers


_GIVEN: Final = tuple(field.name for field in fields(NewMessage))
# Made once: making a statement costs several times what running it does. What an UPDATE sets comes as parameters.
_ROW: Final = bindparam("row", type_=RowId)
_INSERT: Final = insert(message).returning(message.c.id)
_INSERT_PAYLOADS: Final = insert(payload)
_GET: Final = select(message).where(message.c.id == _ROW)
_PAYLOADS: Final = select(payload).where(payload.c.message == _ROW).order_by(payload.c.position)
_MOVE: Final = (
    sql_update(message)
    .where(message.c.id == _ROW, message.c.state.in_(bindparam("expected", expanding=True)))
    .returning(message.c.kind, message.c.direction)
)
_ATTEMPT: Final = (
    sql_update(message)
    .where(message.c.id == _ROW)
    .values(attempts=message.c.attempts + 1)
    .returning(message.c.kind, message.c.attempts)
)


def insert_message(
    conn: Connection,
    new: NewMessage,
    job: NewJob | None,
    now: datetime,
    *,
    payloads: Sequence[NewPayload] = (),
    state: MessageState | None = None,
) -> int:
    """Store a message and the job that follows from it; return the id of the message.

    Without a `state` an incoming message is RECEIVED, and an outgoing one CREATED.
    """
    row_id = add_message_row(conn, new, state or _first_state(new), None, now)
    add_payloads(conn, row_id, payloads)
    if job is not None:
        add_job(conn, job, new.authority, row_id, now)
    stored = "received" if new.direction is Direction.IN else "stored"
    add_message_event(conn, row_id, message_action(new.kind, stored), now)
    return row_id


def add_message_row(
    conn: Connection, new: NewMessage, state: MessageState, reason: str | None, now: datetime
) -> int:
    """Insert the row of a message, and nothing else; return its id."""
    values = {name: getattr(new, name) for name in _GIVEN}
    rest = {"state": state, "reason": reason, "created_at": now, "updated_at": now, "attempts": 0}
    row_id: int = conn.execute(_INSERT, values | rest).scalar_one()
    return row_id


def add_payloads(conn: Connection, message_row: int, payloads: Sequence[NewPayload]) -> None:
    """Insert the rows of the payloads of a message, in this order."""
    rows = [
        {
            "message": message_row,
            "position": position,
            "content_id": new.content_id,
            "content_type": new.content_type,
            "name": new.name,
            "headers": new.headers,
            "size": new.content.size,
            "sha256": new.content.sha256,
            "inline": new.content.inline,
            "spool_key": new.content.key,
        }
        for position, new in enumerate(payloads)
    ]
    if rows:
        conn.execute(_INSERT_PAYLOADS, rows)


def get_message(conn: Connection, row_id: int) -> StoredMessage:
    """Get a message.

    Raises:
        NotFound: there is no such message.

    """
    row = conn.execute(_GET, {"row": row_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no message {row_id}")
    return _stored(row)


def lock_message(conn: Connection, row_id: int) -> None:
    """Let no other transaction change a message, or lock it so, until this one ended; nothing when it is gone."""
    conn.execute(select(message.c.id).where(message.c.id == row_id).with_for_update(key_share=True))


def messages_by_id(conn: Connection, row_ids: Collection[int]) -> dict[int, StoredMessage]:
    """Get messages by their ids; what is not there is left out."""
    found: dict[int, StoredMessage] = {}
    for some in _portions(sorted(row_ids)):
        rows = conn.execute(select(message).where(message.c.id.in_(some)))
        found |= {row.id: _stored(row) for row in rows}
    return found


def last_accepted(conn: Connection, authority: str) -> datetime | None:
    """When the last business message of an authority came that was not refused; None where none is kept."""
    query = (
        select(message.c.created_at)
        .where(
            message.c.authority == authority,
            message.c.direction == Direction.IN,
            message.c.kind == MessageKind.BUSINESS,
            message.c.state != MessageState.REFUSED,
        )
        .order_by(message.c.created_at.desc())
        .limit(1)
    )
    return conn.execute(query).scalar()


def find_messages(
    conn: Connection,
    *,
    authority: str | None = None,
    direction: Direction | None = None,
    kind: MessageKind | None = None,
    state: MessageState | None = None,
    cpa_id: str | None = None,
    message_id: str | None = None,
    conversation_id: str | None = None,
    ref_to_message_id: str | None = None,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[StoredMessage]:
    """Find messages, newest first; the conditions that are given must all hold.

    `before` is the id of the last message of the previous page. `since` and `until` are about when a message was
    stored.
    """
    wanted = {
        "authority": authority,
        "direction": direction,
        "kind": kind,
        "state": state,
        "cpa_id": cpa_id,
        "message_id": message_id,
        "conversation_id": conversation_id,
        "ref_to_message_id": ref_to_message_id,
    }
    conditions = [message.c[name] == value for name, value in wanted.items() if value is not None]
    if before is not None:
        conditions.append(message.c.id < before)
    if since is not None:
        conditions.append(message.c.created_at >= since)
    if until is not None:
        conditions.append(message.c.created_at < until)
    query = select(message).where(*conditions).order_by(message.c.id.desc()).limit(limit)
    return [_stored(row) for row in conn.execute(query)]


def find_outgoing(
    conn: Connection, cpa_id: str, message_id: str, kind: MessageKind | None = None
) -> StoredMessage | None:
    """Find the message that we sent under this MessageId, as a RefToMessageId names it; the last one."""
    found = find_messages(
        conn, direction=Direction.OUT, cpa_id=cpa_id, message_id=message_id, kind=kind, limit=1
    )
    return found[0] if found else None


def message_payloads(conn: Connection, row_id: int) -> tuple[StoredPayload, ...]:
    """Get the payloads of a message, in their order."""
    return tuple(_payload(row) for row in conn.execute(_PAYLOADS, {"row": row_id}))


def set_message_state(
    conn: Connection,
    row_id: int,
    expected: MessageState | Collection[MessageState],
    new: MessageState,
    reason: str | None,
    now: datetime,
) -> None:
    """Move a message from (one of) the expected state(s) to the next.

    What became of a business message that was sent, applications are told of.

    Raises:
        StaleState: the message is not in an expected state; nothing was changed.

    """
    states = (expected,) if isinstance(expected, MessageState) else tuple(expected)
    values = {"row": row_id, "expected": states, "state": new, "reason": reason, "updated_at": now}
    row = conn.execute(_MOVE, values).one_or_none()
    if row is None:
        raise StaleState(f"message {row_id} is not {' or '.join(states)}, so it does not become {new}")
    add_message_event(conn, row_id, message_action(row.kind, new), now, reason=reason)
    notice = NOTICE_OF_STATE.get(new)
    if notice is not None and row.direction is Direction.OUT and row.kind is MessageKind.BUSINESS:
        add_message_notice(conn, row_id, notice, now)


def note_attempt(conn: Connection, row_id: int, now: datetime) -> None:
    """Count an attempt at sending a message.

    Raises:
        NotFound: there is no such message.

    """
    row = conn.execute(_ATTEMPT, {"row": row_id, "updated_at": now}).one_or_none()
    if row is None:
        raise NotFound(f"there is no message {row_id}")
    add_message_event(conn, row_id, message_action(row.kind, "attempted"), now, attempts=row.attempts)


def message_action(kind: MessageKind, what: str) -> str:
    """Name an action on the timeline: business messages are `message`, a signal goes by its own name."""
    return f"{'message' if kind is MessageKind.BUSINESS else kind}.{what}"


def _portions(row_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """A statement takes only so many parameters."""
    return (row_ids[start : start + 500] for start in range(0, len(row_ids), 500))


def _first_state(new: NewMessage) -> MessageState:
    return MessageState.RECEIVED if new.direction is Direction.IN else MessageState.CREATED


def _headers(value: Sequence[Sequence[str]]) -> Headers:
    return tuple((name, content) for name, content in value)


def _stored(row: Row[Any]) -> StoredMessage:
    values: dict[str, Any] = dict(row._mapping)
    values["http_headers"] = _headers(values["http_headers"])
    values["envelope_headers"] = _headers(values["envelope_headers"])
    return StoredMessage(**values)


def _payload(row: Row[Any]) -> StoredPayload:
    return StoredPayload(
        id=row.id,
        message=row.message,
        position=row.position,
        content=Content(row.size, row.sha256, row.inline, row.spool_key),
        content_id=row.content_id,
        content_type=row.content_type,
        name=row.name,
        headers=_headers(row.headers),
    )
