# SPDX-License-Identifier: EUPL-1.2

"""Signals that answer a received message: built, signed as the agreement says, and ready to be stored.

The work here is synchronous and costs milliseconds of cryptography: callers run it in a thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from lxml import etree

from adapter.authorities import Authority, KnownAgreement
from adapter.ebms import (
    MSH_SERVICE,
    TO_PARTY_MSH,
    Acknowledgment,
    EbmsError,
    Envelope,
    MessageHeader,
    Party,
    SignalAction,
    StatusResponse,
    VerifiedSignature,
    build_acknowledgment,
    build_message_error,
    build_signal,
    build_status_response,
    reply_header,
    serialize,
)
from adapter.msh.sign import sign
from adapter.store import Direction, JobKind, MessageKind, NewJob, NewMessage, partner_lane
from cpa import CpaError, PartyId, Service

PONG_LIFE: Final = timedelta(minutes=5)
"""How long it makes sense to send a Pong: whoever waits for it longer has given up."""

IdMaker = Callable[[str], str]
"""Makes a MessageId for a host."""


def new_message_id(host: str) -> str:
    """A MessageId that is unique in the world: `uuid@host`, without angle brackets (HDR-18, HDR-19)."""
    return f"{uuid4()}@{host}"


def party_text(party: PartyId) -> str:
    """A PartyId as one text, `type:value`: how the store and the field's software write it."""
    return party.value if party.type is None else f"{party.type}:{party.value}"


@dataclass(frozen=True, slots=True)
class Replier:
    """Builds the signals with which one authority answers under one agreement."""

    authority: Authority
    known: KnownAgreement
    make_id: IdMaker = new_message_id

    def acknowledge(
        self, envelope: Envelope, verified: VerifiedSignature | None, *, life: timedelta, now: datetime
    ) -> NewMessage:
        """The Acknowledgment of a message that asked for one (EB 6.3.2, ACK-06 to ACK-09).

        `verified` is its signature, whose references a signed acknowledgment copies; `life` says how long the
        acknowledgment may be sent, again and again if need be. Raises CannotSign.
        """
        header = self._header(envelope, SignalAction.ACKNOWLEDGMENT, now)
        signed = envelope.ack_requested is not None and envelope.ack_requested.signed
        exchange = self.known.agreement.sent_signal(SignalAction.ACKNOWLEDGMENT)
        signed = signed and exchange.signing_certificate is not None
        references = (
            tuple(etree.fromstring(r.element) for r in verified.references) if signed and verified else ()
        )
        # the field's most used adapter compares the actor with the agreement, and a missing one means the same
        named = exchange.characteristics.actor == TO_PARTY_MSH
        root = build_acknowledgment(
            header,
            Acknowledgment(now, envelope.header.message_id, references),
            actor=TO_PARTY_MSH if named else None,
        )
        if signed:
            sign(root, self.authority, self.known, exchange)
        return self._stored(header, root, MessageKind.ACKNOWLEDGMENT, now + life)

    def report(
        self, envelope: Envelope, errors: tuple[EbmsError, ...], *, life: timedelta, now: datetime
    ) -> NewMessage:
        """The MessageError for a refused message (EB 4.2.4); signed when the default channel signs."""
        header = self._header(envelope, SignalAction.MESSAGE_ERROR, now)
        exchange = self.known.agreement.sent_signal(SignalAction.MESSAGE_ERROR)
        root = build_message_error(header, errors)
        if exchange.signing_certificate is not None:
            sign(root, self.authority, self.known, exchange)
        return self._stored(header, root, MessageKind.ERROR, now + life)

    def pong(self, envelope: Envelope, now: datetime) -> NewMessage:
        """The Pong for a Ping (EB 8; PNG-02)."""
        header = self._header(envelope, SignalAction.PONG, now)
        return self._stored(header, build_signal(header), MessageKind.PONG, now + PONG_LIFE)

    def status(self, envelope: Envelope, response: StatusResponse, now: datetime) -> NewMessage:
        """The StatusResponse for a StatusRequest (EB 7.1.2; STS-02)."""
        header = self._header(envelope, SignalAction.STATUS_RESPONSE, now)
        root = build_status_response(header, response)
        return self._stored(header, root, MessageKind.STATUS_RESPONSE, now + PONG_LIFE)

    def _header(self, envelope: Envelope, action: SignalAction, now: datetime) -> MessageHeader:
        return reply_header(envelope.header, action, message_id=self.make_id(own_host(self.known)), now=now)

    def _stored(
        self, header: MessageHeader, root: etree._Element, kind: MessageKind, expires_at: datetime
    ) -> NewMessage:
        return message_row(
            self.known,
            header,
            serialize(root),
            direction=Direction.OUT,
            kind=kind,
            expires_at=expires_at,
        )


def own_host(known: KnownAgreement) -> str:
    """The host of our endpoint in the agreement, for message ids; a fixed name where it has none."""
    try:
        endpoint = known.agreement.received_signal(SignalAction.ACKNOWLEDGMENT).endpoint
    except CpaError:
        return "stam-adapter"
    return urlsplit(endpoint).hostname or "stam-adapter"


def request_header(
    known: KnownAgreement, action: SignalAction, *, message_id: str, now: datetime
) -> MessageHeader:
    """The header of a request that we send as an MSH (Ping, StatusRequest), which starts a conversation of its own."""
    return MessageHeader(
        sender=Party(known.agreement.us.ids[:1]),
        receiver=Party(known.agreement.them.ids[:1]),
        cpa_id=known.cpa_id,
        conversation_id=message_id,
        service=Service(MSH_SERVICE),
        action=action,
        message_id=message_id,
        timestamp=now,
    )


def send_job(known: KnownAgreement) -> NewJob:
    """The job that sends a message to the partner of an agreement: one lane per agreement."""
    return NewJob(JobKind.SEND, lane=partner_lane(known.authority, known.cpa_id))


def message_row(
    known: KnownAgreement,
    header: MessageHeader,
    envelope: bytes,
    *,
    direction: Direction,
    kind: MessageKind,
    received_at: datetime | None = None,
    **rest: object,
) -> NewMessage:
    """A message as the store keeps it; `rest` are further columns. `received_at` stands in for a missing Timestamp."""
    timestamp = header.timestamp or received_at
    if timestamp is None:
        raise ValueError("a message to be stored needs a time")
    return NewMessage(
        authority=known.authority,
        direction=direction,
        kind=kind,
        cpa_id=known.cpa_id,
        message_id=header.message_id,
        conversation_id=header.conversation_id,
        ref_to_message_id=header.ref_to_message_id,
        from_party=_known_party(header.sender, known),
        from_role=header.sender.role,
        to_party=_known_party(header.receiver, known),
        to_role=header.receiver.role,
        service=header.service.name,
        service_type=header.service.type,
        action=header.action,
        timestamp=timestamp,
        time_to_live=header.time_to_live,
        envelope=envelope,
        **rest,  # type: ignore[arg-type]
    )


def _known_party(party: Party, known: KnownAgreement) -> str:
    """The PartyId of a party that the agreement knows, so that one party has one name in the store (HDR-08)."""
    agreed = (*known.agreement.us.ids, *known.agreement.them.ids)
    return party_text(next((one for one in party.party_ids if one in agreed), party.party_ids[0]))
