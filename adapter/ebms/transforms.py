# SPDX-License-Identifier: EUPL-1.2

"""References of an XML signature and the few transforms that an ebMS signature may use.

Only what EB 4.1.3 describes is applied: for the SOAP part enveloped-signature, then optionally the one XPath
filter that drops headers for intermediaries, then one canonicalisation without comments; for a payload
nothing, or one canonicalisation. The XPath text is recognised, never evaluated. Everything else is refused.
"""

import base64
import binascii
import copy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from adapter.ebms.algorithms import (
    CANONICALIZATIONS,
    ENVELOPED,
    EXCLUSIVE,
    HASHES,
    INCLUSIVE,
    INCLUSIVE_11,
    SHA1,
    XPATH,
)
from adapter.ebms.names import DS_NS, EB_NS, NEXT_ACTOR, NEXT_MSH, SOAP_NS, XML_NS, ds, eb, soap
from cpa import XmlRefused, parse_xml

HIDDEN_ACTORS: Final = frozenset({NEXT_MSH, "urn:oasis:names:tc:ebxml-msg:service:nextMSH", NEXT_ACTOR})
"""Actors whose headers an intermediary may change; EB 4.1.3 spells the first in two ways."""

MAX_CANONICAL_PAYLOAD: Final = 8 * 1024 * 1024
"""Largest payload, in octets, that is canonicalised; it must fit into memory for that (pitfall 8)."""

_MAX_XPATH: Final = 4096
_FILTER_HEAD = re.compile(r"\s*not\s*\(")
_FILTER_TERM = re.compile(
    r"\s*ancestor-or-self\s*::\s*node\s*\(\s*\)\s*\[\s*@\s*([A-Za-z_][\w.\-]*):actor\s*=\s*"
    r"(?:\"([^\"]*)\"|'([^']*)')\s*\]\s*"
)
_FILTER_TAIL = re.compile(r"\)\s*")
_PREFIX_IN_TEXT = re.compile(r"([A-Za-z_][\w.\-]*):(?!:)")
_EXC_INCLUSIVE_NAMESPACES = "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces"


class SignatureRefused(Exception):
    """A signature, or a message that should have one, is not acceptable; `reason` is for the log (SIG-16)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReferenceDigest:
    """One ds:Reference: what it points to, the digest, and itself.

    `digest_method` is the algorithm's URI. `element` is the ds:Reference in canonical form (UTF-8), with the
    namespaces that its XPath text needs, to be copied into an acknowledgment (ACK-09, EB 6.3.2.4).
    """

    uri: str
    digest_method: str
    digest_value: bytes
    element: bytes


@dataclass(frozen=True, slots=True)
class Canonicalization:
    """One canonicalisation; `prefixes` are those of InclusiveNamespaces, for the exclusive kind only."""

    algorithm: str = INCLUSIVE
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvelopeTransforms:
    """How the SOAP part is digested: which actors' headers are dropped (None: no filter), then how."""

    actors: frozenset[str] | None
    canonicalization: Canonicalization


def read_reference(reference: etree._Element) -> ReferenceDigest:
    """Read a ds:Reference. Raises SignatureRefused where it has no URI, or no readable digest."""
    uri = reference.get("URI")
    method = reference.find(ds("DigestMethod"))
    value = reference.find(ds("DigestValue"))
    if uri is None or method is None or value is None:
        raise SignatureRefused("a ds:Reference lacks its URI, DigestMethod or DigestValue")
    return ReferenceDigest(
        uri=uri,
        digest_method=method.get("Algorithm", ""),
        digest_value=decode_base64(value.text or "", "a ds:DigestValue"),
        element=_portable_copy(reference),
    )


