# SPDX-License-Identifier: EUPL-1.2

"""What a signature says it covers, checked before any cryptography (steps 18 and 19 of the receiving MSH)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree
from signxml.verifier import XMLVerifier

from adapter.ebms.algorithms import SignaturePolicy
from adapter.ebms.mime import content_id_of, find_content_id
from adapter.ebms.names import DS_NS, ds, eb, soap
from adapter.ebms.signing import signatures_in
from adapter.ebms.transforms import (
    Canonicalization,
    EnvelopeTransforms,
    ReferenceDigest,
    SignatureRefused,
    check_hidden,
    envelope_transforms,
    payload_transform,
    read_canonicalization,
    read_reference,
)
from cpa import XmlRefused, parse_xml

MAX_REFERENCES: Final = 256
"""Most references in one signature (SIG-20)."""

MAX_SIGNATURE: Final = 512 * 1024
"""Largest ds:Signature, in octets, that is looked at."""

MAX_KEY_INFO: Final = 64 * 1024
"""Largest ds:KeyInfo, in octets: the time to read a number in a ds:KeyValue grows with its square."""

_MANIFEST_TYPE = "http://www.w3.org/2000/09/xmldsig#Manifest"

# Compiling the schemas takes long enough to be noticed by the first message, and is not safe in two threads.
_SCHEMAS: Final[Sequence[Any]] = XMLVerifier.schemas()  # type: ignore[no-untyped-call]
_VALIDATING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class PlannedReference:
    """A reference and how to digest what it points to: the SOAP part, or the payload `content_id`."""

    reference: ReferenceDigest
    transforms: tuple[str, ...]
    envelope: EnvelopeTransforms | None = None
    content_id: str = ""
    canonicalization: Canonicalization | None = None


@dataclass(frozen=True, slots=True)
class SignaturePlan:
    """What a signature says it covers, read before any cryptography."""

    references: tuple[PlannedReference, ...]
    signature_method: str
    canonicalization: Canonicalization


def only_signature(envelope: etree._Element) -> etree._Element:
    """The one ds:Signature of a message, in SOAP:Header (SIG-02, SIG-03, SIG-18). Raises SignatureRefused."""
    if envelope.tag != soap("Envelope") or envelope.getparent() is not None:
        raise SignatureRefused("the signed document is not a SOAP 1.1 envelope")
    headers = envelope.findall(soap("Header"))
    if len(headers) != 1:
        raise SignatureRefused("the envelope does not have exactly one SOAP:Header")
    found = signatures_in(headers[0])
    if not found:
        raise SignatureRefused("the message has no ds:Signature in SOAP:Header")
    if sum(1 for _ in envelope.iter(ds("Signature"))) > 1:
        raise SignatureRefused("the message has more than one ds:Signature")
    return found[0]


def _check_document(envelope: etree._Element) -> None:
    """Refuse what makes two readers of the same signed document see different things."""
    if envelope.getroottree().docinfo.doctype:
        raise SignatureRefused("the signed document has a DTD")
    around = [*envelope.itersiblings(preceding=True), *envelope.itersiblings()]
    if any(isinstance(node, etree._ProcessingInstruction) for node in around):
        raise SignatureRefused("the signed document has a processing instruction")
    commented: dict[int, etree._Element] = {}
    for node in envelope.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity):
        if not isinstance(node, etree._Comment):
            raise SignatureRefused("the signed document has a processing instruction or an entity")
        parent = node.getparent()
        if parent is not None:
            commented[id(parent)] = parent
    if any(_has_text(parent) for parent in commented.values()):
        raise SignatureRefused("a comment splits a text: comments are not signed")
    _check_ids(envelope)


def _has_text(parent: etree._Element) -> bool:
    texts = (parent.text, *(child.tail for child in parent))
    return any(text is not None and not text.isspace() for text in texts)


def _check_ids(envelope: etree._Element) -> None:
    seen: set[str] = set()
    copied = {
        element
        for acknowledgment in envelope.iter(eb("Acknowledgment"))
        for element in acknowledgment.iter(f"{{{DS_NS}}}*")
    }
    for element in envelope.iter("*"):
        if element in copied:
            continue
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2].lower() != "id":
                continue
            if value in seen:
                raise SignatureRefused("two elements have the same Id")
            seen.add(str(value))


def plan_verification(
    envelope: etree._Element, signature: etree._Element, required: frozenset[str], policy: SignaturePolicy
) -> SignaturePlan:
    """Check the structure of a document and its signature, and say what the signature covers.

    `required` are the content ids of the payloads that must be covered. Raises SignatureRefused.
    """
    _check_document(envelope)
    elements = signature.findall(f"{ds('SignedInfo')}/{ds('Reference')}")
    if len(elements) > MAX_REFERENCES:
        raise SignatureRefused(f"the signature has more than {MAX_REFERENCES} references")
    _check_schema(signature)
    signed_info = child(signature, "SignedInfo")
    method = child(signed_info, "SignatureMethod").get("Algorithm", "")
    if method not in policy.signature_methods:
        raise SignatureRefused(f"signature method {method!r} is not allowed")
    planned = tuple(_plan_reference(element, required) for element in elements)
    _check_coverage(planned, required)
    for each in planned:
        if each.reference.digest_method not in policy.digest_methods:
            raise SignatureRefused(f"digest method {each.reference.digest_method!r} is not allowed")
        if each.envelope is not None:
            check_hidden(envelope, _header_of(signature), each.envelope)
    return SignaturePlan(planned, method, read_canonicalization(child(signed_info, "CanonicalizationMethod")))


def _check_schema(signature: etree._Element) -> None:
    if signature.find(ds("Object")) is not None:
        raise SignatureRefused("the signature holds a ds:Object")
    copied = detached(signature)
    key_infos = copied.findall(ds("KeyInfo"))
    if any(len(etree.tostring(key_info)) > MAX_KEY_INFO for key_info in key_infos):
        raise SignatureRefused(f"the ds:KeyInfo is larger than {MAX_KEY_INFO} octets")
    with _VALIDATING:
        try:
            for schema in _SCHEMAS:
                schema.assertValid(copied)
        except etree.LxmlError as error:
            raise SignatureRefused(f"the signature is not valid XML-DSig: {error}") from error


def _plan_reference(element: etree._Element, required: frozenset[str]) -> PlannedReference:
    reference = read_reference(element)
    if element.get("Type") == _MANIFEST_TYPE:
        raise SignatureRefused("a reference to a ds:Manifest is not allowed")
    names = transform_names(element)
    if reference.uri == "":
        return PlannedReference(reference, names, envelope=envelope_transforms(element))
    content_id = find_content_id(reference.uri, required) or content_id_of(reference.uri)
    if content_id is None:
        raise SignatureRefused(f"a reference to {reference.uri[:100]!r} is not allowed")
    return PlannedReference(
        reference, names, content_id=content_id, canonicalization=payload_transform(element)
    )


def _check_coverage(planned: Sequence[PlannedReference], required: frozenset[str]) -> None:
    if sum(each.envelope is not None for each in planned) != 1:
        raise SignatureRefused("the signature does not have exactly one reference to the envelope")
    covered = [each.content_id for each in planned if each.envelope is None]
    if len(set(covered)) != len(covered):
        raise SignatureRefused("the signature has two references to the same payload")
    missing = sorted(required - set(covered))
    if missing:
        raise SignatureRefused(f"payload {missing[0]!r} is not covered by the signature")


def child(parent: etree._Element, name: str) -> etree._Element:
    """The first ds:`name` child. Raises SignatureRefused where there is none."""
    found = parent.find(ds(name))
    if found is None:
        raise SignatureRefused(f"the signature has no ds:{name}")
    return found


def _header_of(signature: etree._Element) -> etree._Element:
    header = signature.getparent()
    if header is None:
        raise SignatureRefused("the signature is not a child of SOAP:Header")
    return header


def transform_names(reference: etree._Element) -> tuple[str, ...]:
    """The algorithms of the transforms of a ds:Reference, in their order."""
    return tuple(
        step.get("Algorithm", "") for step in reference.iterfind(f"{ds('Transforms')}/{ds('Transform')}")
    )


def detached(signature: etree._Element) -> etree._Element:
    """A copy of the signature as a document of its own, with all namespaces that were in scope."""
    octets = etree.tostring(signature, with_tail=False)
    if len(octets) > MAX_SIGNATURE:
        raise SignatureRefused(f"the signature is larger than {MAX_SIGNATURE} octets")
    try:
        return parse_xml(octets)
    except XmlRefused as refusal:
        raise SignatureRefused(f"the signature cannot be read by itself: {refusal}") from refusal
