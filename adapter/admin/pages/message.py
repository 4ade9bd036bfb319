# SPDX-License-Identifier: EUPL-1.2

"""One message: what it says, whether its signature holds, its parts, what answered it, and what happened; as it was on
the wire, and as evidence.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from lxml import etree
from sqlalchemy import Connection

from adapter.admin.calls import Audited, not_found
from adapter.admin.pages.badges import look_of_event
from adapter.admin.pages.downloads import ZIP, kept, send, send_content, shown_as_text
from adapter.admin.pages.page import Link, Page, View, Visit
from adapter.delivery.handover import payload_paths
from adapter.store import (
    AgreementRow,
    AuditKind,
    Event,
    Job,
    JobKind,
    ListedMessage,
    MessageChoice,
    NotFound,
    StoredDelivery,
    StoredMessage,
    StoredPayload,
    agreement_in_force,
    events_for,
    find_deliveries,
    get_message,
    jobs_for,
    list_messages,
    message_payloads,
)
from adapter.views.evidence import Evidence, evidence_archive, evidence_of_messages
from adapter.views.judged import judge
from cpa import XmlRefused, parse_xml

WORDS: Final = "message"

_READABLE: Final = 256 * 1024
"""Octets up to which an envelope is shown in the page, laid out; a larger one is there as it is."""

_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Found:
    """A message with all that belongs to it; `asked` are what it answers."""

    message: StoredMessage
    payloads: tuple[StoredPayload, ...]
    agreement: AgreementRow | None
    answers: tuple[ListedMessage, ...]
    asked: tuple[ListedMessage, ...]
    deliveries: tuple[StoredDelivery, ...]
    jobs: tuple[Job, ...]
    events: tuple[Event, ...]


async def show_message(visit: Visit) -> View:
    """A message. Raises Refused (404)."""
    found = await visit.read(_load, _number(visit, "message"), visit.scope)
    if found is None:
        raise _none(visit)
    message = found.message
    judged = await asyncio.to_thread(
        judge, message, found.payloads, found.agreement, visit.call.api.spool, visit.now
    )
    envelope = None
    if len(message.envelope) <= _READABLE:
        envelope = await asyncio.to_thread(_laid_out, message.envelope)
    names = [path.rpartition("/")[2] for path in payload_paths(found.payloads)]
    return View(
        "message.html.j2",
        {
            "found": found,
            "message": message,
            "judged": judged,
            "parts": list(zip(found.payloads, names, strict=True)),
            "envelope": envelope,
            "history": [one for one in found.events if one.action != "verzoek.file_fetched"],
            "look_of_event": look_of_event,
        },
        trail=[Link(visit.pages["messages"].menu_label(visit.language), visit.url("messages"))],
        looked=[(message.message_id, message.authority)],
        topic=message.message_id,
    )


async def show_envelope(visit: Visit) -> web.StreamResponse:
    """The SOAP part, octet for octet, as text."""
    message = await _message(visit)
    await _note(visit, message, "envelope")
    return shown_as_text(message.envelope)


async def send_part(visit: Visit) -> web.StreamResponse:
    """A part, to be kept. Raises Refused: 404, and 410 where its octets are there no more."""
    message = await _message(visit)
    payloads = await visit.read(message_payloads, message.id)
    position = _number(visit, "position")
    for payload, path in zip(payloads, payload_paths(payloads), strict=True):
        if payload.position == position:
            await _note(visit, message, f"part {position}")
            return await send_content(visit, path.rpartition("/")[2], payload.content)
    raise not_found(f"the message has no part {position}")


async def send_evidence(visit: Visit) -> web.StreamResponse:
    """Everything about a message, as a ZIP that is made while it is sent."""
    message = await _message(visit)
    evidence: Evidence = await visit.read(evidence_of_messages, [message])
    await _note(visit, message)
    api = visit.call.api
    pieces = evidence_archive(api.db, api.spool, evidence, visit.now)
    return await send(visit, kept(evidence.file_name, ZIP), pieces)


async def _message(visit: Visit) -> StoredMessage:
    """The message in the path. Raises Refused (404) where it is not there, or not for this user."""
    try:
        message = await visit.read(get_message, _number(visit, "message"))
    except NotFound:
        raise _none(visit) from None
    if message.authority not in visit.scope:
        raise _none(visit)
    return message


def _number(visit: Visit, name: str) -> int:
    text = visit.variable(name)
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise _none(visit)
    return int(text)


def _none(visit: Visit) -> Exception:
    return not_found(f"there is no message {visit.variable('message')}")


async def _note(visit: Visit, message: StoredMessage, what: str | None = None) -> None:
    """Say in the audit trail what is shown, before it is."""
    await visit.call.audit(visit.call.entry(message.message_id, message.authority, what=what))


def _load(conn: Connection, row_id: int, scope: frozenset[str]) -> Found | None:
    try:
        message = get_message(conn, row_id)
    except NotFound:
        return None
    if message.authority not in scope:
        return None
    deliveries = find_deliveries(conn, message=message.id)
    jobs = [jobs_for(conn, kind, message.id) for kind in (JobKind.SEND, JobKind.ROUTE)]
    return Found(
        message,
        message_payloads(conn, message.id),
        agreement_in_force(conn, message.authority, message.cpa_id, message.created_at),
        _listed(conn, message, ref_to_message_id=message.message_id),
        _listed(conn, message, message_id=message.ref_to_message_id) if message.ref_to_message_id else (),
        tuple(deliveries),
        tuple(job for found in jobs for job in found),
        tuple(events_for(conn, message_id=message.message_id, authority=message.authority)),
    )


def _listed(
    conn: Connection,
    message: StoredMessage,
    *,
    message_id: str | None = None,
    ref_to_message_id: str | None = None,
) -> tuple[ListedMessage, ...]:
    wanted = MessageChoice(
        authorities=(message.authority,),
        cpa_id=message.cpa_id,
        message_id=message_id,
        ref_to_message_id=ref_to_message_id,
    )
    return list_messages(conn, wanted).rows


def _laid_out(octets: bytes) -> str | None:
    """An envelope in lines, to be read; None where it is no XML."""
    try:
        root = parse_xml(octets)
    except XmlRefused:
        return None
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


MESSAGE: Final = Page(
    "GET",
    "/messages/{message}",
    "message",
    show_message,
    audited=Audited(AuditKind.LOOK, "message.show"),
)
ENVELOPE: Final = Page(
    "GET",
    "/messages/{message}/envelope",
    "message.envelope",
    show_envelope,
    words=WORDS,
    audited=Audited(AuditKind.LOOK, "message.fetch"),
)
PART: Final = Page(
    "GET",
    "/messages/{message}/parts/{position}",
    "message.part",
    send_part,
    words=WORDS,
    audited=Audited(AuditKind.LOOK, "message.fetch"),
)
EVIDENCE: Final = Page(
    "GET",
    "/messages/{message}/evidence",
    "message.evidence",
    send_evidence,
    words=WORDS,
    audited=Audited(AuditKind.LOOK, "message.evidence"),
)

PAGES: Final = (MESSAGE, ENVELOPE, PART, EVIDENCE)
