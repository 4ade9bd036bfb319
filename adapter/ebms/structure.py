# SPDX-License-Identifier: EUPL-1.2

"""The shape that ebXML elements must have: our own rules, equal in verdict to the OASIS schema.

The schema itself does not ship with the adapter. Each element is one row of `SHAPES`: its children in order, its
attributes, its text. What a row forbids is reported as `OtherXml` with the XPath of the element (EB 4.2.3.4).

On purpose the verdict differs in a few values. `mustUnderstand` may be "true" or "false" too (HDR-03); any text is an
anyURI, as what uses the address judges it; a year has four digits; `xsi:type` is refused. What elements and
attributes of other namespaces hold is not judged, and that includes ds:Reference, which is left to who verifies it.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from adapter.ebms.errors import EbmsError, ErrorCode
from adapter.ebms.names import (
    DS_NS,
    EB_NS,
    SOAP_NS,
    TO_PARTY_MSH,
    VERSION,
    XLINK_NS,
    XML_NS,
    ds,
    eb,
    soap,
    xlink,
)
from cpa import parse_datetime

_XSI_NS: Final = "http://www.w3.org/2001/XMLSchema-instance"
_HINTS: Final = frozenset(f"{{{_XSI_NS}}}{name}" for name in ("schemaLocation", "noNamespaceSchemaLocation"))
"""Attributes that any element may have, whatever its schema says (XML Schema part 1, 3.2.7)."""

_BLANK: Final = " \t\r\n"
_NAME_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NCNAME = re.compile(rf"[{_NAME_START}][{_NAME_START}\-.0-9\xb7\u0300-\u036f\u203f\u2040]*")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_PREFIXES = {SOAP_NS: "SOAP", EB_NS: "eb", DS_NS: "ds", XLINK_NS: "xlink", XML_NS: "xml"}

type_check = Callable[[str], bool]


def _filled(text: str) -> bool:
    return text != ""


def _anything(_: str) -> bool:
    return True


def _date_time(text: str) -> bool:
    try:
        parse_datetime(text)
    except ValueError:
        return False
    return text.isascii()


def _boolean(text: str) -> bool:
    return text.strip(_BLANK) in {"true", "false", "1", "0"}


def _ncname(text: str) -> bool:
    return _NCNAME.fullmatch(text.strip(_BLANK)) is not None


def _language(text: str) -> bool:
    return _LANGUAGE.fullmatch(text.strip(_BLANK)) is not None


def _non_negative(text: str) -> bool:
    return re.fullmatch(r"\+?[0-9]+|-0+", text.strip(_BLANK)) is not None


def _one_of(*values: str) -> type_check:
    allowed = frozenset(values)
    return lambda text: text.strip(_BLANK) in allowed


@dataclass(frozen=True, slots=True)
class Child:
    """One place in the sequence of an element: how often `tag` may stand there."""

    tag: str
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What an element may hold.

    `required` and `optional` map attribute names to a check of their value; `foreign` allows attributes of other
    namespaces, `open` elements of other namespaces after the last child; `text` is the check of simple content and
    None where only elements may stand.
    """

    children: tuple[Child, ...] = ()
    required: Mapping[str, type_check] = field(default_factory=dict)
    optional: Mapping[str, type_check] = field(default_factory=dict)
    foreign: bool = False
    open: bool = False
    text: type_check | None = None


_HEADER = {eb("version"): _filled, soap("mustUnderstand"): _boolean}
_BODY = {eb("version"): _filled}
_ID = {eb("id"): _ncname}
_SEVERITY = _one_of("Warning", "Error")
_PARTY = Shape((Child(eb("PartyId"), 1, None), Child(eb("Role"), 0)))

