# SPDX-License-Identifier: EUPL-1.2

"""The timeline: everything that happened to a message or a verzoek, in order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, Connection, Insert, Row, Text, bindparam, func, insert, or_, select

from adapter.store.columns import RowId, UtcDateTime
from adapter.store.schema import delivery, message, timeline


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline.

    `action` is a stable name such as `message.received`; `detail` holds what JSON can hold. `message` and
    `delivery` are row ids; they turn to None when retention removes the row, the texts stay.
    """

    at: datetime
    authority: str
    action: str
    message: int | None = None
    delivery: int | None = None
    message_id: str | None = None
    conversation_id: str | None = None
    cpa_id: str | None = None
    verzoeknummer: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LatestChanges:
    """What happened lately: `last` is how far was looked; a change is an authority, and the names of its subject."""

    last: int
    changes: frozenset[tuple[str, frozenset[str]]] = frozenset()


_COLUMNS: Final = tuple(column.name for column in fields(Event))
# Statements that every message runs are made once: making one costs several times what running it does.
_ADD: Final = insert(timeline)
_NAMES: Final = (message.c.message_id, message.c.conversation_id, message.c.cpa_id)
_EVENT: Final = (
    bindparam("event_at", type_=UtcDateTime),
    bindparam("event_action", type_=Text),
    bindparam("event_detail", type_=JSON),
)
_SUBJECT: Final = bindparam("subject", type_=RowId)
_ADD_OF_MESSAGE: Final = insert(timeline).from_select(
    ["at", "action", "detail", "authority", "message", "message_id", "conversation_id", "cpa_id"],
    select(*_EVENT, message.c.authority, message.c.id, *_NAMES).where(message.c.id == _SUBJECT),
)
_ADD_OF_DELIVERY: Final = insert(timeline).from_select(
    [
        *("at", "action", "detail", "authority", "verzoeknummer", "delivery", "message"),
        *("message_id", "conversation_id", "cpa_id"),
    ],
    select(
        *_EVENT, delivery.c.authority, delivery.c.verzoeknummer, delivery.c.id, delivery.c.message, *_NAMES
    )
    .select_from(delivery.outerjoin(message, delivery.c.message == message.c.id))
    .where(delivery.c.id == _SUBJECT),
)


def add_event(conn: Connection, event: Event) -> None:
    """Add a line to the timeline."""
    values = {name: getattr(event, name) for name in _COLUMNS}
    conn.execute(_ADD, values | {"detail": dict(event.detail)})


def add_message_event(conn: Connection, message_row: int, action: str, now: datetime, **detail: Any) -> None:
    """Add a line about a message, with the names it is found by; nothing when there is no such message."""
    _add_about(conn, _ADD_OF_MESSAGE, message_row, action, now, detail)


def add_delivery_event(
    conn: Connection, delivery_row: int, action: str, now: datetime, **detail: Any
) -> None:
    """Add a line about a delivery, with the names it is found by; nothing when there is no such delivery."""
    _add_about(conn, _ADD_OF_DELIVERY, delivery_row, action, now, detail)


def events_for(
    conn: Connection,
    verzoeknummer: str | None = None,
    message_id: str | None = None,
    conversation_id: str | None = None,
    *,
    authority: str | None = None,
    cpa_id: str | None = None,
    actions: Collection[str] = (),
    limit: int = 1000,
) -> list[Event]:
    """Find what happened, oldest first; the conditions that are given must all hold, of `actions` any.

    What happened to the notification before its verzoeknummer was read belongs to the verzoek too.
    At most `limit` lines: the last ones.
    """
    query = select(timeline)
    if verzoeknummer is not None:
        of_verzoek = select(delivery.c.message).where(
            delivery.c.verzoeknummer == verzoeknummer, delivery.c.message.is_not(None)
        )
        query = query.where(
            or_(timeline.c.verzoeknummer == verzoeknummer, timeline.c.message.in_(of_verzoek))
        )
    if message_id is not None:
        query = query.where(timeline.c.message_id == message_id)
    if conversation_id is not None:
        query = query.where(timeline.c.conversation_id == conversation_id)
    if authority is not None:
        query = query.where(timeline.c.authority == authority)
    if cpa_id is not None:
        query = query.where(timeline.c.cpa_id == cpa_id)
    if actions:
        query = query.where(timeline.c.action.in_(actions))
    rows = conn.execute(query.order_by(timeline.c.id.desc()).limit(limit)).all()
    return [_event(row) for row in reversed(rows)]


def latest_changes(conn: Connection, after: int | None, limit: int = 500) -> LatestChanges:
    """Look what happened behind the line `after`, the last `limit` lines of it; None only says where the end is.

    What another process writes at this moment may be passed over: this is for hints, not for work.
    """
    newest = conn.execute(select(func.max(timeline.c.id))).scalar_one() or 0
    if after is None or newest <= after:
        return LatestChanges(newest)
    columns = (timeline.c.authority, timeline.c.verzoeknummer, timeline.c.message_id)
    query = select(*columns).where(timeline.c.id > after, timeline.c.id <= newest)
    rows = conn.execute(query.order_by(timeline.c.id.desc()).limit(limit))
    return LatestChanges(
        newest, frozenset((row[0], frozenset(name for name in row[1:] if name is not None)) for row in rows)
    )


def _add_about(
    conn: Connection, statement: Insert, subject: int, action: str, now: datetime, detail: Mapping[str, Any]
) -> None:
    values = {"subject": subject, "event_at": now, "event_action": action, "event_detail": _given(detail)}
    conn.execute(statement, values)


def _given(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def _event(row: Row[Any]) -> Event:
    values = {name: value for name, value in row._mapping.items() if name != "id"}
    return Event(**values)
