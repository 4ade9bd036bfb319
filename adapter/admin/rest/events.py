# SPDX-License-Identifier: EUPL-1.2

"""Events: what became of messages, until an application says that it dealt with it."""

from collections.abc import Collection
from datetime import datetime

from aiohttp import web
from sqlalchemy import Connection

from adapter.admin.calls import Call, bad_request
from adapter.admin.rest.lookup import refuse_if_seen
from adapter.admin.rest.messages import read_filter, read_limit
from adapter.store import (
    EventType,
    MessageFilter,
    find_message_events,
    mark_event_processed,
    mark_mailbox_processed,
)


async def list_events(call: Call) -> web.StreamResponse:
    """The events that were not processed, oldest first."""
    found = await call.api.db.read(
        find_message_events,
        authorities=call.scope,
        types=_types(call),
        filters=read_filter(call),
        limit=read_limit(call),
    )
    return web.json_response(
        [{"messageId": event.message.message_id, "type": event.type.name} for event in found]
    )


async def process_event(call: Call) -> web.StreamResponse:
    """Say that an event was dealt with, and with it the message, where it waits in a mailbox."""
    message_id = call.path("messageId")
    marked = await call.change(
        lambda conn: _mark(conn, message_id, call.scope, call.api.clock()),
        lambda authority: call.entry(message_id, authority) if authority is not None else None,
    )
    if marked is None:
        await refuse_if_seen(call)
    return web.Response(status=204)


def _types(call: Call) -> tuple[EventType, ...] | None:
    """The types that are asked for, each in a parameter of its own or with commas; None is all."""
    given = call.request.query.getall("eventTypes", [])
    names = [name.strip() for value in given for name in value.split(",") if name.strip()]
    unknown = sorted(set(names) - set(EventType.__members__))
    if unknown:
        raise bad_request(f"no event type {', '.join(unknown)}; there are {', '.join(EventType.__members__)}")
    return tuple(EventType[name] for name in names) or None


def _mark(conn: Connection, message_id: str, scope: Collection[str], now: datetime) -> str | None:
    """Mark the oldest event of this MessageId; return its authority, or None where there is none."""
    events = find_message_events(
        conn, authorities=scope, types=None, filters=MessageFilter(message_id=message_id), limit=1
    )
    if not events:
        return None
    message = events[0].message
    mark_event_processed(conn, message.id, now)
    mark_mailbox_processed(conn, message.id, now)
    return message.authority