SHAPES: Final[Mapping[str, Shape]] = {
    eb("MessageHeader"): Shape(
        (
            Child(eb("From")),
            Child(eb("To")),
            Child(eb("CPAId")),
            Child(eb("ConversationId")),
            Child(eb("Service")),
            Child(eb("Action")),
            Child(eb("MessageData")),
            Child(eb("DuplicateElimination"), 0),
            Child(eb("Description"), 0, None),
        ),
        required=_HEADER,
        optional=_ID,
        foreign=True,
        open=True,
    ),
    eb("From"): _PARTY,
    eb("To"): _PARTY,
    eb("PartyId"): Shape(optional={eb("type"): _filled}, text=_filled),
    eb("Role"): Shape(text=_filled),
    eb("CPAId"): Shape(text=_filled),
    eb("ConversationId"): Shape(text=_filled),
    eb("Service"): Shape(optional={eb("type"): _filled}, text=_filled),
    eb("Action"): Shape(text=_filled),
    eb("MessageData"): Shape(
        (
            Child(eb("MessageId")),
            Child(eb("Timestamp")),
            Child(eb("RefToMessageId"), 0),
            Child(eb("TimeToLive"), 0),
        )
    ),
    eb("MessageId"): Shape(text=_filled),
    eb("RefToMessageId"): Shape(text=_filled),
    eb("Timestamp"): Shape(text=_date_time),
    eb("TimeToLive"): Shape(text=_date_time),
    eb("DuplicateElimination"): Shape(text=_anything),
    eb("Description"): Shape(required={f"{{{XML_NS}}}lang": _language}, text=_filled),
    eb("SyncReply"): Shape(
        required={**_HEADER, soap("actor"): _anything}, optional=_ID, foreign=True, open=True
    ),
    eb("MessageOrder"): Shape(
        (Child(eb("SequenceNumber")),), required=_HEADER, optional=_ID, foreign=True, open=True
    ),
    eb("SequenceNumber"): Shape(optional={eb("status"): _one_of("Reset", "Continue")}, text=_non_negative),
    eb("AckRequested"): Shape(
        required={**_HEADER, eb("signed"): _boolean}, optional=_ID, foreign=True, open=True
    ),
    eb("Acknowledgment"): Shape(
        (
            Child(eb("Timestamp")),
            Child(eb("RefToMessageId")),
            Child(eb("From"), 0),
            Child(ds("Reference"), 0, None),
        ),
        required=_HEADER,
        optional=_ID,
        foreign=True,
    ),
    eb("ErrorList"): Shape(
        (Child(eb("Error"), 1, None),),
        required={**_HEADER, eb("highestSeverity"): _SEVERITY},
        optional=_ID,
        foreign=True,
        open=True,
    ),
    eb("Error"): Shape(
        (Child(eb("Description"), 0),),
        required={eb("errorCode"): _filled, eb("severity"): _SEVERITY},
        optional={**_ID, eb("codeContext"): _anything, eb("location"): _filled},
        foreign=True,
        open=True,
    ),
    eb("Manifest"): Shape(
        (Child(eb("Reference"), 1, None),), required=_BODY, optional=_ID, foreign=True, open=True
    ),
    eb("Reference"): Shape(
        (Child(eb("Schema"), 0, None), Child(eb("Description"), 0, None)),
        required={xlink("href"): _anything},
        optional={**_ID, xlink("type"): _one_of("simple"), xlink("role"): _anything},
        foreign=True,
        open=True,
    ),
    eb("Schema"): Shape(required={eb("location"): _anything}, optional={eb("version"): _filled}),
    eb("StatusRequest"): Shape(
        (Child(eb("RefToMessageId")),), required=_BODY, optional=_ID, foreign=True, open=True
    ),
    eb("StatusResponse"): Shape(
        (Child(eb("RefToMessageId")), Child(eb("Timestamp"), 0)),
        required={
            **_BODY,
            eb("messageStatus"): _one_of(
                "UnAuthorized", "NotRecognized", "Received", "Processed", "Forwarded"
            ),
        },
        optional=_ID,
        foreign=True,
        open=True,
    ),
}
"""Every ebXML element of EB 2.0 that may stand in a message."""

IN_HEADER: Final = frozenset(
    eb(name)
    for name in ("MessageHeader", "AckRequested", "Acknowledgment", "ErrorList", "SyncReply", "MessageOrder")
)
"""What stands in SOAP:Header (PKG-16)."""

_IN_BODY: Final = frozenset(eb(name) for name in ("Manifest", "StatusRequest", "StatusResponse"))


def text_of(element: etree._Element) -> str:
    """The text of an element with simple content, comments left out as canonicalisation leaves them out.

    `element.text` alone would stop at a comment, so that what is signed and what is read could differ.
    """
    return (element.text or "") + "".join(child.tail or "" for child in element)


def is_element(node: etree._Element) -> bool:
    """Whether a node of a tree is an element, not a comment or processing instruction."""
    return isinstance(node.tag, str)


def actor_of(entry: etree._Element) -> str | None:
    """Whom a header entry is for, None where it does not say (SOAP 1.1 4.2.2)."""
    actor = entry.get(soap("actor"))
    return None if actor is None else actor.strip()


def check_envelope(root: etree._Element, header: etree._Element, body: etree._Element) -> Iterator[EbmsError]:
    """Every departure of the ebXML elements of an envelope from place, shape, unique ids and version."""
    yield from _misplaced_or_misshapen(header, body)
    yield from _repeated_ids(root)
    yield from _other_versions(root)


