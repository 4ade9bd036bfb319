"""A received SOAP envelope as a typed, immutable message, with everything that is wrong with its shape.

Steps 7 to 12 of the receiving algorithm: hardened parse, SOAP version, mustUnderstand, structure, version. What
makes the header unusable is a SOAP fault; the rest is noted in `Envelope.problems`, to be reported once the sender
is known to be who it says it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lxml import etree

from adapter.ebms.errors import (
    LOCATION_HEADER,
    EbmsError,
    ErrorCode,
    FaultCode,
    Severity,
    SoapFault,
)
from adapter.ebms.names import (
    EB_NS,
    ERROR_CONTEXT,
    MSH_SERVICE,
    NEXT_MSH,
    OUR_ACTORS,
    SOAP_NS,
    VERSION,
    SignalAction,
    ds,
    eb,
    soap,
    xlink,
)
from adapter.ebms.structure import check_structure, is_element, prefixed, text_of
from cpa import PartyId, Service, XmlRefused, parse_datetime, parse_xml

_MAX_DEPTH: Final = 50
_IN_HEADER: Final = frozenset(
    eb(name)
    for name in ("MessageHeader", "AckRequested", "Acknowledgment", "ErrorList", "SyncReply", "MessageOrder")
)
_IN_BODY: Final = frozenset(eb(name) for name in ("Manifest", "StatusRequest", "StatusResponse"))
_REPEATABLE: Final = frozenset({eb("AckRequested")})
_UNDERSTOOD: Final = _IN_HEADER | {ds("Signature")}


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
    """eb:AckRequested aimed at the To Party MSH (EB 6.3.1)."""

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
class ManifestReference:
    """One eb:Reference of the Manifest; `href` as received (EB 3.2.1)."""

    href: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """A received envelope.

    `root` is the parsed tree on which a signature is verified; nobody changes it. `problems` are the departures
    from structure and version, in document order.
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
    status_response: str | None = None
    problems: tuple[EbmsError, ...] = field(default=())

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
    try:
        root = parse_xml(data, max_depth=_MAX_DEPTH)
    except XmlRefused as refused:
        raise SoapFault(
            FaultCode.CLIENT, "xml", "The message is not acceptable XML", str(refused)
        ) from refused
    header, body = _parts(root)
    _check_understood(header)
    message_header = _only(header, "MessageHeader")
    if message_header is None:
        raise _unusable("there is no eb:MessageHeader")
    problems = (*_structure_problems(header, body), *_version_problems(root))
    return _assemble(root, header, body, _read_header(message_header), problems)


def _parts(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    qname = etree.QName(root)
    if qname.localname != "Envelope":
        raise SoapFault(FaultCode.CLIENT, "not_soap", "The message is not a SOAP envelope")
    if qname.namespace != SOAP_NS:
        raise SoapFault(FaultCode.VERSION_MISMATCH, "soap_version", "Only SOAP 1.1 is supported")
    if next(root.iter(etree.PI), None) is not None:
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
        if must and (entry.get(soap("actor")) or "") in OUR_ACTORS:
            raise SoapFault(
                FaultCode.MUST_UNDERSTAND,
                "must_understand",
                "A header that must be understood is not known here",
                f"header {entry.tag!r} must be understood and is not known",
            )


def _structure_problems(header: etree._Element, body: etree._Element) -> Iterator[EbmsError]:
    for container, allowed, name in ((header, _IN_HEADER, "Header"), (body, _IN_BODY, "Body")):
        seen: set[str] = set()
        for entry in container:
            if not is_element(entry) or etree.QName(entry).namespace != EB_NS:
                continue
            tag = str(entry.tag)
            location = f"/SOAP:Envelope/SOAP:{name}/{prefixed(tag)}"
            if tag not in allowed:
                yield EbmsError(ErrorCode.OTHER_XML, location, f"{location} may not stand here")
                continue
            if tag in seen and tag not in _REPEATABLE:
                yield EbmsError(ErrorCode.OTHER_XML, location, f"{location} stands there more than once")
            seen.add(tag)
            yield from check_structure(entry, location)


def _version_problems(root: etree._Element) -> Iterator[EbmsError]:
    for entry in root.iter(f"{{{EB_NS}}}*"):
        version = entry.get(eb("version"))
        if version is not None and version != VERSION and entry.tag != eb("Schema"):
            yield EbmsError(
                ErrorCode.NOT_SUPPORTED,
                f"//{prefixed(str(entry.tag))}/@eb:version",
                f"{prefixed(str(entry.tag))} has version {version!r}; only {VERSION} exists here",
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
        raise _unusable(f"eb:{name} lacks a eb:PartyId")
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
        next_ack_requested=any(request.get(soap("actor")) == NEXT_MSH for request in requests),
        sync_reply=_only(header, "SyncReply") is not None,
        message_order=_only(header, "MessageOrder") is not None,
        acknowledgment=_read_acknowledgment(_only(header, "Acknowledgment")),
        error_list=_read_error_list(_only(header, "ErrorList")),
        manifest=None
        if manifest is None
        else tuple(
            ManifestReference(ref.get(xlink("href")) or "") for ref in manifest.findall(eb("Reference"))
        ),
        status_request=_read_status(body, "StatusRequest"),
        status_response=_read_status(body, "StatusResponse"),
        problems=problems,
    )


def _read_ack_requested(requests: list[etree._Element]) -> AckRequested | None:
    """The request aimed at the To Party MSH; one without actor is (pitfall 35), one for the next MSH is not."""
    for request in requests:
        actor = request.get(soap("actor"))
        if actor != NEXT_MSH:
            return AckRequested((request.get(eb("signed")) or "").strip() in {"true", "1"}, actor)
    return None


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


def _read_status(body: etree._Element, name: str) -> str | None:
    element = body.find(eb(name))
    return None if element is None else (_text(element, "RefToMessageId") or "")


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
