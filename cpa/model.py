# SPDX-License-Identifier: EUPL-1.2

"""A CPA document as frozen values, with its references resolved (CPPA 2.0).

Names follow the elements and attributes of the schema. A reference by IDREF is the referred value itself,
except the one that would make a circle: `OtherPartyActionBinding` stays an id.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from cryptography import x509

from cpa.errors import MALFORMED_X509, CpaError


class CpaStatus(StrEnum):
    """`Status/@value`: only an agreed CPA carries traffic (CPA-04)."""

    AGREED = "agreed"
    SIGNED = "signed"
    PROPOSED = "proposed"


class Frequency(StrEnum):
    """How often a messaging characteristic applies; with PER_MESSAGE the message header rules."""

    ALWAYS = "always"
    NEVER = "never"
    PER_MESSAGE = "perMessage"


class SyncReplyMode(StrEnum):
    """What comes back in the HTTP response; Digikoppeling allows the first two (SYN-01)."""

    NONE = "none"
    MSH_SIGNALS_ONLY = "mshSignalsOnly"
    SIGNALS_ONLY = "signalsOnly"
    SIGNALS_AND_RESPONSE = "signalsAndResponse"
    RESPONSE_ONLY = "responseOnly"


class EndpointType(StrEnum):
    """What an endpoint is for."""

    LOGIN = "login"
    REQUEST = "request"
    RESPONSE = "response"
    ERROR = "error"
    ALL_PURPOSE = "allPurpose"


class MessageOrder(StrEnum):
    """`MessageOrderSemantics`; Digikoppeling strongly discourages GUARANTEED (ORD-01)."""

    GUARANTEED = "Guaranteed"
    NOT_GUARANTEED = "NotGuaranteed"


class PersistenceLevel(StrEnum):
    """Where a security property holds: in transport (transient), in the message (persistent), or both."""

    NONE = "none"
    TRANSIENT = "transient"
    PERSISTENT = "persistent"
    TRANSIENT_AND_PERSISTENT = "transient-and-persistent"

    @property
    def persistent(self) -> bool:
        """Whether the property holds in the message itself."""
        return self in {PersistenceLevel.PERSISTENT, PersistenceLevel.TRANSIENT_AND_PERSISTENT}


@dataclass(frozen=True, slots=True)
class PartyId:
    """An identification of a party; `type` is `urn:osb:oin` for an OIN (HDR-05)."""

    value: str
    type: str | None = None

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Service:
    """The name and type of a service; both are compared exactly (HDR-15)."""

    name: str
    type: str | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Certificate:
    """A certificate embedded in the CPA.

    `der` is None where there is no X509Certificate that is base64. A certificate that cannot be read does
    not make the document unreadable: it is an error only for who asks for it.
    """

    id: str
    der: bytes | None
    line: int | None = field(default=None, compare=False)

    @cached_property
    def x509(self) -> x509.Certificate:
        """The certificate, decoded; raises CpaError where that cannot be done."""
        where = f"Certificate {self.id!r} (line {self.line})"
        if self.der is None:
            raise CpaError(f"{where}: ds:X509Data holds no X509Certificate in base64")
        try:
            certificate = x509.load_der_x509_certificate(self.der)
            # These are decoded on access only, and no use of the certificate can do without them.
            _ = certificate.subject, certificate.issuer, certificate.public_key()
        except MALFORMED_X509 as error:
            raise CpaError(f"{where}: not a readable X.509 certificate: {error}") from error
        return certificate


@dataclass(frozen=True, slots=True)
class SecurityDetails:
    """Trust anchors by name; a hint at most, since registers list a party's own certificates here."""

    id: str
    anchors: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Protocol:
    """The name and version of a protocol, as written; informative only."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature or encryption algorithm; the URI is in the text or in `@w3c`."""

    text: str
    w3c: str | None = None
    oid: str | None = None
    enumeration_type: str | None = None
    minimum_strength: int | None = None

    @property
    def uri(self) -> str:
        """The URI of the algorithm where one is given, else the text."""
        if ":" in self.text or self.w3c is None:
            return self.text
        return self.w3c


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address where a party receives."""

    uri: str
    type: EndpointType = EndpointType.ALL_PURPOSE


@dataclass(frozen=True, slots=True)
class TransportClientSecurity:
    """TLS as the client of a connection."""

    protocol: Protocol
    certificate: Certificate | None
    server_security_details: SecurityDetails | None = None


@dataclass(frozen=True, slots=True)
class TransportServerSecurity:
    """TLS as the server of a connection."""

    protocol: Protocol
    certificate: Certificate
    client_security_details: SecurityDetails | None = None


@dataclass(frozen=True, slots=True)
class TransportSender:
    """How a party connects out; `access_authentication` holds `basic` or `digest`, if anything."""

    protocol: Protocol
    access_authentication: tuple[str, ...]
    security: TransportClientSecurity | None


@dataclass(frozen=True, slots=True)
class TransportReceiver:
    """Where and how a party is reached."""

    protocol: Protocol
    access_authentication: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    security: TransportServerSecurity | None

    def endpoint(self, *preference: EndpointType) -> str | None:
        """The address of the first of these types that there is, else None."""
        for wanted in preference:
            for endpoint in self.endpoints:
                if endpoint.type is wanted:
                    return endpoint.uri
        return None


@dataclass(frozen=True, slots=True)
class Transport:
    """One way of transport, in both directions."""

    id: str
    sender: TransportSender | None
    receiver: TransportReceiver | None


@dataclass(frozen=True, slots=True)
class ReliableMessaging:
    """Retries and their interval, as far as the document gives them."""

    retries: int | None
    retry_interval: timedelta | None
    message_order: MessageOrder


@dataclass(frozen=True, slots=True)
class SenderNonRepudiation:
    """How this party signs what it sends."""

    protocol: Protocol
    hash_function: str
    signature_algorithms: tuple[Algorithm, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ReceiverNonRepudiation:
    """What this party wants of the signatures it receives."""

    protocol: Protocol
    hash_function: str
    signature_algorithms: tuple[Algorithm, ...]
    security_details: SecurityDetails | None


@dataclass(frozen=True, slots=True)
class SenderDigitalEnvelope:
    """How this party encrypts what it sends."""

    protocol: Protocol
    algorithms: tuple[Algorithm, ...]
    security_details: SecurityDetails | None


@dataclass(frozen=True, slots=True)
class ReceiverDigitalEnvelope:
    """How others encrypt for this party, and with which certificate."""

    protocol: Protocol
    algorithms: tuple[Algorithm, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SenderBinding:
    """`ebXMLSenderBinding`: what holds when this party sends."""

    reliable_messaging: ReliableMessaging | None = None
    persist_duration: timedelta | None = None
    non_repudiation: SenderNonRepudiation | None = None
    digital_envelope: SenderDigitalEnvelope | None = None


@dataclass(frozen=True, slots=True)
class ReceiverBinding:
    """`ebXMLReceiverBinding`: what holds when this party receives."""

    reliable_messaging: ReliableMessaging | None = None
    persist_duration: timedelta | None = None
    non_repudiation: ReceiverNonRepudiation | None = None
    digital_envelope: ReceiverDigitalEnvelope | None = None


@dataclass(frozen=True, slots=True)
class DocExchange:
    """The properties of the message exchange itself, in both directions."""

    id: str
    sender: SenderBinding | None
    receiver: ReceiverBinding | None


@dataclass(frozen=True, slots=True)
class MessagingCharacteristics:
    """Acknowledgments, duplicates and synchronous replies; the defaults are those of the schema (CPA-19)."""

    sync_reply_mode: SyncReplyMode = SyncReplyMode.NONE
    ack_requested: Frequency = Frequency.PER_MESSAGE
    ack_signature_requested: Frequency = Frequency.PER_MESSAGE
    duplicate_elimination: Frequency = Frequency.PER_MESSAGE
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryChannel:
    """Messaging characteristics, transport and document exchange, tied together."""

    id: str
    characteristics: MessagingCharacteristics
    transport: Transport
    doc_exchange: DocExchange


@dataclass(frozen=True, slots=True)
class BusinessTransactionCharacteristics:
    """What the business process asks of an action; None where the attribute is absent."""

    is_non_repudiation_required: bool | None = None
    is_non_repudiation_receipt_required: bool | None = None
    is_confidential: PersistenceLevel | None = None
    is_authenticated: PersistenceLevel | None = None
    is_tamper_proof: PersistenceLevel | None = None
    is_authorization_required: bool | None = None
    is_intelligible_check_required: bool | None = None
    time_to_acknowledge_receipt: timedelta | None = None
    time_to_acknowledge_acceptance: timedelta | None = None
    time_to_perform: timedelta | None = None
    retry_count: int | None = None


@dataclass(frozen=True, slots=True)
class SimplePart:
    """A kind of MIME part."""

    id: str
    mime_type: str
    mime_parameters: str | None
    role: str | None


@dataclass(frozen=True, slots=True)
class Constituent:
    """A part of a composite: the id of a SimplePart, Composite or Encapsulation, and how often it occurs."""

    idref: str
    excluded_from_signature: bool
    min_occurs: int | None
    max_occurs: int | None


@dataclass(frozen=True, slots=True)
class Composite:
    """A `Composite` or an `Encapsulation` (of one constituent)."""

    id: str
    mime_type: str
    mime_parameters: str | None
    constituents: tuple[Constituent, ...]


@dataclass(frozen=True, slots=True)
class Packaging:
    """How a message is packaged; one tuple of composites per `CompositeList`."""

    id: str
    parse: bool
    generate: bool
    composite_lists: tuple[tuple[Composite, ...], ...]


@dataclass(frozen=True, slots=True)
class ActionBinding:
    """`ThisPartyActionBinding`: an action of this party; the first channel is the preferred one."""

    id: str
    action: str
    packaging: Packaging
    characteristics: BusinessTransactionCharacteristics
    channels: tuple[DeliveryChannel, ...]

    @property
    def channel(self) -> DeliveryChannel:
        """The channel to use."""
        return self.channels[0]


@dataclass(frozen=True, slots=True)
class CanSend:
    """An action that a party may send; `replies` are synchronous business responses to it."""

    binding: ActionBinding
    other_binding_id: str | None
    replies: tuple["CanReceive", ...] = ()


@dataclass(frozen=True, slots=True)
class CanReceive:
    """An action that a party may receive; `replies` are synchronous business responses to it."""

    binding: ActionBinding
    other_binding_id: str | None
    replies: tuple[CanSend, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessSpecification:
    """A label of the business process; not used at run time."""

    name: str
    version: str
    uuid: str | None


@dataclass(frozen=True, slots=True)
class CollaborationRole:
    """The role of a party in a process, and what it may send and receive in it."""

    process: ProcessSpecification
    name: str
    service: Service
    can_send: tuple[CanSend, ...]
    can_receive: tuple[CanReceive, ...]

    def all_can_send(self) -> Iterator[CanSend]:
        """What the party may send in this role: first on its own account, then as synchronous responses."""
        yield from self.can_send
        for receive in self.can_receive:
            yield from receive.replies

    def all_can_receive(self) -> Iterator[CanReceive]:
        """What the party may receive in this role: first on its own, then as synchronous responses."""
        yield from self.can_receive
        for send in self.can_send:
            yield from send.replies


@dataclass(frozen=True, slots=True)
class OverrideMshActionBinding:
    """Another channel for one MSH action."""

    action: str
    channel: DeliveryChannel


@dataclass(frozen=True, slots=True)
class PartyInfo:
    """One of the two parties: who it is, what it does and how it is reached."""

    name: str
    ids: tuple[PartyId, ...]
    default_channel: DeliveryChannel
    default_packaging: Packaging
    roles: tuple[CollaborationRole, ...]
    certificates: tuple[Certificate, ...]
    security_details: tuple[SecurityDetails, ...]
    channels: tuple[DeliveryChannel, ...]
    transports: tuple[Transport, ...]
    doc_exchanges: tuple[DocExchange, ...]
    overrides: tuple[OverrideMshActionBinding, ...]

    def certificates_in_use(self) -> Iterator[tuple[Certificate, str]]:
        """The certificates that the channels of this party refer to, each with what it is for; some more than once."""
        for exchange in self.doc_exchanges:
            if exchange.sender and exchange.sender.non_repudiation:
                yield exchange.sender.non_repudiation.certificate, "signing"
            if exchange.receiver and exchange.receiver.digital_envelope:
                yield exchange.receiver.digital_envelope.certificate, "encryption"
        for transport in self.transports:
            sender, receiver = transport.sender, transport.receiver
            if sender and sender.security and sender.security.certificate:
                yield sender.security.certificate, "TLS client"
            if receiver and receiver.security:
                yield receiver.security.certificate, "TLS server"

    def is_known_as(self, party: PartyId | str) -> bool:
        """Whether this is the party with this PartyId (value and type), or with this PartyId value."""
        if isinstance(party, PartyId):
            return party in self.ids
        return any(party_id.value == party for party_id in self.ids)

    def channel_for_signal(self, action: str) -> DeliveryChannel:
        """The channel for an MSH action: an override for it, else the default channel."""
        for override in self.overrides:
            if override.action == action:
                return override.channel
        return self.default_channel


@dataclass(frozen=True, slots=True)
class CollaborationProtocolAgreement:
    """A whole CPA; the order of the parties has no meaning."""

    cpa_id: str
    version: str
    status: CpaStatus
    start: datetime
    end: datetime
    parties: tuple[PartyInfo, PartyInfo]
    simple_parts: tuple[SimplePart, ...]
    packagings: tuple[Packaging, ...]
