# SPDX-License-Identifier: EUPL-1.2

"""From the bytes of a CPA to the document model (CPPA 2.0; elements not known here are ignored)."""

import base64
import binascii
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from lxml import etree

from cpa.errors import CpaError
from cpa.model import (
    ActionBinding,
    Algorithm,
    BusinessTransactionCharacteristics,
    CanReceive,
    CanSend,
    Certificate,
    CollaborationProtocolAgreement,
    CollaborationRole,
    Composite,
    Constituent,
    CpaStatus,
    DeliveryChannel,
    DocExchange,
    Endpoint,
    EndpointType,
    Frequency,
    MessageOrder,
    MessagingCharacteristics,
    OverrideMshActionBinding,
    Packaging,
    PartyId,
    PartyInfo,
    PersistenceLevel,
    ProcessSpecification,
    Protocol,
    ReceiverBinding,
    ReceiverDigitalEnvelope,
    ReceiverNonRepudiation,
    ReliableMessaging,
    SecurityDetails,
    SenderBinding,
    SenderDigitalEnvelope,
    SenderNonRepudiation,
    Service,
    SimplePart,
    SyncReplyMode,
    Transport,
    TransportClientSecurity,
    TransportReceiver,
    TransportSender,
    TransportServerSecurity,
)
from cpa.names import CPPA, DS
from cpa.reader import ID_ATTRIBUTES, Reader, collapse
from cpa.xml import XmlRefused, parse_xml

__all__ = ["CpaError", "parse_cpa"]

T = TypeVar("T")

_ROOT = "CollaborationProtocolAgreement"
_PARTIES = 2
_MAX_RETRY_SPAN = timedelta(days=3653)
_XML_SPACE_REMOVED = {ord(blank): None for blank in " \t\r\n"}


def parse_cpa(data: bytes) -> CollaborationProtocolAgreement:
    """Read a CPA.

    An embedded certificate that cannot be decoded is no error here; see `Certificate.x509`.

    Raises CpaError where the XML is refused or not a CPA, where something required is missing or not of its
    type, where an id occurs twice, and where a reference points nowhere, at the wrong kind of element, or
    into the other party.
    """
    try:
        root = parse_xml(data)
    except XmlRefused as error:
        raise CpaError(f"the CPA cannot be read: {error}") from error
    reader = Reader(root)
    tag = str(root.tag)
    if tag != f"{{{CPPA}}}{_ROOT}":
        raise reader.error(f"this is no CPA: its root is {tag}, not {{{CPPA}}}{_ROOT}")
    return _Parser(reader).document()


