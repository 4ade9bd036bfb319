# SPDX-License-Identifier: EUPL-1.2

"""Messages for the load: made and signed before the clock runs, so that only the receiver is measured."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from adapter.ebms import (
    AckRequested,
    MessageHeader,
    OutgoingBody,
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
from cpa import Agreement, Exchange, Frequency

PAYLOAD = (
    b'<verzoeknotificatie xmlns="http://www.omgevingswet.nl/koppelvlak/stam-v4/notificatie">'
    b"<verzoeknummer>2023073100048</verzoeknummer></verzoeknotificatie>"
)
_HOST = "bench.example"
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """A whole HTTP body, and the envelope apart for the floor."""

    message_id: str
    content_id: str
    envelope: bytes
    body: OutgoingBody
    is_synchronous: bool


def make_message(agreement: Agreement, keys: KeyPair, size: int | None = None) -> ReadyMessage:
    """A business message from the partner, as its agreement says.

    Its payload is a notification, or so many octets, which are made anew each time they are read.
    """
    exchange = agreement.sent(SERVICE, ACTION)
    if exchange is None:
        raise ValueError("the agreement does not say that the partner sends notifications")
    message_id, content_id = new_message_id(_HOST), new_message_id(_HOST)
    root = build_business_message(
        _header(agreement, exchange, message_id),
        ack_requested=AckRequested(exchange.characteristics.ack_signature_requested is Frequency.ALWAYS),
        sync_reply=exchange.is_synchronous,
        content_ids=[content_id],
    )
    chunks, length = (_notification, len(PAYLOAD)) if size is None else (_octets(size), size)
    if exchange.requires_signature:
        sign_envelope(
            root,
            private_key=keys.private_key,
            certificate=keys.certificate,
            payload_digests=[(content_id, _digest(chunks()))],
        )
    envelope = serialize(root)
    part = OutgoingPayload(content_id, "application/xml", length, None, chunks)
    body = package_message(envelope, [part])
    return ReadyMessage(message_id, content_id, envelope, body, exchange.is_synchronous)


def _header(agreement: Agreement, exchange: Exchange, message_id: str) -> MessageHeader:
    return MessageHeader(
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


def _notification() -> Iterator[bytes]:
    yield PAYLOAD


def _octets(size: int) -> Callable[[], Iterator[bytes]]:
    """Octets that do not compress, in chunks."""
    chunk = Random(size).randbytes(_CHUNK)  # noqa: S311 - variety, no secret

    def chunks() -> Iterator[bytes]:
        for _ in range(size // _CHUNK):
            yield chunk
        if size % _CHUNK:
            yield chunk[: size % _CHUNK]

    return chunks


def _digest(chunks: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
