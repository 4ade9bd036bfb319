# SPDX-License-Identifier: EUPL-1.2

"""A received SOAP envelope as a typed, immutable message, with everything that is wrong with its shape.

Steps 7 to 12 of the receiving algorithm: hardened parse, SOAP version, mustUnderstand, structure, version. What
makes the header unusable is a SOAP fault; the rest is noted in `Envelope.problems`, to be reported once the sender
is known to be who it says it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Final

from lxml import etree

from adapter.ebms.errors import (
    LOCATION_HEADER,
    EbmsError,
    FaultCode,
    Severity,
    SoapFault,
)
from adapter.ebms.names import (
    ERROR_CONTEXT,
    MSH_SERVICE,
    NEXT_ACTOR,
    NEXT_MSH,
    OUR_ACTORS,
    SOAP_NS,
    TO_PARTY_MSH,
    SignalAction,
    ds,
    eb,
    soap,
    xlink,
)
from adapter.ebms.structure import IN_HEADER, actor_of, check_envelope, is_element, prefixed, text_of
from cpa import PartyId, Service, XmlRefused, parse_datetime, parse_xml

_MAX_DEPTH: Final = 50
_MAX_ELEMENTS: Final = 10_000
_MAX_TEXT: Final = 1024
"""Characters of a text in the MessageHeader: they become keys of a database, which has bounds of its own (HDR-20)."""

_MAX_PROBLEMS: Final = 50
"""Problems that are noted: each is reported, and a partner has no use for a list without end."""

_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_UNDERSTOOD: Final = IN_HEADER | {ds("Signature")}


@dataclass(frozen=True, slots=True)
class Party:
    """From or To: one or more PartyIds of one party, and its role (EB 3.1.1)."""

    party_ids: tuple[PartyId, ...]
    role: str | None = None


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """eb:MessageHeader (EB 3.1). `timestamp` is None only where it could not be read, which is then a problem."""

    sender: Party
    receiver: Party
    cpa_id: str
    conversation_id: str
    service: Service
    action: str
    message_id: str
    timestamp: datetime | None = None
    ref_to_message_id: str | None = None
    time_to_live: datetime | None = None
    duplicate_elimination: bool = False


@dataclass(frozen=True, slots=True)
class AckRequested:
    """eb:AckRequested aimed at the To Party MSH, by its actor or by having none (EB 6.3.1)."""

    signed: bool
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgment:
    """eb:Acknowledgment (EB 6.3.2); `references` are the copied ds:Reference elements of a signed one."""

    timestamp: datetime | None
    ref_to_message_id: str
    references: tuple[etree._Element, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedError:
    """One eb:Error of a received ErrorList, as the partner wrote it (EB 4.2.3.2)."""

    code: str
    severity: Severity
    location: str | None
    description: str | None
    context: str = ERROR_CONTEXT


@dataclass(frozen=True, slots=True)
class ErrorList:
    """eb:ErrorList (EB 4.2.3)."""

    highest_severity: Severity
    errors: tuple[ReportedError, ...]


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """eb:StatusResponse (EB 7.1.2): the status of the message that was asked for, and when it was received."""

    ref_to_message_id: str
    status: str
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class ManifestReference:
    """One eb:Reference of the Manifest; `href` as received (EB 3.2.1)."""

    href: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """A received envelope.

    `root` is the parsed tree on which a signature is verified; nobody changes it. `problems` are the departures
    from structure and then from version, in document order; the first of them where there are very many.
    """

    root: etree._Element
    header: MessageHeader
    ack_requested: AckRequested | None = None
    next_ack_requested: bool = False
    sync_reply: bool = False
    message_order: bool = False
    acknowledgment: Acknowledgment | None = None
    error_list: ErrorList | None = None
    manifest: tuple[ManifestReference, ...] | None = None
    status_request: str | None = None
    status_response: StatusResponse | None = None
    problems: tuple[EbmsError, ...] = field(default=())

    @property
    def body(self) -> etree._Element:
        """The SOAP Body, which every envelope that was read has."""
        return next(child for child in self.root if child.tag == soap("Body"))

    @property
    def signal(self) -> SignalAction | None:
        """Which MSH signal this is, or None for a business message (step 12)."""
        if self.header.service.name != MSH_SERVICE:
            return None
        return next((action for action in SignalAction if action == self.header.action), None)

    @property
    def is_business(self) -> bool:
        """Whether an application, not the MSH, is the receiver."""
        return self.header.service.name != MSH_SERVICE


def read_envelope(data: bytes) -> Envelope:
    """Parse the octets of the SOAP part.

    Raises SoapFault where the message cannot even be answered with an ErrorList (ERR-06, PKG-14, PKG-15, HDR-29).
    """
    root = _parse(data)
    header, body = _parts(root)
    _check_understood(header)
    message_header = _only(header, "MessageHeader")
    if message_header is None:
        raise _unusable("there is no eb:MessageHeader")
    problems = check_envelope(root, header, body)
    return _assemble(root, header, body, _read_header(message_header), tuple(islice(problems, _MAX_PROBLEMS)))


def _parse(data: bytes) -> etree._Element:
    try:
        root = parse_xml(data, max_depth=_MAX_DEPTH)
    except XmlRefused as refused:
        raise SoapFault(
            FaultCode.CLIENT, "xml", "The message is not acceptable XML", str(refused)
        ) from refused
    encoding = root.getroottree().docinfo.encoding or "utf-8"
    # UTF-16 and UTF-32 need no declaration: they show by octets that UTF-8 text does not have (PKG-04)
    if encoding.lower() not in _ENCODINGS or b"\0" in data or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise SoapFault(FaultCode.CLIENT, "charset", "Only UTF-8 is supported", f"encoding is {encoding!r}")
    if next(islice(root.iter("*"), _MAX_ELEMENTS, None), None) is not None:
        raise SoapFault(
            FaultCode.CLIENT,
            "envelope_size",
            "The SOAP part is too large",
            f"the SOAP part has more than {_MAX_ELEMENTS} elements",
        )
    return root


def _parts(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    qname = etree.QName(root)
    if qname.localname != "Envelope":
        raise SoapFault(FaultCode.CLIENT, "not_soap", "The message is not a SOAP envelope")
    if qname.namespace != SOAP_NS:
        raise SoapFault(FaultCode.VERSION_MISMATCH, "soap_version", "Only SOAP 1.1 is supported")
    around = chain(root.itersiblings(etree.PI, preceding=True), root.itersiblings(etree.PI))
    if next(chain(root.iter(etree.PI), around), None) is not None:
        raise SoapFault(FaultCode.CLIENT, "xml", "Processing instructions are not allowed")
    children = [child for child in root if is_element(child)]
    if [child.tag for child in children[:2]] != [soap("Header"), soap("Body")]:
        raise SoapFault(FaultCode.CLIENT, "not_soap", "A SOAP envelope holds one Header and then one Body")
    if any(child.tag in {soap("Header"), soap("Body")} for child in children[2:]):
        raise SoapFault(FaultCode.CLIENT, "not_soap", "A SOAP envelope holds one Header and then one Body")
    return children[0], children[1]


def _check_understood(header: etree._Element) -> None:
    for entry in header:
        if not is_element(entry) or entry.tag in _UNDERSTOOD:
            continue
        must = (entry.get(soap("mustUnderstand")) or "").strip() in {"1", "true"}
        if must and (actor_of(entry) or "") in OUR_ACTORS:
            raise SoapFault(
                FaultCode.MUST_UNDERSTAND,
                "must_understand",
                "A header that must be understood is not known here",
                f"header {entry.tag!r} must be understood and is not known",
            )


def _read_header(element: etree._Element) -> MessageHeader:
    data = element.find(eb("MessageData"))
    if data is None:
        raise _unusable("eb:MessageHeader lacks eb:MessageData")
    service = element.find(eb("Service"))
    return MessageHeader(
        sender=_read_party(element, "From"),
        receiver=_read_party(element, "To"),
        cpa_id=_needed(element, "CPAId"),
        conversation_id=_needed(element, "ConversationId"),
        service=Service(
            _needed(element, "Service"), service.get(eb("type")) if service is not None else None
        ),
        action=_needed(element, "Action"),
        message_id=_needed(data, "MessageId"),
        timestamp=_moment(data, "Timestamp"),
        ref_to_message_id=_text(data, "RefToMessageId"),
        time_to_live=_moment(data, "TimeToLive"),
        duplicate_elimination=element.find(eb("DuplicateElimination")) is not None,
    )


def _read_party(header: etree._Element, name: str) -> Party:
    element = header.find(eb(name))
    if element is None:
        raise _unusable(f"eb:MessageHeader lacks eb:{name}")
    ids = tuple(PartyId(text_of(child), child.get(eb("type"))) for child in element.findall(eb("PartyId")))
    if not ids or not all(party.value for party in ids):
        raise _unusable(f"eb:{name} lacks an eb:PartyId")
    if any(len(party.value) > _MAX_TEXT for party in ids):
        raise _unusable(f"an eb:PartyId in eb:{name} has more than {_MAX_TEXT} characters")
    return Party(ids, _text(element, "Role"))


def _assemble(
    root: etree._Element,
    header: etree._Element,
    body: etree._Element,
    message_header: MessageHeader,
    problems: tuple[EbmsError, ...],
) -> Envelope:
    requests = header.findall(eb("AckRequested"))
    manifest = body.find(eb("Manifest"))
    return Envelope(
        root=root,
        header=message_header,
        ack_requested=_read_ack_requested(requests),
        next_ack_requested=any(actor_of(request) in {NEXT_MSH, NEXT_ACTOR} for request in requests),
        sync_reply=_only(header, "SyncReply") is not None,
        message_order=_only(header, "MessageOrder") is not None,
        acknowledgment=_read_acknowledgment(_only(header, "Acknowledgment")),
        error_list=_read_error_list(_only(header, "ErrorList")),
        manifest=None
        if manifest is None
        else tuple(
            ManifestReference(ref.get(xlink("href")) or "") for ref in manifest.findall(eb("Reference"))
        ),
        status_request=_read_status_request(body.find(eb("StatusRequest"))),
        status_response=_read_status_response(body.find(eb("StatusResponse"))),
        problems=problems,
    )


def _read_ack_requested(requests: list[etree._Element]) -> AckRequested | None:
    """The request aimed at the To Party MSH; one without actor is (pitfall 35), one for any other actor is not."""
    for request in requests:
        if _for_to_party(request):
            return AckRequested((request.get(eb("signed")) or "").strip() in {"true", "1"}, actor_of(request))
    return None


def _for_to_party(request: etree._Element) -> bool:
    return (actor_of(request) or TO_PARTY_MSH) == TO_PARTY_MSH


def _read_acknowledgment(element: etree._Element | None) -> Acknowledgment | None:
    if element is None:
        return None
    return Acknowledgment(
        timestamp=_moment(element, "Timestamp"),
        ref_to_message_id=_text(element, "RefToMessageId") or "",
        references=tuple(element.findall(ds("Reference"))),
    )


def _read_error_list(element: etree._Element | None) -> ErrorList | None:
    if element is None:
        return None
    errors = tuple(
        ReportedError(
            code=error.get(eb("errorCode")) or "",
            severity=_severity(error.get(eb("severity"))),
            location=error.get(eb("location")),
            description=_text(error, "Description"),
            context=error.get(eb("codeContext")) or ERROR_CONTEXT,
        )
        for error in element.findall(eb("Error"))
    )
    return ErrorList(_severity(element.get(eb("highestSeverity"))), errors)


def _read_status_request(element: etree._Element | None) -> str | None:
    return None if element is None else (_text(element, "RefToMessageId") or "")


def _read_status_response(element: etree._Element | None) -> StatusResponse | None:
    if element is None:
        return None
    return StatusResponse(
        ref_to_message_id=_text(element, "RefToMessageId") or "",
        status=element.get(eb("messageStatus")) or "",
        timestamp=_moment(element, "Timestamp"),
    )


def _severity(value: str | None) -> Severity:
    """What is not plainly a warning counts as an error: the safe side for retries (ERR-09)."""
    return Severity.WARNING if (value or "").strip() == Severity.WARNING else Severity.ERROR


def _only(container: etree._Element, name: str) -> etree._Element | None:
    return container.find(eb(name))


def _text(element: etree._Element, name: str) -> str | None:
    child = element.find(eb(name))
    return None if child is None else text_of(child)


def _needed(element: etree._Element, name: str) -> str:
    text = _text(element, name)
    if not text:
        raise _unusable(f"{prefixed(str(element.tag))} lacks eb:{name}")
    if len(text) > _MAX_TEXT:
        raise _unusable(f"eb:{name} has more than {_MAX_TEXT} characters")
    return text


def _moment(element: etree._Element, name: str) -> datetime | None:
    text = _text(element, name)
    if text is None:
        return None
    try:
        return parse_datetime(text)
    except ValueError:  # already noted by check_structure, which knows the location
        return None


def _unusable(detail: str) -> SoapFault:
    return SoapFault(
        FaultCode.CLIENT,
        "header",
        "The message has no usable eb:MessageHeader",
        f"{detail} ({LOCATION_HEADER})",
    )
