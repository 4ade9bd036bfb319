# SPDX-License-Identifier: EUPL-1.2

"""Look-ups in a CPA from the side of one party: what was agreed for an action in one direction.

Sender parameters (signing, retries, client certificate) come from the sender's PartyInfo; receiver
parameters (endpoint, encryption certificate, duplicate window) from the receiver's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cpa.errors import CpaError
from cpa.model import (
    CanReceive,
    CanSend,
    Certificate,
    CollaborationProtocolAgreement,
    CollaborationRole,
    CpaStatus,
    DeliveryChannel,
    DocExchange,
    EndpointType,
    Frequency,
    MessagingCharacteristics,
    PartyId,
    PartyInfo,
    ReceiverDigitalEnvelope,
    ReliableMessaging,
    SenderDigitalEnvelope,
    SenderNonRepudiation,
    Service,
    SyncReplyMode,
)
from cpa.names import MESSAGE_ERROR, MSH_SERVICE
from cpa.profile import Profile, profile_of

DEFAULT_DURATION = timedelta(days=5)
DEFAULT_RETRY_INTERVAL = timedelta(hours=3)

_SYNCHRONOUS = frozenset(
    {SyncReplyMode.MSH_SIGNALS_ONLY, SyncReplyMode.SIGNALS_ONLY, SyncReplyMode.SIGNALS_AND_RESPONSE}
)


class NotAParty(ValueError):
    """The CPA is not an agreement of this party (or it does not say which of the two it is)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One action in one direction, with what both sides agreed for it."""

    sender: PartyInfo
    receiver: PartyInfo
    sender_role: str | None
    receiver_role: str | None
    service: Service
    action: str
    sender_channel: DeliveryChannel
    receiver_channel: DeliveryChannel

    @property
    def sender_exchange(self) -> DocExchange:
        """The document exchange of the sender's channel."""
        return self.sender_channel.doc_exchange

    @property
    def receiver_exchange(self) -> DocExchange:
        """The document exchange of the receiver's channel."""
        return self.receiver_channel.doc_exchange

    @property
    def profile(self) -> Profile | None:
        """The Digikoppeling profile of this exchange; None where it mixes profiles."""
        return profile_of(self.sender_channel, self.receiver_channel)

    @property
    def characteristics(self) -> MessagingCharacteristics:
        """The messaging characteristics of the sender's channel."""
        return self.sender_channel.characteristics

    @property
    def is_synchronous(self) -> bool:
        """Whether MSH signals come back in the HTTP response (SYN-05)."""
        return self.characteristics.sync_reply_mode in _SYNCHRONOUS

    @property
    def endpoint(self) -> str:
        """Where the sender posts to: the receiver's address. Raises CpaError where it has none."""
        if self.service.name == MSH_SERVICE:
            found = self._signal_endpoint()
        else:
            found = _address(self.receiver_channel, EndpointType.REQUEST, EndpointType.ALL_PURPOSE)
        if found is None:
            channel = self.receiver_channel
            raise CpaError(
                f"Transport {channel.transport.id!r} of DeliveryChannel {channel.id!r}: no Endpoint"
                f" where {self.receiver.name!r} can receive {self.action!r}"
            )
        return found

    def _signal_endpoint(self) -> str | None:
        channel = self.receiver_channel
        usual = _address(channel, EndpointType.ALL_PURPOSE, EndpointType.REQUEST, EndpointType.RESPONSE)
        if self.action != MESSAGE_ERROR:
            return usual
        channels = [channel]
        if channel is self.receiver.default_channel:
            # Without an override, an error endpoint on any channel of the party is meant for its errors.
            channels += self.receiver.channels
        errors = (_address(candidate, EndpointType.ERROR) for candidate in channels)
        return next((address for address in errors if address is not None), usual)

    @property
    def _non_repudiation(self) -> SenderNonRepudiation | None:
        binding = self.sender_exchange.sender
        return binding.non_repudiation if binding else None

    @property
    def requires_signature(self) -> bool:
        """Whether the sender signs this."""
        return self._non_repudiation is not None

    @property
    def signing_certificate(self) -> Certificate | None:
        """The certificate to verify the sender's signature with (CRT-20); None where it does not sign."""
        return self._non_repudiation.certificate if self._non_repudiation else None

    @property
    def hash_function(self) -> str | None:
        """The digest algorithm of the sender's signature, as a URI; None where it does not sign."""
        return self._non_repudiation.hash_function if self._non_repudiation else None

    @property
    def signature_algorithms(self) -> tuple[str, ...]:
        """The signature algorithms of the sender, as URIs, the preferred one first."""
        if self._non_repudiation is None:
            return ()
        return tuple(algorithm.uri for algorithm in self._non_repudiation.signature_algorithms)

    @property
    def _sender_envelope(self) -> SenderDigitalEnvelope | None:
        binding = self.sender_exchange.sender
        return binding.digital_envelope if binding else None

    @property
    def _receiver_envelope(self) -> ReceiverDigitalEnvelope | None:
        binding = self.receiver_exchange.receiver
        return binding.digital_envelope if binding else None

    @property
    def requires_encryption(self) -> bool:
        """Whether the sender encrypts the payloads."""
        return self._sender_envelope is not None

    @property
    def encryption_certificate(self) -> Certificate | None:
        """The receiver's certificate to encrypt for (ENC-07); None where it has none."""
        return self._receiver_envelope.certificate if self._receiver_envelope else None

    @property
    def encryption_algorithms(self) -> tuple[str, ...]:
        """What the receiver decrypts, as URIs, the preferred one first; else what the sender would use."""
        envelope = self._receiver_envelope or self._sender_envelope
        return tuple(algorithm.uri for algorithm in envelope.algorithms) if envelope else ()

    @property
    def client_certificate(self) -> Certificate | None:
        """The TLS client certificate of the sender; None where the CPA does not name it."""
        transport = self.sender_channel.transport.sender
        return transport.security.certificate if transport and transport.security else None

    @property
    def _sender_retries(self) -> tuple[int, timedelta]:
        binding = self.sender_exchange.sender
        reliable = binding.reliable_messaging if binding else None
        if reliable is None and self.characteristics.ack_requested is Frequency.NEVER:
            return 0, timedelta()
        return _retries(reliable)

    @property
    def retries(self) -> int:
        """How often the sender repeats an unacknowledged message; 0 in best effort."""
        return self._sender_retries[0]

    @property
    def retry_interval(self) -> timedelta:
        """The time between two attempts of the sender; zero in best effort."""
        return self._sender_retries[1]

    @property
    def persist_duration(self) -> timedelta:
        """How long the sender keeps a message for repeating; 5 days where not set (REL-12)."""
        binding = self.sender_exchange.sender
        given = binding.persist_duration if binding else None
        return DEFAULT_DURATION if given is None else given

    @property
    def duplicate_window(self) -> timedelta:
        """How long the receiver keeps message ids, to recognise the last repeat of the sender (REL-07).

        The longest of the receiver's PersistDuration and (1 + Retries) * RetryInterval of either side,
        since agreements occur in which PersistDuration ends before the last repeat.
        """
        binding = self.receiver_exchange.receiver
        keeps = (
            DEFAULT_DURATION
            if binding is None or binding.persist_duration is None
            else binding.persist_duration
        )
        spans = [keeps, (1 + self.retries) * self.retry_interval]
        if binding is not None and binding.reliable_messaging is not None:
            retries, interval = _retries(binding.reliable_messaging)
            spans.append((1 + retries) * interval)
        return max(spans)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A CPA from the side of one of its parties."""

    document: CollaborationProtocolAgreement
    us: PartyInfo
    them: PartyInfo

    @property
    def cpa_id(self) -> str:
        """The id that messages name as `CPAId`, compared exactly (HDR-11)."""
        return self.document.cpa_id

    @property
    def status(self) -> CpaStatus:
        """The status of the document."""
        return self.document.status

    @property
    def start(self) -> datetime:
        """The first moment of validity."""
        return self.document.start

    @property
    def end(self) -> datetime:
        """The last moment of validity."""
        return self.document.end

    def is_active_at(self, moment: datetime, skew: timedelta = timedelta()) -> bool:
        """Whether the CPA carries traffic at this moment, give or take the skew (CPA-04, LCY-06)."""
        if self.status is not CpaStatus.AGREED:
            return False
        # the skew goes on the moment: the End of an agreement may be the last moment a datetime can have
        return self.start <= moment + skew and moment - skew <= self.end

    def received(self, service: Service, action: str) -> Exchange | None:
        """What was agreed for an action that they send and we receive; None where nothing was."""
        return _exchange(self.them, self.us, service, action)

    def sent(self, service: Service, action: str) -> Exchange | None:
        """What was agreed for an action that we send and they receive; None where nothing was."""
        return _exchange(self.us, self.them, service, action)

    def received_signal(self, action: str) -> Exchange:
        """What was agreed for an MSH signal (`Acknowledgment`, `MessageError`, `Ping`) that they send."""
        return _signal(self.them, self.us, action)

    def sent_signal(self, action: str) -> Exchange:
        """What was agreed for an MSH signal (`Acknowledgment`, `MessageError`, `Ping`) that we send."""
        return _signal(self.us, self.them, action)


def agreement_for(document: CollaborationProtocolAgreement, party: PartyId | str) -> Agreement:
    """The CPA from the side of this party, given by PartyId or by PartyId value only.

    Raises NotAParty where neither party, or each of them, is known by it.
    """
    first, second = document.parties
    if first.is_known_as(party) == second.is_known_as(party):
        known = ", ".join(str(party_id) for info in document.parties for party_id in info.ids)
        which = "both parties are" if first.is_known_as(party) else "neither party is"
        raise NotAParty(f"CPA {document.cpa_id}: {which} {party}; its parties are {known}")
    if first.is_known_as(party):
        return Agreement(document, first, second)
    return Agreement(document, second, first)


@dataclass(frozen=True, slots=True)
class Pair:
    """What one party may send, together with what the other may receive (CPA-10)."""

    sender: PartyInfo
    receiver: PartyInfo
    sender_role: CollaborationRole
    receiver_role: CollaborationRole
    send: CanSend
    receive: CanReceive

    @property
    def service(self) -> Service:
        """The service of both."""
        return self.sender_role.service

    @property
    def action(self) -> str:
        """The action of both."""
        return self.send.binding.action

    @property
    def exchange(self) -> Exchange:
        """The same, as seen by who looks up an action."""
        return Exchange(
            sender=self.sender,
            receiver=self.receiver,
            sender_role=self.sender_role.name,
            receiver_role=self.receiver_role.name,
            service=self.service,
            action=self.action,
            sender_channel=self.send.binding.channel,
            receiver_channel=self.receive.binding.channel,
        )

    @property
    def matches(self) -> bool:
        """Whether service and action are the same, and neither names another counterpart."""
        if self.sender_role.service != self.receiver_role.service:
            return False
        if self.send.binding.action != self.receive.binding.action:
            return False
        send_names, receive_names = self.send.other_binding_id, self.receive.other_binding_id
        return send_names in {None, self.receive.binding.id} and receive_names in {None, self.send.binding.id}


def pairs(sender: PartyInfo, receiver: PartyInfo) -> Iterator[Pair]:
    """All that the one may send and the other may receive, in document order."""
    for sender_role in sender.roles:
        for send in sender_role.all_can_send():
            for receiver_role in receiver.roles:
                for receive in receiver_role.all_can_receive():
                    pair = Pair(sender, receiver, sender_role, receiver_role, send, receive)
                    if pair.matches:
                        yield pair


def _exchange(sender: PartyInfo, receiver: PartyInfo, service: Service, action: str) -> Exchange | None:
    for pair in pairs(sender, receiver):
        if pair.service == service and pair.action == action:
            return pair.exchange
    return None


def _signal(sender: PartyInfo, receiver: PartyInfo, action: str) -> Exchange:
    return Exchange(
        sender=sender,
        receiver=receiver,
        sender_role=None,
        receiver_role=None,
        service=Service(MSH_SERVICE),
        action=action,
        sender_channel=sender.channel_for_signal(action),
        receiver_channel=receiver.channel_for_signal(action),
    )


def _address(channel: DeliveryChannel, *preference: EndpointType) -> str | None:
    receiver = channel.transport.receiver
    return receiver.endpoint(*preference) if receiver else None


def _retries(reliable: ReliableMessaging | None) -> tuple[int, timedelta]:
    """Retries and interval; what is not given is chosen so that all attempts span 5 days (REL-09)."""
    retries = reliable.retries if reliable else None
    interval = reliable.retry_interval if reliable else None
    if interval is None:
        interval = DEFAULT_RETRY_INTERVAL if retries is None else DEFAULT_DURATION / (1 + retries)
    if retries is None:
        retries = max(0, DEFAULT_DURATION // interval - 1) if interval else 0
    return retries, interval