def decode_base64(text: str, what: str) -> bytes:
    """Decode base64 that may be broken into lines in any way. Raises SignatureRefused, naming `what`."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureRefused(f"{what} is not base64") from error


def envelope_transforms(reference: etree._Element) -> EnvelopeTransforms:
    """The transforms of the reference to the SOAP part (SIG-07, SIG-12).

    `reference` must stand in its own document: prefixes in the XPath text are resolved with the namespaces
    in scope there. Raises SignatureRefused for anything but the allowed sequence.
    """
    steps = _transforms_of(reference)
    if not steps or steps[0].get("Algorithm") != ENVELOPED or _child_elements(steps[0]):
        raise SignatureRefused("the reference to the envelope does not start with enveloped-signature")
    actors: frozenset[str] | None = None
    position = 1
    if len(steps) > position and steps[position].get("Algorithm") == XPATH:
        actors = _filtered_actors(steps[position])
        position += 1
    if len(steps) != position + 1:
        raise SignatureRefused("the reference to the envelope has other transforms than EB 4.1.3 describes")
    return EnvelopeTransforms(actors, read_canonicalization(steps[position]))


def payload_transform(reference: etree._Element) -> Canonicalization | None:
    """The canonicalisation of a payload; None for its plain octets. Raises SignatureRefused."""
    steps = _transforms_of(reference)
    if not steps:
        return None
    if len(steps) > 1:
        raise SignatureRefused("a reference to a payload has more than one transform")
    return read_canonicalization(steps[0])


def read_canonicalization(method: etree._Element) -> Canonicalization:
    """Read a ds:Transform or ds:CanonicalizationMethod. Raises SignatureRefused unless it is allowed."""
    algorithm = method.get("Algorithm", "")
    if algorithm not in CANONICALIZATIONS:
        raise SignatureRefused(f"transform or canonicalisation {algorithm!r} is not allowed")
    parameters = _child_elements(method)
    if not parameters:
        return Canonicalization(algorithm)
    if algorithm != EXCLUSIVE or len(parameters) > 1 or parameters[0].tag != _EXC_INCLUSIVE_NAMESPACES:
        raise SignatureRefused(f"canonicalisation {algorithm!r} has parameters that are not allowed")
    return Canonicalization(algorithm, tuple(parameters[0].get("PrefixList", "").split()))


def hidden_headers(envelope: etree._Element, actors: frozenset[str]) -> Iterator[etree._Element]:
    """Elements with an actor among `actors`, which the XPath filter drops with all that is in them."""
    for element in envelope.iter("*"):
        if element.get(soap("actor")) in actors:
            yield element


def check_hidden(envelope: etree._Element, header: etree._Element, transforms: EnvelopeTransforms) -> None:
    """Refuse elements that an attacker could add or change unseen, because the signature leaves them out.

    Without filter, no header for an intermediary may be there (pitfall 3). With it, only whole SOAP headers
    may be left out, and of ebMS's own only those that say nothing about the message itself: SyncReply, and
    AckRequested for the next MSH. Raises SignatureRefused.
    """
    if transforms.actors is None:
        if next(hidden_headers(envelope, HIDDEN_ACTORS), None) is not None:
            raise SignatureRefused("a header for an intermediary needs the XPath filter in the signature")
        return
    for element in hidden_headers(envelope, transforms.actors):
        name = etree.QName(element)
        harmless = element.tag == eb("SyncReply") or (
            element.tag == eb("AckRequested") and element.get(soap("actor")) == NEXT_MSH
        )
        foreign = name.namespace not in {SOAP_NS, EB_NS, DS_NS}
        if element.getparent() is not header or not (harmless or foreign):
            raise SignatureRefused(f"element {name.localname} is hidden from the signature by its actor")


def signed_envelope(
    envelope: etree._Element, signature: etree._Element | None, transforms: EnvelopeTransforms
) -> bytes:
    """The octets of the SOAP part that a signature covers; the tree itself is not changed.

    `signature` is the one to leave out, a child of a child of `envelope`; None when it is not there yet.
    Raises SignatureRefused when libxml2 cannot canonicalise the document.
    """
    place = None if signature is None else _place_of(envelope, signature)
    working = copy.deepcopy(envelope)
    if place is not None:
        _remove(working[place[0]][place[1]])
    for element in tuple(hidden_headers(working, transforms.actors or frozenset())):
        _remove(element)
    return canonicalize(working, transforms.canonicalization)


def canonical_payload(octets: bytes, method: Canonicalization) -> bytes:
    """An XML payload in canonical form. Raises SignatureRefused when it is not XML that can be read."""
    try:
        root = parse_xml(octets, max_bytes=MAX_CANONICAL_PAYLOAD)
    except XmlRefused as refusal:
        raise SignatureRefused(f"a payload cannot be canonicalised: {refusal}") from refusal
    return canonicalize(root, method)


def canonicalize(element: etree._Element, method: Canonicalization) -> bytes:
    """The element, as root of a document, in canonical form (UTF-8, no comments).

    Inclusive C14N 1.0 and 1.1 are the same here, as they differ only in what an element inherits from
    ancestors that are left out. Raises SignatureRefused.
    """
    exclusive = method.algorithm == EXCLUSIVE
    if "#default" in method.prefixes and any(None in each.nsmap for each in element.iter("*")):
        # lxml does not pass this on to libxml2; it makes a difference only where a default namespace exists.
        raise SignatureRefused("InclusiveNamespaces with #default is not supported")
    try:
        return etree.tostring(
            element.getroottree(),
            method="c14n",
            exclusive=exclusive,
            with_comments=False,
            inclusive_ns_prefixes=list(method.prefixes) if exclusive else None,
        )
    except (etree.LxmlError, ValueError) as error:
        raise SignatureRefused(f"the XML cannot be canonicalised: {error}") from error


def digest(octets: bytes, method: str) -> bytes:
    """The digest of `octets` by a DigestMethod URI. Raises SignatureRefused for one that is not known."""
    name = HASHES.get(method)
    if name is None:
        raise SignatureRefused(f"digest method {method!r} is not supported")
    return hashlib.new(name, octets, usedforsecurity=method != SHA1).digest()


def inherited_xml_attributes(element: etree._Element, algorithm: str) -> dict[str, str]:
    """The xml:* attributes that inclusive canonicalisation of `element` takes from its ancestors.

    libxml2 does so for a part of a document, lxml for a copied part does not (pitfall 5). C14N 1.0 takes
    all, C14N 1.1 only xml:lang and xml:space, and an xml:base that must be computed: refused. The exclusive
    kind takes none. Raises SignatureRefused.
    """
    if algorithm == EXCLUSIVE:
        return {}
    found: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for name, value in ancestor.attrib.items():
            if str(name).startswith(f"{{{XML_NS}}}"):
                found.setdefault(str(name), str(value))
    found = {name: value for name, value in found.items() if name not in element.attrib}
    if algorithm == INCLUSIVE_11:
        if f"{{{XML_NS}}}base" in found:
            raise SignatureRefused("xml:base above a signature in C14N 1.1 is not supported")
        found.pop(f"{{{XML_NS}}}id", None)
    return found


def _transforms_of(reference: etree._Element) -> Sequence[etree._Element]:
    containers = reference.findall(ds("Transforms"))
    if len(containers) > 1:
        raise SignatureRefused("a ds:Reference has more than one ds:Transforms")
    steps = _child_elements(containers[0]) if containers else []
    if any(step.tag != ds("Transform") for step in steps):
        raise SignatureRefused("ds:Transforms holds something that is no ds:Transform")
    return steps


def _child_elements(parent: etree._Element) -> list[etree._Element]:
    return list(parent.iterchildren("*"))


def _filtered_actors(transform: etree._Element) -> frozenset[str]:
    """The actors that the XPath filter of EB 4.1.3 drops. Raises SignatureRefused for any other text."""
    children = _child_elements(transform)
    if len(children) != 1 or children[0].tag != ds("XPath") or len(children[0]):
        raise SignatureRefused("an XPath transform does not hold exactly one ds:XPath with text only")
    text = children[0].text or ""
    actors = set()
    for prefix, actor in _filter_terms(text):
        if children[0].nsmap.get(prefix) != SOAP_NS:
            raise SignatureRefused(f"prefix {prefix!r} in the XPath filter is not bound to SOAP 1.1")
        if actor not in HIDDEN_ACTORS:
            raise SignatureRefused(f"the XPath filter hides headers for actor {actor!r}")
        actors.add(actor)
    return frozenset(actors)


def _filter_terms(text: str) -> Iterator[tuple[str, str]]:
    """The (prefix, actor) pairs of `not(term | term …)`; at least one."""
    head = _FILTER_HEAD.match(text) if len(text) <= _MAX_XPATH else None
    position = -1 if head is None else head.end()
    while position >= 0:
        term = _FILTER_TERM.match(text, position)
        if term is None:
            break
        yield term[1], term[2] if term[2] is not None else term[3]
        if text[term.end() : term.end() + 1] != "|":
            if _FILTER_TAIL.fullmatch(text, term.end()):
                return
            break
        position = term.end() + 1
    raise SignatureRefused("the XPath filter is not the one of EB 4.1.3")


def _portable_copy(reference: etree._Element) -> bytes:
    """Exclusive C14N, with the declarations of prefixes that stand in XPath text only."""
    texts = " ".join(xpath.text or "" for xpath in reference.iter(ds("XPath")))
    prefixes = sorted(
        set(_PREFIX_IN_TEXT.findall(texts[:_MAX_XPATH])) & {key for key in reference.nsmap if key}
    )
    try:
        return etree.tostring(
            reference, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes
        )
    except (etree.LxmlError, ValueError) as error:
        raise SignatureRefused(f"a ds:Reference cannot be canonicalised: {error}") from error


def _place_of(envelope: etree._Element, signature: etree._Element) -> tuple[int, int]:
    parent = signature.getparent()
    if parent is None or parent.getparent() is not envelope:
        raise SignatureRefused("the signature is not a child of SOAP:Header")
    return envelope.index(parent), parent.index(signature)


def _remove(element: etree._Element) -> None:
    """Take an element out and leave its tail, which lxml would take along (pitfall 1)."""
    parent = element.getparent()
    if parent is None:
        raise SignatureRefused("the signature leaves out the whole envelope")
    previous = element.getprevious()
    if element.tail and previous is not None:
        previous.tail = (previous.tail or "") + element.tail
    elif element.tail:
        parent.text = (parent.text or "") + element.tail
    parent.remove(element)
