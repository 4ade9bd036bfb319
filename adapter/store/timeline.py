"""The timeline: everything that happened to a message or a verzoek, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select

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


def add_event(conn: Connection, event: Event) -> None:
    """Add a line to the timeline."""
    conn.execute(
        insert(timeline).values(
            at=event.at,
            authority=event.authority,
            action=event.action,
            message=event.message,
            delivery=event.delivery,
            message_id=event.message_id,
            conversation_id=event.conversation_id,
            cpa_id=event.cpa_id,
            verzoeknummer=event.verzoeknummer,
            detail=dict(event.detail),
        )
    )


def add_message_event(conn: Connection, message_row: int, action: str, now: datetime, **detail: Any) -> None:
    """Add a line about a message, with the names it is found by; nothing when there is no such message."""
    row = conn.execute(select(message).where(message.c.id == message_row)).one_or_none()
    if row is None:
        return
    add_event(
        conn,
        Event(
            at=now,
            authority=row.authority,
            action=action,
            message=message_row,
            message_id=row.message_id,
            conversation_id=row.conversation_id,
            cpa_id=row.cpa_id,
            detail=_given(detail),
        ),
    )


def add_delivery_event(
    conn: Connection, delivery_row: int, action: str, now: datetime, **detail: Any
) -> None:
    """Add a line about a delivery, with the names it is found by; nothing when there is no such delivery."""
    row = conn.execute(
        select(
            delivery.c.authority,
            delivery.c.verzoeknummer,
            delivery.c.message,
            message.c.message_id,
            message.c.conversation_id,
            message.c.cpa_id,
        )
        .select_from(delivery.outerjoin(message, delivery.c.message == message.c.id))
        .where(delivery.c.id == delivery_row)
    ).one_or_none()
    if row is None:
        return
    add_event(
        conn,
        Event(
            at=now,
            authority=row.authority,
            action=action,
            message=row.message,
            delivery=delivery_row,
            message_id=row.message_id,
            conversation_id=row.conversation_id,
            cpa_id=row.cpa_id,
            verzoeknummer=row.verzoeknummer,
            detail=_given(detail),
        ),
    )


def events_for(
    conn: Connection,
    verzoeknummer: str | None = None,
    message_id: str | None = None,
    conversation_id: str | None = None,
    *,
    authority: str | None = None,
    limit: int = 1000,
) -> list[Event]:
    """Find what happened, oldest first; the conditions that are given must all hold.

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
    rows = conn.execute(query.order_by(timeline.c.id.desc()).limit(limit)).all()
    return [_event(row) for row in reversed(rows)]


def _given(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def _event(row: Row[Any]) -> Event:
    values = {name: value for name, value in row._mapping.items() if name != "id"}
    return Event(**values)
