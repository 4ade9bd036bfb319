# SPDX-License-Identifier: EUPL-1.2

"""Creation of a CPA: from a short description of two parties to a document valid by the CPPA 2.0 schema."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cpa.model import CpaStatus, Frequency, MessageOrder, PartyId, PersistenceLevel, Service, SyncReplyMode
from cpa.names import (
    ACTOR_TO_PARTY_MSH,
    AES256_GCM,
    CPPA,
    DS,
    MSG_HEADER,
    RSA_SHA256,
    SHA256,
    XLINK,
)
from cpa.profile import Profile
from cpa.times import format_datetime, format_duration

_NAMESPACES = {"cpa": CPPA, "ds": DS, "xlink": XLINK}
_SIGNAL_PACKAGE = "PKG_SIGNAL"
_BUSINESS_PACKAGE = "PKG_BUSINESS"
_PARTS = {"PART_HEADER": "text/xml", "PART_XML": "application/xml", "PART_BINARY": "application/octet-stream"}
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class PartyDraft:
    """One party of a CPA to be written.

    `endpoint` is where it receives. A certificate that the profile does not need may be left out; without a
    client (server) certificate the CPA has no security for the sending (receiving) side of the transport.
    """

    name: str
    party_id: PartyId
    role: str
    endpoint: str
    signing_certificate: x509.Certificate | None = None
    client_certificate: x509.Certificate | None = None
    server_certificate: x509.Certificate | None = None
    encryption_certificate: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class CpaDraft:
    """A CPA to be written: one service, in one profile, with the actions that each party sends.

    The defaults for reliable messaging are 1 + 8 attempts, 3 hours apart, and a PersistDuration that
    outlives them (REL-11). They are used in the reliable profiles only.
    """

    cpa_id: str
    start: datetime
    end: datetime
    first: PartyDraft
    second: PartyDraft
    service: Service
    first_sends: tuple[str, ...]
    second_sends: tuple[str, ...]
    profile: Profile
    sync_reply: SyncReplyMode = SyncReplyMode.NONE
    retries: int = 8
    retry_interval: timedelta = timedelta(hours=3)
    persist_duration: timedelta = timedelta(days=2)
    sign_acknowledgments: bool = True
    status: CpaStatus = CpaStatus.AGREED
    hash_function: str = SHA256
    signature_algorithm: str = RSA_SHA256
    encryption_algorithm: str = AES256_GCM


def write_cpa(draft: CpaDraft) -> bytes:
    """Write the CPA as UTF-8 XML. Raises ValueError where the draft contradicts itself."""
    _check(draft)
    root = etree.Element(f"{{{CPPA}}}CollaborationProtocolAgreement", nsmap=_NAMESPACES)
    _set(root, cpaid=draft.cpa_id, version="2_0b")
    _add(root, "Status", value=draft.status)
    _add(root, "Start", format_datetime(draft.start))
    _add(root, "End", format_datetime(draft.end))
    _PartyWriter(draft, draft.first, "A", "B", draft.first_sends, draft.second_sends).write(root)
    _PartyWriter(draft, draft.second, "B", "A", draft.second_sends, draft.first_sends).write(root)
    _write_packaging(root)
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _check(draft: CpaDraft) -> None:
    if draft.sync_reply not in {SyncReplyMode.NONE, SyncReplyMode.MSH_SIGNALS_ONLY}:
        raise ValueError(
            f"syncReplyMode {draft.sync_reply} is not allowed; use none or mshSignalsOnly (SYN-01)"
        )
    if draft.sync_reply is SyncReplyMode.MSH_SIGNALS_ONLY and not draft.profile.reliable:
        raise ValueError(f"{draft.profile} has no signals to return; use syncReplyMode none (SYN-02)")
    if not draft.first_sends and not draft.second_sends:
        raise ValueError("neither party sends an action; give at least one")
    for actions in (draft.first_sends, draft.second_sends):
        if len(set(actions)) != len(actions):
            raise ValueError(f"an action is given twice in {actions}")
    for party in (draft.first, draft.second):
        if draft.profile.signed and party.signing_certificate is None:
            raise ValueError(f"{party.name} has no signing certificate, which {draft.profile} needs")
        if draft.profile.encrypted and party.encryption_certificate is None:
            raise ValueError(f"{party.name} has no encryption certificate, which {draft.profile} needs")


@dataclass(frozen=True, slots=True)
class _PartyWriter:
    """Writes one PartyInfo; `prefix` keeps its ids apart from those of the other party."""

    draft: CpaDraft
    party: PartyDraft
    prefix: str
    other_prefix: str
    sends: tuple[str, ...]
    receives: tuple[str, ...]

    def write(self, root: etree._Element) -> None:
        info = _add(
            root,
            "PartyInfo",
            partyName=self.party.name,
            defaultMshChannelId=self._id("CH_MSH"),
            defaultMshPackageId=_SIGNAL_PACKAGE,
        )
        party_id = _add(info, "PartyId", self.party.party_id.value)
        if self.party.party_id.type is not None:
            _set(party_id, type=self.party.party_id.type)
        _link(_add(info, "PartyRef"), "")
        self._write_role(info)
        for name, certificate in self._certificates().items():
            self._write_certificate(info, name, certificate)
        self._write_security_details(info, "SEC_MSG", ("CERT_SIGN",))
        self._write_security_details(info, "SEC_TLS", ("CERT_TLSC", "CERT_TLSS"))
        self._write_channels(info)
        self._write_transport(info)
        self._write_doc_exchange(info, "DX_MSH", business=False)
        self._write_doc_exchange(info, "DX_BUSINESS", business=True)

    def _id(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    def _certificates(self) -> dict[str, x509.Certificate]:
        party = self.party
        named = {
            "CERT_SIGN": party.signing_certificate if self.draft.profile.signed else None,
            "CERT_TLSC": party.client_certificate,
            "CERT_TLSS": party.server_certificate,
            "CERT_ENC": party.encryption_certificate if self.draft.profile.encrypted else None,
        }
        return {name: certificate for name, certificate in named.items() if certificate is not None}

    # Role and actions

    def _write_role(self, info: etree._Element) -> None:
        service = self.draft.service
        process = f"urn:process:{quote(service.name, safe=':')}"
        role = _add(info, "CollaborationRole")
        _link(_add(role, "ProcessSpecification", name=service.name, version="1.0"), process)
        _link(_add(role, "Role", name=self.party.role), f"{process}#{quote(self.party.role)}")
        binding = _add(role, "ServiceBinding")
        named = _add(binding, "Service", service.name)
        if service.type is not None:
            _set(named, type=service.type)
        for number, action in enumerate(self.sends, start=1):
            self._write_action(_add(binding, "CanSend"), action, _suffix("S", number, action), "R")
        for number, action in enumerate(self.receives, start=1):
            self._write_action(_add(binding, "CanReceive"), action, _suffix("R", number, action), "S")

    def _write_action(self, parent: etree._Element, action: str, suffix: str, opposite: str) -> None:
        binding = _add(
            parent,
            "ThisPartyActionBinding",
            id=self._id(suffix),
            action=action,
            packageId=_BUSINESS_PACKAGE,
        )
        self._write_business_characteristics(binding)
        _add(binding, "ChannelId", self._id("CH_BUSINESS"))
        _add(parent, "OtherPartyActionBinding", f"{self.other_prefix}_{opposite}{suffix[1:]}")

    def _write_business_characteristics(self, binding: etree._Element) -> None:
        profile = self.draft.profile
        _add(
            binding,
            "BusinessTransactionCharacteristics",
            isNonRepudiationRequired=_boolean(profile.signed),
            isNonRepudiationReceiptRequired=_boolean(profile.signed),
            isConfidential=_level(profile.encrypted),
            isAuthenticated=_level(profile.signed),
            isTamperProof=_level(profile.signed),
            isAuthorizationRequired="true",
            isIntelligibleCheckRequired="false",
            timeToPerform="P2D",
        )

    # Certificates

    def _write_certificate(self, info: etree._Element, name: str, certificate: x509.Certificate) -> None:
        element = _add(info, "Certificate", certId=self._id(name))
        key_info = etree.SubElement(element, f"{{{DS}}}KeyInfo")
        x509_data = etree.SubElement(key_info, f"{{{DS}}}X509Data")
        encoded = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")
        etree.SubElement(x509_data, f"{{{DS}}}X509Certificate").text = encoded

    def _write_security_details(self, info: etree._Element, name: str, certificates: tuple[str, ...]) -> None:
        present = [certificate for certificate in certificates if certificate in self._certificates()]
        if present:
            anchors = _add(_add(info, "SecurityDetails", securityId=self._id(name)), "TrustAnchors")
            for certificate in present:
                _add(anchors, "AnchorCertificateRef", certId=self._id(certificate))

    # Channels and transport

    def _write_channels(self, info: etree._Element) -> None:
        self._write_channel(
            info, "CH_MSH", "DX_MSH", SyncReplyMode.NONE, reliable=False, signed_receipt=False
        )
        reliable = self.draft.profile.reliable
        signed_receipt = reliable and self.draft.profile.signed and self.draft.sign_acknowledgments
        self._write_channel(
            info,
            "CH_BUSINESS",
            "DX_BUSINESS",
            self.draft.sync_reply,
            reliable=reliable,
            signed_receipt=signed_receipt,
        )

    def _write_channel(
        self,
        info: etree._Element,
        name: str,
        exchange: str,
        sync_reply: SyncReplyMode,
        *,
        reliable: bool,
        signed_receipt: bool,
    ) -> None:
        channel = _add(
            info,
            "DeliveryChannel",
            channelId=self._id(name),
            transportId=self._id("TR"),
            docExchangeId=self._id(exchange),
        )
        characteristics = _add(
            channel,
            "MessagingCharacteristics",
            syncReplyMode=sync_reply,
            ackRequested=_frequency(reliable),
            ackSignatureRequested=_frequency(signed_receipt),
            duplicateElimination=_frequency(reliable),
        )
        if self.draft.profile.reliable:
            # also for the MSH channel: some partners hold the actor of an Acknowledgment against it
            _set(characteristics, actor=ACTOR_TO_PARTY_MSH)

    def _write_transport(self, info: etree._Element) -> None:
        transport = _add(info, "Transport", transportId=self._id("TR"))
        sender = _add(transport, "TransportSender")
        _add(sender, "TransportProtocol", "HTTP", version="1.1")
        if self.party.client_certificate is not None:
            security = _add(sender, "TransportClientSecurity")
            _add(security, "TransportSecurityProtocol", "TLS", version="1.2")
            _add(security, "ClientCertificateRef", certId=self._id("CERT_TLSC"))
            _add(security, "ServerSecurityDetailsRef", securityId=self._id("SEC_TLS"))
        receiver = _add(transport, "TransportReceiver")
        _add(receiver, "TransportProtocol", "HTTP", version="1.1")
        _add(receiver, "Endpoint", uri=self.party.endpoint, type="allPurpose")
        if self.party.server_certificate is not None:
            security = _add(receiver, "TransportServerSecurity")
            _add(security, "TransportSecurityProtocol", "TLS", version="1.2")
            _add(security, "ServerCertificateRef", certId=self._id("CERT_TLSS"))
            _add(security, "ClientSecurityDetailsRef", securityId=self._id("SEC_TLS"))

    # Document exchange

    def _write_doc_exchange(self, info: etree._Element, name: str, *, business: bool) -> None:
        exchange = _add(info, "DocExchange", docExchangeId=self._id(name))
        for direction in ("Sender", "Receiver"):
            binding = _add(exchange, f"ebXML{direction}Binding", version="2.0")
            if business and self.draft.profile.reliable:
                self._write_reliable_messaging(binding)
            # The MSH channel signs as well, for without that no signed acknowledgment is possible (CPA-07).
            if self.draft.profile.signed:
                self._write_non_repudiation(binding, direction)
            if business and self.draft.profile.encrypted:
                self._write_digital_envelope(binding, direction)

    def _write_reliable_messaging(self, binding: etree._Element) -> None:
        reliable = _add(binding, "ReliableMessaging")
        _add(reliable, "Retries", str(self.draft.retries))
        _add(reliable, "RetryInterval", format_duration(self.draft.retry_interval))
        _add(reliable, "MessageOrderSemantics", MessageOrder.NOT_GUARANTEED)
        _add(binding, "PersistDuration", format_duration(self.draft.persist_duration))

    def _write_non_repudiation(self, binding: etree._Element, direction: str) -> None:
        element = _add(binding, f"{direction}NonRepudiation")
        _add(element, "NonRepudiationProtocol", DS)
        _add(element, "HashFunction", self.draft.hash_function)
        _add(element, "SignatureAlgorithm", self.draft.signature_algorithm)
        if direction == "Sender":
            _add(element, "SigningCertificateRef", certId=self._id("CERT_SIGN"))
        else:
            _add(element, "SigningSecurityDetailsRef", securityId=self._id("SEC_MSG"))

    def _write_digital_envelope(self, binding: etree._Element, direction: str) -> None:
        element = _add(binding, f"{direction}DigitalEnvelope")
        _add(element, "DigitalEnvelopeProtocol", "XMLENC", version="1.0")
        _add(element, "EncryptionAlgorithm", self.draft.encryption_algorithm)
        if direction == "Receiver":
            _add(element, "EncryptionCertificateRef", certId=self._id("CERT_ENC"))


def _write_packaging(root: etree._Element) -> None:
    for part, mime_type in _PARTS.items():
        element = _add(root, "SimplePart", id=part, mimetype=mime_type)
        if part == "PART_HEADER":
            _add(element, "NamespaceSupported", MSG_HEADER, location=MSG_HEADER, version="2.0")
    _write_package(root, _SIGNAL_PACKAGE, "CMP_SIGNAL", payloads=False)
    _write_package(root, _BUSINESS_PACKAGE, "CMP_BUSINESS", payloads=True)


def _write_package(root: etree._Element, package: str, composite: str, *, payloads: bool) -> None:
    packaging = _add(root, "Packaging", id=package)
    _add(packaging, "ProcessingCapabilities", parse="true", generate="true")
    parts = _add(
        _add(packaging, "CompositeList"),
        "Composite",
        id=composite,
        mimetype="multipart/related",
        mimeparameters="type=text/xml",
    )
    _add(parts, "Constituent", idref="PART_HEADER")
    if payloads:
        # Payloads are optional in every profile, and their number is not bounded by the profile (PRF-03).
        _add(parts, "Constituent", idref="PART_XML", minOccurs="0")
        _add(parts, "Constituent", idref="PART_BINARY", minOccurs="0")


def _add(parent: etree._Element, name: str, text: str | None = None, /, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{CPPA}}}{name}")
    element.text = text
    _set(element, **attributes)
    return element


def _set(element: etree._Element, **attributes: str) -> None:
    for name, value in attributes.items():
        element.set(f"{{{CPPA}}}{name}", value)


def _link(element: etree._Element, target: str) -> None:
    element.set(f"{{{XLINK}}}type", "simple")
    element.set(f"{{{XLINK}}}href", target)


def _suffix(direction: str, number: int, action: str) -> str:
    """The end of an xs:ID for an action: readable, and unique by its number whatever the action is called."""
    return f"{direction}_{number}_{_NOT_IN_AN_ID.sub('_', action)}"


def _frequency(always: bool) -> Frequency:
    return Frequency.ALWAYS if always else Frequency.NEVER


def _level(persistent: bool) -> PersistenceLevel:
    return PersistenceLevel.TRANSIENT_AND_PERSISTENT if persistent else PersistenceLevel.TRANSIENT


def _boolean(value: bool) -> str:
    return "true" if value else "false"
