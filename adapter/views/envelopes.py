# SPDX-License-Identifier: EUPL-1.2

"""An ebMS envelope as a person or a machine reads it, and what a CPA says of a message like it."""

from typing import Any

from adapter.ebms import Envelope, Party
from adapter.views.cpas import party_id_text
from cpa import CollaborationProtocolAgreement, CpaError, Exchange, NotAParty, agreement_for

Description = dict[str, Any]


def describe_header(envelope: Envelope) -> Description:
    """The MessageHeader of an envelope, and what it asks for."""
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


def describe_errors(envelope: Envelope) -> list[Description]:
    """The errors in the ErrorList of an envelope."""
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


def describe_agreed(
    envelope: Envelope, document: CollaborationProtocolAgreement | None
) -> tuple[Exchange | None, Description | None]:
    """What a CPA says of a message like this, and how well they fit; nothing where there is no CPA."""
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


def _party(party: Party) -> list[str]:
    return [party_id_text(one) for one in party.party_ids]


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