class _Parser:
    """One run over one document: an index of all ids, and the values already made for them."""

    def __init__(self, root: Reader) -> None:
        self._root = root
        self._elements = _index(root)
        self._made: dict[str, object] = {}

    def document(self) -> CollaborationProtocolAgreement:
        root = self._root
        parties = tuple(root.children("PartyInfo"))
        if len(parties) != _PARTIES:
            raise root.error(f"there are {len(parties)} PartyInfo elements; a CPA is between exactly two")
        status, start, end = root.required("Status"), root.required("Start"), root.required("End")
        packagings = tuple(self._once(element, self._packaging) for element in root.several("Packaging"))
        return CollaborationProtocolAgreement(
            cpa_id=root.required_attribute("cpaid"),
            version=root.attribute("version") or "",
            status=status.choice(CpaStatus, status.required_attribute("value"), "value"),
            start=start.moment(),
            end=end.moment(),
            parties=(self._party(parties[0]), self._party(parties[1])),
            simple_parts=tuple(_simple_part(element) for element in root.several("SimplePart")),
            packagings=packagings,
        )

    # References

    def _target(self, holder: Reader, value: str | None, *kinds: str) -> Reader:
        """The element that a reference points at, which must be of one of these kinds."""
        idref = collapse(value or "")
        target = self._elements.get(idref)
        if not idref or target is None:
            raise holder.error(f"refers to {idref!r}, but no element has that id")
        if target.name not in kinds:
            raise holder.error(
                f"refers to {idref!r}, which is a {target.name} and not a {' or '.join(kinds)}"
            )
        return target

    def _own(self, holder: Reader, value: str | None, kind: str) -> Reader:
        """As `_target`, and in the same PartyInfo as the holder: a party has its own channels."""
        target = self._target(holder, value, kind)
        if _party_of(target) is not _party_of(holder):
            raise holder.error(f"refers to {target.id!r}, which is a {kind} of the other party")
        return target

    def _once(self, element: Reader, make: Callable[[Reader], T]) -> T:
        """The value of an element with an id, made once, so that equal references give the same value."""
        identity = element.required_id()
        if identity not in self._made:
            self._made[identity] = make(element)
        made: T = self._made[identity]  # type: ignore[assignment]  # one id is always made by one maker
        return made

    def _certificate_ref(self, ref: Reader) -> Certificate:
        return self._once(self._target(ref, ref.attribute("certId"), "Certificate"), _certificate)

    def _security_details_ref(self, ref: Reader | None) -> SecurityDetails | None:
        if ref is None:
            return None
        target = self._target(ref, ref.attribute("securityId"), "SecurityDetails")
        return self._once(target, self._security_details)

    def _packaging_ref(self, holder: Reader, attribute: str) -> Packaging:
        target = self._target(holder, holder.required_attribute(attribute), "Packaging")
        return self._once(target, self._packaging)

    def _channel_ref(self, holder: Reader, value: str) -> DeliveryChannel:
        return self._once(self._own(holder, value, "DeliveryChannel"), self._channel)

    # Parties and roles

    def _party(self, party: Reader) -> PartyInfo:
        return PartyInfo(
            name=party.required_attribute("partyName"),
            ids=tuple(PartyId(e.non_empty(), e.token_attribute("type")) for e in party.several("PartyId")),
            default_channel=self._channel_ref(party, party.required_attribute("defaultMshChannelId")),
            default_packaging=self._packaging_ref(party, "defaultMshPackageId"),
            roles=tuple(self._role(e) for e in party.several("CollaborationRole")),
            certificates=tuple(self._once(e, _certificate) for e in party.children("Certificate")),
            security_details=tuple(
                self._once(e, self._security_details) for e in party.children("SecurityDetails")
            ),
            channels=tuple(self._once(e, self._channel) for e in party.several("DeliveryChannel")),
            transports=tuple(self._once(e, self._transport) for e in party.several("Transport")),
            doc_exchanges=tuple(self._once(e, self._doc_exchange) for e in party.several("DocExchange")),
            overrides=tuple(self._override(e) for e in party.children("OverrideMshActionBinding")),
        )

    def _override(self, element: Reader) -> OverrideMshActionBinding:
        channel = self._channel_ref(element, element.required_attribute("channelId"))
        return OverrideMshActionBinding(element.required_attribute("action"), channel)

    def _role(self, role: Reader) -> CollaborationRole:
        process = role.required("ProcessSpecification")
        binding = role.required("ServiceBinding")
        service = binding.required("Service")
        return CollaborationRole(
            process=ProcessSpecification(
                name=process.required_attribute("name"),
                version=process.attribute("version") or "",
                uuid=process.token_attribute("uuid"),
            ),
            name=role.required("Role").required_attribute("name"),
            service=Service(service.non_empty(), service.attribute("type")),
            can_send=tuple(self._can_send(e) for e in binding.children("CanSend")),
            can_receive=tuple(self._can_receive(e) for e in binding.children("CanReceive")),
        )

    def _can_send(self, element: Reader) -> CanSend:
        return CanSend(
            binding=self._action_binding(element.required("ThisPartyActionBinding")),
            other_binding_id=self._other_binding(element),
            replies=tuple(self._can_receive(e) for e in element.children("CanReceive")),
        )

    def _can_receive(self, element: Reader) -> CanReceive:
        return CanReceive(
            binding=self._action_binding(element.required("ThisPartyActionBinding")),
            other_binding_id=self._other_binding(element),
            replies=tuple(self._can_send(e) for e in element.children("CanSend")),
        )

    def _other_binding(self, element: Reader) -> str | None:
        other = element.optional("OtherPartyActionBinding")
        if other is None:
            return None
        return self._target(other, other.text, "ThisPartyActionBinding").id

    def _action_binding(self, element: Reader) -> ActionBinding:
        return ActionBinding(
            id=element.required_id(),
            action=element.required_attribute("action"),
            packaging=self._packaging_ref(element, "packageId"),
            characteristics=_business_characteristics(element.required("BusinessTransactionCharacteristics")),
            channels=tuple(self._channel_ref(e, e.text) for e in element.several("ChannelId")),
        )

    # Channels, transport and document exchange

    def _channel(self, element: Reader) -> DeliveryChannel:
        transport = self._own(element, element.required_attribute("transportId"), "Transport")
        exchange = self._own(element, element.required_attribute("docExchangeId"), "DocExchange")
        return DeliveryChannel(
            id=element.required_id(),
            characteristics=_characteristics(element.required("MessagingCharacteristics")),
            transport=self._once(transport, self._transport),
            doc_exchange=self._once(exchange, self._doc_exchange),
        )

    def _transport(self, element: Reader) -> Transport:
        sender, receiver = element.optional("TransportSender"), element.optional("TransportReceiver")
        return Transport(
            id=element.required_id(),
            sender=self._transport_sender(sender) if sender else None,
            receiver=self._transport_receiver(receiver) if receiver else None,
        )

    def _transport_sender(self, element: Reader) -> TransportSender:
        security = element.optional("TransportClientSecurity")
        return TransportSender(
            protocol=_protocol(element.required("TransportProtocol")),
            access_authentication=tuple(e.token for e in element.children("AccessAuthentication")),
            security=self._client_security(security) if security else None,
        )

    def _client_security(self, element: Reader) -> TransportClientSecurity:
        certificate = element.optional("ClientCertificateRef")
        return TransportClientSecurity(
            protocol=_protocol(element.required("TransportSecurityProtocol")),
            certificate=self._certificate_ref(certificate) if certificate else None,
            server_security_details=self._security_details_ref(element.optional("ServerSecurityDetailsRef")),
        )

    def _transport_receiver(self, element: Reader) -> TransportReceiver:
        security = element.optional("TransportServerSecurity")
        return TransportReceiver(
            protocol=_protocol(element.required("TransportProtocol")),
            access_authentication=tuple(e.token for e in element.children("AccessAuthentication")),
            endpoints=tuple(_endpoint(e) for e in element.several("Endpoint")),
            security=self._server_security(security) if security else None,
        )

    def _server_security(self, element: Reader) -> TransportServerSecurity:
        return TransportServerSecurity(
            protocol=_protocol(element.required("TransportSecurityProtocol")),
            certificate=self._certificate_ref(element.required("ServerCertificateRef")),
            client_security_details=self._security_details_ref(element.optional("ClientSecurityDetailsRef")),
        )

    def _doc_exchange(self, element: Reader) -> DocExchange:
        sender = element.optional("ebXMLSenderBinding")
        receiver = element.optional("ebXMLReceiverBinding")
        return DocExchange(
            id=element.required_id(),
            sender=self._sender_binding(sender) if sender else None,
            receiver=self._receiver_binding(receiver) if receiver else None,
        )

    def _sender_binding(self, element: Reader) -> SenderBinding:
        signing = element.optional("SenderNonRepudiation")
        envelope = element.optional("SenderDigitalEnvelope")
        return SenderBinding(
            reliable_messaging=_reliable_messaging(element),
            persist_duration=_persist_duration(element),
            non_repudiation=self._sender_non_repudiation(signing) if signing else None,
            digital_envelope=self._sender_envelope(envelope) if envelope else None,
        )

    def _receiver_binding(self, element: Reader) -> ReceiverBinding:
        signing = element.optional("ReceiverNonRepudiation")
        envelope = element.optional("ReceiverDigitalEnvelope")
        return ReceiverBinding(
            reliable_messaging=_reliable_messaging(element),
            persist_duration=_persist_duration(element),
            non_repudiation=self._receiver_non_repudiation(signing) if signing else None,
            digital_envelope=self._receiver_envelope(envelope) if envelope else None,
        )

    def _sender_non_repudiation(self, element: Reader) -> SenderNonRepudiation:
        return SenderNonRepudiation(
            protocol=_protocol(element.required("NonRepudiationProtocol")),
            hash_function=element.required("HashFunction").token,
            signature_algorithms=_algorithms(element, "SignatureAlgorithm"),
            certificate=self._certificate_ref(element.required("SigningCertificateRef")),
        )

    def _receiver_non_repudiation(self, element: Reader) -> ReceiverNonRepudiation:
        return ReceiverNonRepudiation(
            protocol=_protocol(element.required("NonRepudiationProtocol")),
            hash_function=element.required("HashFunction").token,
            signature_algorithms=_algorithms(element, "SignatureAlgorithm"),
            security_details=self._security_details_ref(element.optional("SigningSecurityDetailsRef")),
        )

    def _sender_envelope(self, element: Reader) -> SenderDigitalEnvelope:
        return SenderDigitalEnvelope(
            protocol=_protocol(element.required("DigitalEnvelopeProtocol")),
            algorithms=_algorithms(element, "EncryptionAlgorithm"),
            security_details=self._security_details_ref(element.optional("EncryptionSecurityDetailsRef")),
        )

    def _receiver_envelope(self, element: Reader) -> ReceiverDigitalEnvelope:
        return ReceiverDigitalEnvelope(
            protocol=_protocol(element.required("DigitalEnvelopeProtocol")),
            algorithms=_algorithms(element, "EncryptionAlgorithm"),
            certificate=self._certificate_ref(element.required("EncryptionCertificateRef")),
        )

    def _security_details(self, element: Reader) -> SecurityDetails:
        anchors = element.optional("TrustAnchors")
        refs = anchors.several("AnchorCertificateRef") if anchors else ()
        return SecurityDetails(element.required_id(), tuple(self._certificate_ref(ref) for ref in refs))

    # Packaging

    def _packaging(self, element: Reader) -> Packaging:
        capabilities = element.required("ProcessingCapabilities")
        return Packaging(
            id=element.required_id(),
            parse=bool(capabilities.boolean_attribute("parse")),
            generate=bool(capabilities.boolean_attribute("generate")),
            composite_lists=tuple(self._composites(e) for e in element.several("CompositeList")),
        )

    def _composites(self, composite_list: Reader) -> tuple[Composite, ...]:
        elements = [Reader(child) for child in composite_list.element.iterchildren(f"{{{CPPA}}}*")]
        return tuple(self._composite(e) for e in elements if e.name in {"Composite", "Encapsulation"})

    def _composite(self, element: Reader) -> Composite:
        return Composite(
            id=element.required_id(),
            mime_type=element.required_attribute("mimetype"),
            mime_parameters=element.attribute("mimeparameters"),
            constituents=tuple(self._constituent(e) for e in element.several("Constituent")),
        )

    def _constituent(self, element: Reader) -> Constituent:
        kinds = ("SimplePart", "Composite", "Encapsulation")
        target = self._target(element, element.required_attribute("idref"), *kinds)
        return Constituent(
            idref=target.required_id(),
            excluded_from_signature=bool(element.boolean_attribute("excludedFromSignature")),
            min_occurs=element.integer_attribute("minOccurs"),
            max_occurs=element.integer_attribute("maxOccurs"),
        )


