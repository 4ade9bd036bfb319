# SPDX-License-Identifier: EUPL-1.2

"""A CPA as a person or a machine reads it: parties, actions with what was agreed for them, certificates."""

from datetime import datetime
from typing import Any

from adapter.views.certificates import describe_agreed
from cpa import (
    Certificate,
    CollaborationProtocolAgreement,
    CpaError,
    CpaStatus,
    DeliveryChannel,
    Exchange,
    Finding,
    PartyId,
    PartyInfo,
    pairs,
)

Description = dict[str, Any]


def describe_cpa(document: CollaborationProtocolAgreement, now: datetime) -> Description:
    """Everything in a CPA that matters to who operates it."""
    first, second = document.parties
    exchanges = [pair.exchange for a, b in ((first, second), (second, first)) for pair in pairs(a, b)]
    in_window = document.start <= now <= document.end
    return {
        "kind": "cpa",
        "cpaId": document.cpa_id,
        "version": document.version,
        "status": document.status,
        "start": document.start,
        "end": document.end,
        "activeNow": document.status is CpaStatus.AGREED and in_window,
        "parties": [_party(party, now) for party in document.parties],
        "actions": [_action(exchange) for exchange in exchanges],
    }


def describe_finding(finding: Finding) -> Description:
    """One finding of the checks on a CPA."""
    return {
        "severity": finding.severity,
        "rule": finding.rule,
        "where": finding.where,
        "message": finding.message,
    }


def party_id_text(party: PartyId) -> str:
    """A PartyId with its type."""
    return party.value if party.type is None else f"{party.type}:{party.value}"


def _party(party: PartyInfo, now: datetime) -> Description:
    uses = _uses(party)
    return {
        "name": party.name,
        "partyIds": [party_id_text(one) for one in party.ids],
        "roles": [
            {"role": role.name, "service": role.service.name, "serviceType": role.service.type}
            for role in party.roles
        ],
        "channels": [_channel(channel, party) for channel in party.channels],
        "certificates": [
            {**describe_agreed(one, now), "usedFor": uses.get(one.id, [])} for one in party.certificates
        ],
    }


def _channel(channel: DeliveryChannel, party: PartyInfo) -> Description:
    agreed, receiver = channel.characteristics, channel.transport.receiver
    return {
        "id": channel.id,
        "default": channel is party.default_channel,
        "syncReplyMode": agreed.sync_reply_mode,
        "ackRequested": agreed.ack_requested,
        "ackSignatureRequested": agreed.ack_signature_requested,
        "duplicateElimination": agreed.duplicate_elimination,
        "endpoints": [f"{one.uri} ({one.type})" for one in receiver.endpoints] if receiver else [],
    }


def _action(exchange: Exchange) -> Description:
    return {
        "action": exchange.action,
        "service": exchange.service.name,
        "from": exchange.sender.name,
        "fromRole": exchange.sender_role,
        "to": exchange.receiver.name,
        "toRole": exchange.receiver_role,
        "profile": exchange.profile,
        "senderChannel": exchange.sender_channel.id,
        "receiverChannel": exchange.receiver_channel.id,
        "endpoint": _endpoint(exchange),
        "retries": exchange.retries,
        "retryInterval": exchange.retry_interval,
        "persistDuration": exchange.persist_duration,
        "duplicateWindow": exchange.duplicate_window,
        "signingCertificate": _id(exchange.signing_certificate),
        "signatureAlgorithms": list(exchange.signature_algorithms),
        "hashFunction": exchange.hash_function,
        "encryptionCertificate": _id(exchange.encryption_certificate)
        if exchange.requires_encryption
        else None,
    }


def _endpoint(exchange: Exchange) -> str | None:
    try:
        return exchange.endpoint
    except CpaError:
        return None


def _id(certificate: Certificate | None) -> str | None:
    return None if certificate is None else certificate.id


def _uses(party: PartyInfo) -> dict[str, list[str]]:
    """What each certificate of a party is used for, by its id."""
    uses: dict[str, list[str]] = {}
    for certificate, use in party.certificates_in_use():
        named = uses.setdefault(certificate.id, [])
        if use not in named:
            named.append(use)
    return uses
