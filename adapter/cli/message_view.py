# SPDX-License-Identifier: EUPL-1.2

"""An ebMS message in a file, as a person or a machine reads it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from adapter.cli.captured_body import CapturedBody, CapturedPart
from adapter.cli.cpa_view import party_id_text
from adapter.cli.signature_view import describe_signature
from adapter.ebms import Envelope, Party, refers_to
from adapter.verzoek import NotificationProblem, read_notification
from cpa import CollaborationProtocolAgreement, CpaError, Exchange, NotAParty, agreement_for

Description = dict[str, Any]

MAX_NOTIFICATION: Final = 1024 * 1024
"""Largest payload, in octets, that is read as a notification."""


def describe_ebms(
    envelope: Envelope,
    body: CapturedBody | None,
    payloads: Sequence[CapturedPart],
    document: CollaborationProtocolAgreement | None,
    now: datetime,
) -> Description:
    """Everything in a message; `payloads` are its parts without the SOAP part, `document` the CPA to judge it by."""
    exchange, agreement = _agreed(envelope, document)
    content_ids = [part.content_id for part in payloads if part.problem is None]
    whole = body if body is not None and body.content_type.is_multipart else None
    return {
        "kind": "ebms",
        "message": "business message" if envelope.is_business else envelope.signal or "unknown signal",
        **_header(envelope),
        "acknowledges": envelope.acknowledgment.ref_to_message_id if envelope.acknowledgment else None,
        "errors": _errors(envelope),
        "manifest": [reference.href for reference in envelope.manifest or ()],
        "payloads": [_payload(part, envelope) for part in payloads],
        "problems": [str(problem) for problem in envelope.problems],
        "agreement": agreement,
        "signature": describe_signature(envelope, exchange, whole, content_ids, now),
    }


def _header(envelope: Envelope) -> Description:
    header, asked = envelope.header, envelope.ack_requested
    return {
        "messageId": header.message_id,
        "conversationId": header.conversation_id,
        "refToMessageId": header.ref_to_message_id,
        "cpaId": header.cpa_id,
        "from": _party(header.sender),
        "fromRole": header.sender.role,
        "to": _party(header.receiver),
        "toRole": header.receiver.role,
        "service": header.service.name,
        "serviceType": header.service.type,
        "action": header.action,
        "timestamp": header.timestamp,
        "timeToLive": header.time_to_live,
        "duplicateElimination": header.duplicate_elimination,
        "ackRequested": None if asked is None else "signed" if asked.signed else "unsigned",
        "syncReply": envelope.sync_reply,
    }


def _party(party: Party) -> list[str]:
    return [party_id_text(one) for one in party.party_ids]


def _errors(envelope: Envelope) -> list[Description]:
    listed = envelope.error_list
    return [
        {
            "code": error.code,
            "severity": error.severity,
            "location": error.location,
            "description": error.description,
        }
        for error in (listed.errors if listed is not None else ())
    ]


def _payload(part: CapturedPart, envelope: Envelope) -> Description:
    return {
        "contentId": part.content_id or None,
        "contentType": part.media_type,
        "size": part.size,
        "sha256": part.sha256,
        "inManifest": any(refers_to(one.href, part.content_id) for one in envelope.manifest or ()),
        "problem": part.problem,
        "verzoeknummer": _verzoeknummer(part),
    }


def _verzoeknummer(part: CapturedPart) -> str | None:
    """The verzoeknummer in a payload that is a notification."""
    if part.size > MAX_NOTIFICATION:
        return None
    try:
        return read_notification(bytes(part.octets)).verzoeknummer
    except NotificationProblem:
        return None  # any other payload


def _agreed(
    envelope: Envelope, document: CollaborationProtocolAgreement | None
) -> tuple[Exchange | None, Description | None]:
    """What the CPA says of a message like this, and how well they fit."""
    if document is None:
        return None, None
    header = envelope.header
    shown: Description = {"cpaId": document.cpa_id}
    if document.cpa_id != header.cpa_id:
        shown["problem"] = f"the message names CPA {header.cpa_id!r}, not this one"
    exchange = _exchange(envelope, document)
    if exchange is None:
        sender = ", ".join(_party(header.sender))
        shown["problem"] = (
            f"this CPA does not say that {sender} sends {header.action!r} of {header.service.name!r}"
        )
        return None, shown
    return exchange, {**shown, "sender": exchange.sender.name, "profile": exchange.profile}


def _exchange(envelope: Envelope, document: CollaborationProtocolAgreement) -> Exchange | None:
    header = envelope.header
    first, second = document.parties
    for sender, receiver in ((first, second), (second, first)):
        if not any(sender.is_known_as(one) for one in header.sender.party_ids):
            continue
        try:
            agreement = agreement_for(document, receiver.ids[0])
        except (NotAParty, CpaError):
            continue
        if envelope.is_business:
            return agreement.received(header.service, header.action)
        return agreement.received_signal(header.action)
    return None