def _index(root: Reader) -> dict[str, Reader]:
    """All elements with an xs:ID, by it; an id that occurs twice is refused."""
    elements: dict[str, Reader] = {}
    for element in root.element.iter(*(f"{{{CPPA}}}{name}" for name in ID_ATTRIBUTES)):
        reader = Reader(element)
        identity = reader.required_id()
        if identity in elements:
            first = elements[identity]
            raise reader.error(
                f"the id is already that of the {first.name} on line {first.element.sourceline}"
            )
        elements[identity] = reader
    return elements


def _party_of(reader: Reader) -> etree._Element | None:
    element: etree._Element | None = reader.element
    while element is not None and element.tag != f"{{{CPPA}}}PartyInfo":
        element = element.getparent()
    return element


def _certificate(element: Reader) -> Certificate:
    return Certificate(element.required_id(), _first_x509(element), element.element.sourceline)


def _first_x509(element: Reader) -> bytes | None:
    """The octets of the first X509Certificate, which by convention is the holder's."""
    for key_info in element.children("KeyInfo", DS):
        for x509_data in key_info.children("X509Data", DS):
            for encoded in x509_data.children("X509Certificate", DS):
                return _decoded(encoded.text)
    return None


def _decoded(text: str) -> bytes | None:
    try:
        octets = base64.b64decode(text.translate(_XML_SPACE_REMOVED), validate=True)
    except (binascii.Error, ValueError):
        # Kept as "no certificate": it is reported by the checks, and an error for who asks for it.
        return None
    return octets or None


