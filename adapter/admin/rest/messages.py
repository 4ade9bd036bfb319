# SPDX-License-Identifier: EUPL-1.2

"""Messages as JSON: send one, list those that wait, fetch one, and say that one was dealt with.

A message that is fetched is written as it is read: its payloads, in base64, never are in memory as a whole.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from aiohttp import hdrs, web
from sqlalchemy import Connection

from adapter.admin.calls import Call, bad_request
from adapter.admin.guard import require
from adapter.admin.rest.bodies import MAX_JSON, as_object, read_json, required_text, text_of
from adapter.admin.rest.lookup import (
    Found,
    Mailboxes,
    find_message,
    own_mailboxes,
    refuse_if_seen,
    waiting_message,
)
from adapter.admin.rest.sending import note_sent, read_wanted, send, spooling
from adapter.admin.rest.states import properties_of, without_none
from adapter.admin.streams import streaming
from adapter.config import Role
from adapter.msh import SubmittedPayload
from adapter.store import (
    AuditKind,
    Content,
    MessageFilter,
    Spool,
    StoredPayload,
    mailbox_messages,
    mark_mailbox_processed,
)

MAX_LISTED: Final = 1000
"""Most messages or events in one answer; the rest is there once these were processed."""

OCTETS: Final = "application/octet-stream"


async def send_message(call: Call) -> web.StreamResponse:
    """Send a message with its payloads in base64; the answer is its MessageId."""
    body = await read_json(call.request, MAX_JSON)
    wanted = read_wanted(as_object(body.get("properties"), "properties"))
    sources = body.get("dataSources")
    if not isinstance(sources, list | None):
        raise bad_request("dataSources is not a list")
    async with spooling(call.api.spool) as payloads:
        for source in sources or ():
            payloads.append(await _spooled(call.api.spool, as_object(source, "a data source")))
    return await note_sent(call, await send(call, wanted, tuple(payloads)))


async def list_messages(call: Call) -> web.StreamResponse:
    """The MessageIds that wait in the mailboxes of the user's authorities, oldest first."""
    boxes = own_mailboxes(call)
    found = await call.api.db.read(mailbox_messages, boxes, read_filter(call), read_limit(call))
    return web.json_response([message.message_id for message in found])


async def get_message(call: Call) -> web.StreamResponse:
    """A message with its payloads in base64; with `process`, it is marked as dealt with."""
    process = wants_processing(call)
    found = await find_message(call)
    await note_fetched(call, found, process=process)
    async with streaming(call.request, call.api.metrics, {hdrs.CONTENT_TYPE: "application/json"}) as response:
        properties = json.dumps(properties_of(found.message, found.status(process=process)))
        await response.write(f'{{"properties": {properties}, "dataSources": ['.encode())
        for position, payload in enumerate(found.payloads):
            async for chunk in _data_source(call.api.spool, payload, first=position == 0):
                await response.write(chunk)
        # Marked between the last payload and the end of the answer: who reads all of it has the message, and it is
        # not given up for one that broke off before.
        if process:
            await process_found(call, found)
        await response.write(b"]}")
    return response


async def process_message(call: Call) -> web.StreamResponse:
    """Say that a message was dealt with; 204 also where there is nothing (more) to be dealt with."""
    message_id = call.path("messageId")
    boxes = own_mailboxes(call)
    marked = await call.change(
        lambda conn: mark_processed(conn, message_id, boxes, call.api.clock()),
        lambda authority: call.entry(message_id, authority) if authority is not None else None,
    )
    if marked is None:
        await refuse_if_seen(call)
    return web.Response(status=204)


def wants_processing(call: Call) -> bool:
    """Whether a message that is fetched is to be marked. Raises Refused (400, 403)."""
    process = call.flag("process")
    if process:
        require(call, Role.REPAIR)
    return process


async def note_fetched(call: Call, found: Found, *, process: bool) -> None:
    """Say in the audit trail who is about to get a message. Raises Refused (403) where it may not be processed too."""
    authority = found.message.authority
    if process and authority not in call.user.scope(call.api.authorities(), Role.REPAIR):
        raise call.denied(authority)
    await call.audit(call.entry(found.message.message_id, authority, payloads=len(found.payloads)))


async def process_found(call: Call, found: Found) -> None:
    """Mark a message that was fetched as dealt with, where it waits in a mailbox."""
    message = found.message
    if found.waits:
        entry = call.entry(
            message.message_id, message.authority, kind=AuditKind.CHANGE, action="message.process"
        )
        await call.change(
            lambda conn: mark_mailbox_processed(conn, message.id, call.api.clock()), lambda _: entry
        )


def mark_processed(conn: Connection, message_id: str, boxes: Mailboxes, now: datetime) -> str | None:
    """Mark the oldest waiting message of this MessageId; return its authority, or None where none waits."""
    message = waiting_message(conn, message_id, boxes)
    if message is None:
        return None
    mark_mailbox_processed(conn, message.id, now)
    return message.authority


def read_filter(call: Call) -> MessageFilter:
    """The conditions in the query of a call."""
    return MessageFilter(
        cpa_id=call.query("cpaId"),
        from_party=call.query("fromPartyId"),
        from_role=call.query("fromRole"),
        to_party=call.query("toPartyId"),
        to_role=call.query("toRole"),
        service=call.query("service"),
        action=call.query("action"),
        conversation_id=call.query("conversationId"),
        message_id=call.query("messageId"),
        ref_to_message_id=call.query("refToMessageId"),
    )


def read_limit(call: Call) -> int:
    """How many are asked for at most; 0 is as many as there may be."""
    return min(call.number("maxNr") or MAX_LISTED, MAX_LISTED)


async def _spooled(spool: Spool, source: dict[str, Any]) -> SubmittedPayload:
    content_type = required_text(source, "contentType")
    name, content_id = text_of(source, "name"), text_of(source, "contentId")
    text = source.get("content")
    if not isinstance(text, str):
        raise bad_request("content is missing")
    return SubmittedPayload(await _decoded(spool, text), content_type, name, content_id)


async def _decoded(spool: Spool, text: str) -> Content:
    try:
        octets = await asyncio.to_thread(_from_base64, text)
    except (binascii.Error, ValueError) as error:
        raise bad_request("content is not base64") from error
    async with spool.writer() as writer:
        await writer.write(octets)
        return await writer.commit()


def _from_base64(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


async def _data_source(spool: Spool, payload: StoredPayload, *, first: bool) -> AsyncIterator[bytes]:
    """A payload as a JSON object, in pieces."""
    head = json.dumps(
        without_none(
            {
                "name": payload.name,
                "contentId": payload.content_id,
                "contentType": payload.content_type or OCTETS,
            }
        )
    )
    yield f'{"" if first else ", "}{head[:-1]}, "content": "'.encode()
    rest = b""
    async for chunk in spool.open(payload.content):
        octets = rest + chunk
        whole = len(octets) - len(octets) % 3
        rest = octets[whole:]
        yield base64.b64encode(octets[:whole])
    yield base64.b64encode(rest) + b'"}'
