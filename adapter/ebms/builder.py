# SPDX-License-Identifier: EUPL-1.2

"""Envelopes that we send: business messages, acknowledgments, errors, ping, pong, and SOAP faults.

Pure: identifiers and times come from the caller. Every element is written as the schema and Digikoppeling want it
(order of children, `mustUnderstand="1"`, UTC times); a signature is added afterwards, as the last step (pitfall 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from adapter.ebms.envelope import Acknowledgment, AckRequested, MessageHeader, Party, StatusResponse
from adapter.ebms.errors import EbmsError, SoapFault, highest_severity
from adapter.ebms.names import (
    DS_NS,
    EB_NS,
    ERROR_CONTEXT,
    MSH_SERVICE,
    NEXT_ACTOR,
    SOAP_NS,
    TO_PARTY_MSH,
    VERSION,
    XLINK_NS,
    XML_NS,
    SignalAction,
    eb,
    soap,
    xlink,
)
from adapter.ebms.signing import cid_url
from cpa import Service

_NSMAP: Final[Mapping[str | None, str]] = {"SOAP": SOAP_NS, "eb": EB_NS, "xlink": XLINK_NS, "ds": DS_NS}


def reply_header(
    received: MessageHeader, action: SignalAction, *, message_id: str, now: datetime
) -> MessageHeader:
    """The header of a signal that answers `received`: parties swapped, no roles, same agreement and conversation.

    EB 4.2.4.3, 6.3.2, 7, 8; ACK-06, ERR-02, PNG-02.
    """
    return MessageHeader(
        sender=replace(received.receiver, role=None),
        receiver=replace(received.sender, role=None),
        cpa_id=received.cpa_id,
        conversation_id=received.conversation_id,
        service=Service(MSH_SERVICE, None),
        action=action.value,
        message_id=message_id,
        timestamp=now,
        ref_to_message_id=received.message_id,
    )


def build_business_message(
    header: MessageHeader,
    *,
    ack_requested: AckRequested | None = None,
    sync_reply: bool = False,
    content_ids: Sequence[str] = (),
) -> etree._Element:
    """A business message; with payloads the Manifest names each by its Content-ID (MAN-01, MAN-03)."""
    envelope, soap_header, body = _envelope(header)
    if sync_reply:
        _header_entry(soap_header, "SyncReply", actor=NEXT_ACTOR)
    if ack_requested is not None:
        entry = _header_entry(soap_header, "AckRequested", actor=ack_requested.actor or TO_PARTY_MSH)
        entry.set(eb("signed"), "true" if ack_requested.signed else "false")
    if content_ids:
        manifest = etree.SubElement(body, eb("Manifest"), {eb("version"): VERSION})
        for content_id in content_ids:
            etree.SubElement(
                manifest, eb("Reference"), {xlink("type"): "simple", xlink("href"): cid_url(content_id)}
            )
    return envelope


def build_acknowledgment(
    header: MessageHeader, acknowledgment: Acknowledgment, *, actor: str | None = TO_PARTY_MSH
) -> etree._Element:
    """An Acknowledgment (EB 6.3.2): alone in its message, never with a flag of reliable messaging (HDR-26).

    An `actor` that is left out means the To Party MSH as well.
    """
    envelope, soap_header, _ = _envelope(header, _namespaces_of(acknowledgment.references))
    entry = _header_entry(soap_header, "Acknowledgment", actor=actor)
    etree.SubElement(entry, eb("Timestamp")).text = format_moment(
        acknowledgment.timestamp or _sent_at(header)
    )
    etree.SubElement(entry, eb("RefToMessageId")).text = acknowledgment.ref_to_message_id
    _write_party(entry, "From", header.sender)
    for reference in acknowledgment.references:
        entry.append(_copy(reference))
    return envelope


def build_message_error(header: MessageHeader, errors: tuple[EbmsError, ...]) -> etree._Element:
    """A MessageError with every error in one list (EB 4.2.3); only generic texts go out (ERR-12).

    Raises ValueError where there is no error: the list may not be empty.
    """
    if not errors:
        raise ValueError("a MessageError needs at least one error")
    envelope, soap_header, _ = _envelope(header)
    entry = _header_entry(soap_header, "ErrorList")
    entry.set(eb("highestSeverity"), highest_severity(errors).value)
    for error in errors:
        element = etree.SubElement(
            entry,
            eb("Error"),
            {
                eb("codeContext"): ERROR_CONTEXT,
                eb("errorCode"): error.code.value,
                eb("severity"): error.severity.value,
            },
        )
        if error.location:
            element.set(eb("location"), error.location)
        description = etree.SubElement(element, eb("Description"), {f"{{{XML_NS}}}lang": "en"})
        description.text = error.description
    return envelope


def build_signal(header: MessageHeader) -> etree._Element:
    """A signal that is nothing but its header: Ping and Pong (EB 8)."""
    envelope, _, _ = _envelope(header)
    return envelope


def build_status_request(header: MessageHeader, ref_to_message_id: str) -> etree._Element:
    """A StatusRequest (EB 7.1.1): the id that is asked for stands in the body only (STS-02)."""
    envelope, _, body = _envelope(header)
    element = etree.SubElement(body, eb("StatusRequest"), {eb("version"): VERSION})
    etree.SubElement(element, eb("RefToMessageId")).text = ref_to_message_id
    return envelope


def build_status_response(header: MessageHeader, response: StatusResponse) -> etree._Element:
    """A StatusResponse (EB 7.1.2); its Timestamp is when the asked message was received (STS-04)."""
    envelope, _, body = _envelope(header)
    attributes = {eb("version"): VERSION, eb("messageStatus"): response.status}
    element = etree.SubElement(body, eb("StatusResponse"), attributes)
    etree.SubElement(element, eb("RefToMessageId")).text = response.ref_to_message_id
    if response.timestamp is not None:
        etree.SubElement(element, eb("Timestamp")).text = format_moment(response.timestamp)
    return envelope


def build_fault(fault: SoapFault) -> bytes:
    """A SOAP 1.1 fault with its generic text (SOAP 1.1 4.4)."""
    envelope = etree.Element(soap("Envelope"), nsmap={"SOAP": SOAP_NS})
    element = etree.SubElement(etree.SubElement(envelope, soap("Body")), soap("Fault"))
    etree.SubElement(element, "faultcode").text = f"SOAP:{fault.code.value}"
    etree.SubElement(element, "faultstring").text = fault.text
    return serialize(envelope)


def serialize(envelope: etree._Element) -> bytes:
    """The octets that are sent, stored and, once signed, never made again (pitfall 44)."""
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def format_moment(moment: datetime) -> str:
    """A time as ebMS wants it: UTC with `Z`, milliseconds (HDR-21, pitfall 27). Raises ValueError without zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _envelope(
    header: MessageHeader, namespaces: Mapping[str | None, str] = _NSMAP
) -> tuple[etree._Element, etree._Element, etree._Element]:
    envelope = etree.Element(soap("Envelope"), nsmap=dict(namespaces))
    soap_header = etree.SubElement(envelope, soap("Header"))
    _write_header(_header_entry(soap_header, "MessageHeader"), header)
    return envelope, soap_header, etree.SubElement(envelope, soap("Body"))