def _characteristics(element: Reader) -> MessagingCharacteristics:
    def frequency(name: str) -> Frequency:
        return element.choice_attribute(Frequency, name) or Frequency.PER_MESSAGE

    return MessagingCharacteristics(
        sync_reply_mode=element.choice_attribute(SyncReplyMode, "syncReplyMode") or SyncReplyMode.NONE,
        ack_requested=frequency("ackRequested"),
        ack_signature_requested=frequency("ackSignatureRequested"),
        duplicate_elimination=frequency("duplicateElimination"),
        actor=element.token_attribute("actor"),
    )


def _business_characteristics(element: Reader) -> BusinessTransactionCharacteristics:
    return BusinessTransactionCharacteristics(
        is_non_repudiation_required=element.boolean_attribute("isNonRepudiationRequired"),
        is_non_repudiation_receipt_required=element.boolean_attribute("isNonRepudiationReceiptRequired"),
        is_confidential=element.choice_attribute(PersistenceLevel, "isConfidential"),
        is_authenticated=element.choice_attribute(PersistenceLevel, "isAuthenticated"),
        is_tamper_proof=element.choice_attribute(PersistenceLevel, "isTamperProof"),
        is_authorization_required=element.boolean_attribute("isAuthorizationRequired"),
        is_intelligible_check_required=element.boolean_attribute("isIntelligibleCheckRequired"),
        time_to_acknowledge_receipt=element.duration_attribute("timeToAcknowledgeReceipt"),
        time_to_acknowledge_acceptance=element.duration_attribute("timeToAcknowledgeAcceptance"),
        time_to_perform=element.duration_attribute("timeToPerform"),
        retry_count=element.integer_attribute("retryCount"),
    )


