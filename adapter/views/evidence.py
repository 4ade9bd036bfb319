# SPDX-License-Identifier: EUPL-1.2

"""Evidence of a message or a verzoek: everything that the store has of it, as one ZIP.

Messages are in it as they were received and sent: HTTP headers, SOAP octets, the headers and octets of each part;
beside them what answered them, the version of the CPA that was in force, what happened, and the files of a verzoek.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from adapter.delivery.handover import payload_paths
from adapter.delivery.names import safe_name, unique_names
from adapter.store import (
    AgreementRow,
    Checkpoint,
    Content,
    Database,
    Direction,
    Event,
    Headers,
    MessageChoice,
    NotFound,
    Spool,
    StoredDelivery,
    StoredFile,
    StoredMessage,
    StoredPayload,
    agreement_in_force,
    checkpoints,
    delivery_files,
    events_for,
    find_deliveries,
    get_delivery,
    get_message,
    list_messages,
    message_payloads,
)
from adapter.views.archive import MANIFEST, SUMS, Entry, archive
from adapter.views.judged import judge
from adapter.views.stored import (
    describe_delivery,
    describe_event,
    describe_file,
    describe_message,
    describe_payload,
)
from adapter.views.texts import detail_line, json_octets, plain

MOST: Final = 500
"""The most messages, and the most deliveries, that one archive has: no verzoek has nearly as many."""

_EVENTS: Final = 20_000
_GONE: Final = "retention removed it while this was made"

_README: Final = """\
{title}
made {made}

{manifest}      what is in here, with size and SHA-256 of each file; what is missing and why
{sums}         the same digests for: sha256sum --check {sums}
timeline.txt       everything that happened, in UTC; timeline.json has it for machines
messages/          one directory for each message, the oldest first
  message.json     what is known of it: state, parties, whether its signature holds and by which certificate
  http-headers.txt the headers of the HTTP request or response it came in, as far as they were kept
  envelope.xml     the SOAP part, octet for octet; envelope-headers.txt has its MIME headers
  payloads/        the other parts, decoded; their MIME headers are in message.json