def check_structure(element: etree._Element, location: str) -> Iterator[EbmsError]:
    """Every departure of `element` and what is below it from its shape.

    `location` is the XPath of `element` with the prefixes SOAP, eb and ds.
    """
    shape = SHAPES.get(str(element.tag))
    if shape is None:
        return
    yield from _check_attributes(element, shape, location)
    children = [child for child in element if is_element(child)]
    if shape.text is not None:
        if children:
            yield _wrong(location, "may not hold elements")
        elif not shape.text(text_of(element)):
            yield _wrong(location, "has a wrong value")
        return
    text = text_of(element)
    # an element that holds nothing may not even hold white space (XML Schema part 1, 3.4.4)
    if text.strip(_BLANK) or (text and not (shape.children or shape.open)):
        yield _wrong(location, "may not hold text")
    yield from _check_children(children, shape, location)
    for child in children:
        yield from check_structure(child, f"{location}/{prefixed(str(child.tag))}")


def _misplaced_or_misshapen(header: etree._Element, body: etree._Element) -> Iterator[EbmsError]:
    for container, allowed, name in ((header, IN_HEADER, "Header"), (body, _IN_BODY, "Body")):
        seen: set[tuple[str, str]] = set()
        for entry in container:
            if not is_element(entry) or etree.QName(entry).namespace != EB_NS:
                continue
            tag = str(entry.tag)
            location = f"/SOAP:Envelope/SOAP:{name}/{prefixed(tag)}"
            if tag not in allowed:
                yield EbmsError(ErrorCode.OTHER_XML, location, f"{location} may not stand here")
                continue
            # an acknowledgment may be asked of the To Party and of the next MSH, of each once (EB 6.3.1)
            place = (tag, (actor_of(entry) or TO_PARTY_MSH) if tag == eb("AckRequested") else "")
            if place in seen:
                yield EbmsError(ErrorCode.OTHER_XML, location, f"{location} stands there more than once")
            seen.add(place)
            yield from check_structure(entry, location)


def _repeated_ids(root: etree._Element) -> Iterator[EbmsError]:
    seen: set[str] = set()
    for entry in root.iter(f"{{{EB_NS}}}*"):
        name = (entry.get(eb("id")) or "").strip()
        if name and name in seen:
            yield EbmsError(
                ErrorCode.OTHER_XML,
                f"//{prefixed(str(entry.tag))}/@eb:id",
                f"eb:id {name!r} stands on more than one element",
            )
        seen.add(name)


def _other_versions(root: etree._Element) -> Iterator[EbmsError]:
    for entry in root.iter(f"{{{EB_NS}}}*"):
        version = entry.get(eb("version"))
        if version is not None and version != VERSION and entry.tag != eb("Schema"):
            yield EbmsError(
                ErrorCode.NOT_SUPPORTED,
                f"//{prefixed(str(entry.tag))}/@eb:version",
                f"{prefixed(str(entry.tag))} has version {version!r}; only {VERSION} exists here",
            )


def _check_attributes(element: etree._Element, shape: Shape, location: str) -> Iterator[EbmsError]:
    for name, check in shape.required.items():
        value = element.get(name)
        if value is None:
            yield _wrong(location, f"lacks the attribute {prefixed(name)}")
        elif not check(value):
            yield _wrong(f"{location}/@{prefixed(name)}", "has a wrong value")
    for raw, value in element.attrib.items():
        name = str(raw)
        if name in shape.required or name in _HINTS:
            continue
        if name in shape.optional:
            if not shape.optional[name](str(value)):
                yield _wrong(f"{location}/@{prefixed(name)}", "has a wrong value")
        elif not (shape.foreign and _is_foreign(name)):
            yield _wrong(f"{location}/@{prefixed(name)}", "may not stand here")


def _check_children(children: list[etree._Element], shape: Shape, location: str) -> Iterator[EbmsError]:
    rest = deque(str(child.tag) for child in children)
    for place in shape.children:
        count = 0
        while rest and rest[0] == place.tag and (place.most is None or count < place.most):
            rest.popleft()
            count += 1
        if count < place.least:
            yield _wrong(location, f"lacks {prefixed(place.tag)}, or has it in the wrong place")
    while shape.open and rest and _is_foreign(rest[0]):
        rest.popleft()
    if rest:
        yield _wrong(f"{location}/{prefixed(rest[0])}", "may not stand here")


def _is_foreign(name: str) -> bool:
    namespace = etree.QName(name).namespace
    return namespace not in {None, EB_NS, _XSI_NS}


def _wrong(location: str, what: str) -> EbmsError:
    return EbmsError(ErrorCode.OTHER_XML, location, f"{location} {what}")


def prefixed(name: str) -> str:
    """A name in Clark notation with the prefix that locations use; without one where the namespace is not ours."""
    qname = etree.QName(name)
    prefix = _PREFIXES.get(qname.namespace or "")
    return f"{prefix}:{qname.localname}" if prefix else qname.localname