def _reliable_messaging(binding: Reader) -> ReliableMessaging | None:
    element = binding.optional("ReliableMessaging")
    if element is None:
        return None
    retries, interval = element.optional("Retries"), element.optional("RetryInterval")
    order = element.required("MessageOrderSemantics")
    reliable = ReliableMessaging(
        retries=retries.integer() if retries else None,
        retry_interval=interval.duration() if interval else None,
        message_order=order.choice(MessageOrder, order.text, "the text"),
    )
    span = (1 + (reliable.retries or 0)) * (reliable.retry_interval or timedelta()).total_seconds()
    if span > _MAX_RETRY_SPAN.total_seconds():
        raise element.error("Retries and RetryInterval together span more than 10 years")
    return reliable


def _persist_duration(binding: Reader) -> timedelta | None:
    element = binding.optional("PersistDuration")
    return element.duration() if element else None


def _algorithms(element: Reader, name: str) -> tuple[Algorithm, ...]:
    return tuple(
        Algorithm(
            text=algorithm.token,
            w3c=algorithm.token_attribute("w3c"),
            oid=algorithm.token_attribute("oid"),
            enumeration_type=algorithm.token_attribute("enumerationType"),
            minimum_strength=algorithm.integer_attribute("minimumStrength"),
        )
        for algorithm in element.several(name)
    )


def _protocol(element: Reader) -> Protocol:
    return Protocol(element.token, element.token_attribute("version"))


def _endpoint(element: Reader) -> Endpoint:
    kind = element.choice_attribute(EndpointType, "type") or EndpointType.ALL_PURPOSE
    return Endpoint(collapse(element.required_attribute("uri")), kind)


def _simple_part(element: Reader) -> SimplePart:
    return SimplePart(
        id=element.required_id(),
        mime_type=element.required_attribute("mimetype"),
        mime_parameters=element.attribute("mimeparameters"),
        role=element.xlink("role"),
    )