agreements/        the versions of the CPA that were in force when the messages were stored
deliveries/        of a verzoek: what was collected from DSO-LV and handed over, with its files
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an archive is about: `kind` (message or verzoek) and `name`, its messages and deliveries by their rows, what
    happened, and the authorities that it is of. `is_whole` is False where there was more than one archive has.
    """

    kind: str
    name: str
    authorities: tuple[str, ...]
    messages: tuple[int, ...]
    deliveries: tuple[int, ...]
    events: tuple[Event, ...]
    is_whole: bool = True

    @property
    def file_name(self) -> str:
        """A name for the archive that is safe everywhere."""
        return f"{self.kind}-{safe_name(self.name)}.zip"


@dataclass(frozen=True, slots=True)
class _Message:
    message: StoredMessage
    payloads: tuple[StoredPayload, ...]
    agreement: AgreementRow | None


@dataclass(frozen=True, slots=True)
class _Delivery:
    delivery: StoredDelivery
    files: tuple[StoredFile, ...]
    steps: tuple[Checkpoint, ...]


def evidence_of_messages(conn: Connection, messages: Sequence[StoredMessage]) -> Evidence:
    """What the evidence of a message is made of: itself, what answers it, and what it answers.

    Several where they have one MessageId: a best-effort message can come more than once.
    """
    rows = {one.id for one in messages}
    for one in messages:
        rows |= _answers(conn, one.authority, one.message_id)
        if one.ref_to_message_id is not None:
            rows |= _rows(conn, MessageChoice(authorities=(one.authority,), message_id=one.ref_to_message_id))
    authorities = tuple(sorted({one.authority for one in messages}))
    name = messages[0].message_id
    events = tuple(
        event
        for authority in authorities
        for event in events_for(conn, message_id=name, authority=authority, limit=_EVENTS)
    )
    is_whole = len(rows) < MOST and len(events) < _EVENTS
    return Evidence("message", name, authorities, tuple(sorted(rows)[:MOST]), (), events, is_whole)


def evidence_of_verzoek(
    conn: Connection, verzoeknummer: str, authorities: Collection[str] | None = None
) -> Evidence | None:
    """What the evidence of a verzoek is made of: its deliveries, the messages that announced them, those of the same
    conversations, and what answers them. None where these authorities (None: any) have no such verzoek.
    """
    found = [
        one
        for one in find_deliveries(conn, verzoeknummer=verzoeknummer, limit=MOST)
        if authorities is None or one.authority in authorities
    ]
    if not found:
        return None
    rows = {one.message for one in found if one.message is not None}
    for authority, conversation_id in {(one.authority, one.conversation_id) for one in found}:
        if conversation_id is None:
            continue
        of_it = MessageChoice(authorities=(authority,), conversation_id=conversation_id)
        for member in list_messages(conn, of_it, limit=MOST).rows:
            rows |= {member.id} | _answers(conn, authority, member.message_id)
    owners = tuple(sorted({one.authority for one in found}))
    events = tuple(
        event
        for authority in owners
        for event in events_for(conn, verzoeknummer, authority=authority, limit=_EVENTS)
    )
    deliveries = tuple(sorted(one.id for one in found))
    is_whole = max(len(rows), len(deliveries)) < MOST and len(events) < _EVENTS
    messages = tuple(sorted(rows)[:MOST])
    return Evidence("verzoek", verzoeknummer, owners, messages, deliveries, events, is_whole)


def evidence_archive(
    db: Database, spool: Spool, evidence: Evidence, now: datetime
) -> AsyncGenerator[bytes, None]:
    """The octets of the ZIP, a piece at a time. Raises SpoolUnavailable."""
    about = {
        evidence.kind: evidence.name,
        "authorities": list(evidence.authorities),
        "made": now,
        "isWhole": evidence.is_whole,
    }
    return archive(_entries(db, spool, evidence, now), spool, about, now)


async def _entries(
    db: Database, spool: Spool, evidence: Evidence, now: datetime
) -> AsyncGenerator[Entry, None]:
    title = f"Evidence of {evidence.kind} {plain(evidence.name)}, of {', '.join(evidence.authorities)}"
    readme = _README.format(title=title, made=plain(now), manifest=MANIFEST, sums=SUMS)
    yield Entry("README.txt", readme.encode())
    yield Entry("timeline.json", json_octets([describe_event(one) for one in evidence.events]))
    yield Entry("timeline.txt", "".join(map(_line, evidence.events)).encode())
    kept: set[str] = set()
    for number, row_id in enumerate(evidence.messages, 1):
        try:
            found = await db.read(_load_message, row_id)
        except NotFound:
            yield Entry(f"messages/{number:03}", problem=_GONE)
            continue
        async for entry in _message_entries(found, number, spool, now):
            yield entry
        path = None if found.agreement is None else _agreement_path(found.agreement)
        if found.agreement is not None and path is not None and path not in kept:
            kept.add(path)
            yield Entry(path, found.agreement.document)
    for number, row_id in enumerate(evidence.deliveries, 1):
        try:
            delivery = await db.read(_load_delivery, row_id)
        except NotFound:
            yield Entry(f"deliveries/{number:03}", problem=_GONE)
            continue
        for entry in _delivery_entries(delivery, number):
            yield entry


async def _message_entries(found: _Message, number: int, spool: Spool, now: datetime) -> AsyncIterator[Entry]:
    message, agreement = found.message, found.agreement
    way = "received" if message.direction is Direction.IN else "sent"
    place = f"messages/{number:03}-{way}-{safe_name(message.action)}"
    paths = [f"{place}/{path}" for path in payload_paths(found.payloads)]
    judged = await asyncio.to_thread(judge, message, found.payloads, agreement, spool, now)
    shown: dict[str, Any] = {
        **describe_message(message),
        "contentType": message.content_type,
        "payloads": [
            {**describe_payload(one), "headers": _header_lines(one.headers), "path": path}
            for one, path in zip(found.payloads, paths, strict=True)
        ],
        **judged,
        "agreementInForce": None
        if agreement is None
        else {
            "cpaId": agreement.cpa_id,
            "sha256": agreement.digest,
            "from": agreement.active_from,
            "until": agreement.active_until,
            "path": _agreement_path(agreement),
        },
    }
    yield Entry(f"{place}/message.json", json_octets(shown))
    yield Entry(f"{place}/http-headers.txt", _headers(message.http_headers))
    yield Entry(f"{place}/envelope-headers.txt", _headers(message.envelope_headers))
    yield Entry(f"{place}/envelope.xml", message.envelope)
    for one, path in zip(found.payloads, paths, strict=True):
        yield Entry(path, content=one.content)


def _delivery_entries(found: _Delivery, number: int) -> list[Entry]:
    delivery = found.delivery
    place = f"deliveries/{number:03}-{safe_name(delivery.name or delivery.state)}"
    names = unique_names([_file_name(one) for one in found.files])
    paths = [f"{place}/files/{name}" for name in names]
    shown = {
        **describe_delivery(delivery),
        "files": [
            {**describe_file(one), "archived": path if one.content is not None else None}
            for one, path in zip(found.files, paths, strict=True)
        ],
        "steps": [{"step": one.step, "at": one.at, "value": one.value} for one in found.steps],
    }
    contents: list[tuple[str, Content]] = [
        (path, one.content) for one, path in zip(found.files, paths, strict=True) if one.content is not None
    ]
    return [
        Entry(f"{place}/delivery.json", json_octets(shown)),
        *(Entry(path, content=content) for path, content in contents),
    ]


def _load_message(conn: Connection, row_id: int) -> _Message:
    message = get_message(conn, row_id)
    agreement = agreement_in_force(conn, message.authority, message.cpa_id, message.created_at)
    return _Message(message, message_payloads(conn, row_id), agreement)


def _load_delivery(conn: Connection, row_id: int) -> _Delivery:
    return _Delivery(get_delivery(conn, row_id), delivery_files(conn, row_id), checkpoints(conn, row_id))


def _answers(conn: Connection, authority: str, message_id: str) -> set[int]:
    """The rows of what answers a message."""
    return _rows(conn, MessageChoice(authorities=(authority,), ref_to_message_id=message_id))


def _rows(conn: Connection, wanted: MessageChoice) -> set[int]:
    return {found.id for found in list_messages(conn, wanted, limit=MOST).rows}


def _agreement_path(agreement: AgreementRow) -> str:
    return f"agreements/{safe_name(agreement.cpa_id)}-{agreement.digest[:12]}.xml"


def _file_name(file: StoredFile) -> str:
    return file.path.rpartition("/")[2] or file.bestandsnaam or f"{file.kind}-{file.position + 1}"


def _header_lines(headers: Headers) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]


def _headers(headers: Headers) -> bytes:
    return "".join(f"{line}\r\n" for line in _header_lines(headers)).encode("utf-8", "surrogateescape")


def _line(event: Event) -> str:
    at = f"{event.at:%Y-%m-%d %H:%M:%S.%f}Z"
    about = plain(" ".join(filter(None, (event.verzoeknummer, event.message_id))))
    return "  ".join(filter(None, (at, event.action, about, detail_line(event.detail)))) + "\n"