def _header_entry(soap_header: etree._Element, name: str, *, actor: str | None = None) -> etree._Element:
    entry = etree.SubElement(soap_header, eb(name), {soap("mustUnderstand"): "1", eb("version"): VERSION})
    if actor is not None:
        entry.set(soap("actor"), actor)
    return entry


def _write_header(element: etree._Element, header: MessageHeader) -> None:
    _write_party(element, "From", header.sender)
    _write_party(element, "To", header.receiver)
    etree.SubElement(element, eb("CPAId")).text = header.cpa_id
    etree.SubElement(element, eb("ConversationId")).text = header.conversation_id
    service = etree.SubElement(element, eb("Service"))
    service.text = header.service.name
    if header.service.type is not None:
        service.set(eb("type"), header.service.type)
    etree.SubElement(element, eb("Action")).text = header.action
    data = etree.SubElement(element, eb("MessageData"))
    etree.SubElement(data, eb("MessageId")).text = header.message_id
    etree.SubElement(data, eb("Timestamp")).text = format_moment(_sent_at(header))
    if header.ref_to_message_id is not None:
        etree.SubElement(data, eb("RefToMessageId")).text = header.ref_to_message_id
    if header.time_to_live is not None:
        etree.SubElement(data, eb("TimeToLive")).text = format_moment(header.time_to_live)
    if header.duplicate_elimination:
        etree.SubElement(element, eb("DuplicateElimination"))


def _write_party(parent: etree._Element, name: str, party: Party) -> None:
    element = etree.SubElement(parent, eb(name))
    for party_id in party.party_ids:
        child = etree.SubElement(element, eb("PartyId"))
        child.text = party_id.value
        if party_id.type is not None:
            child.set(eb("type"), party_id.type)
    if party.role is not None:
        etree.SubElement(element, eb("Role")).text = party.role


def _sent_at(header: MessageHeader) -> datetime:
    if header.timestamp is None:
        raise ValueError("a message that is sent needs a timestamp")
    return header.timestamp


def _namespaces_of(references: Sequence[etree._Element]) -> Mapping[str | None, str]:
    """What the root declares, so that a prefix in the XPath text of a copied reference stays bound.

    lxml takes a declaration away from an element that it moves where the namespace has a prefix already.
    """
    theirs = {prefix: uri for reference in references for prefix, uri in reference.nsmap.items() if prefix}
    return theirs | dict(_NSMAP)


def _copy(reference: etree._Element) -> etree._Element:
    """A detached copy of a ds:Reference with the namespaces in scope, and no tail."""
    return etree.fromstring(etree.tostring(reference, with_tail=False))
