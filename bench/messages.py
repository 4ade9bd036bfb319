"""Messages for the load: made and signed before the clock runs, so that only the adapter is measured."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from adapter.ebms import (
    AckRequested,
    MessageHeader,
    OutgoingPayload,
    Party,
    build_business_message,
    package_message,
    serialize,
    sign_envelope,
)
from adapter.msh import new_message_id
from adapter.pki import KeyPair
from adapter.simulator import ACTION, SERVICE
from cpa import Agreement, Frequency

PAYLOAD = (
    b'<verzoeknotificatie xmlns="http://www.omgevingswet.nl/koppelvlak/stam-v4/notificatie">'
    b"<verzoeknummer>2023073100048</verzoeknummer></verzoeknotificatie>"
)


@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """A whole HTTP body with its headers, and the envelope apart for the floor."""

    headers: Mapping[str, str]
    body: bytes
    envelope: bytes
    content_id: str


def make_message(agreement: Agreement, keys: KeyPair, payload: bytes = PAYLOAD) -> ReadyMessage:
    """A business message from the partner, as its agreement says."""
    exchange = agreement.sent(SERVICE, ACTION)
    if exchange is None:
        raise ValueError("the agreement does not say that the partner sends notifications")
    message_id, content_id = new_message_id("bench.example"), new_message_id("bench.example")
    header = MessageHeader(
        sender=Party(agreement.us.ids, exchange.sender_role),
        receiver=Party(agreement.them.ids, exchange.receiver_role),
        cpa_id=agreement.cpa_id,
        conversation_id=message_id,
        service=SERVICE,
        action=ACTION,
        message_id=message_id,
        timestamp=datetime.now(UTC),
        duplicate_elimination=exchange.characteristics.duplicate_elimination is Frequency.ALWAYS,
    )
    root = build_business_message(
        header,
        ack_requested=AckRequested(exchange.characteristics.ack_signature_requested is Frequency.ALWAYS),
        sync_reply=exchange.is_synchronous,
        content_ids=[content_id],
    )
    if exchange.requires_signature:
        sign_envelope(
            root,
            private_key=keys.private_key,
            certificate=keys.certificate,
            payload_digests=[(content_id, hashlib.sha256(payload).digest())],
        )
    envelope = serialize(root)
    part = OutgoingPayload(content_id, "application/xml", len(payload), None, lambda: [payload])
    body = package_message(envelope, [part])
    return ReadyMessage(dict(body.headers), b"".join(body.stream_sync()), envelope, content_id)
