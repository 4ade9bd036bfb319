# SPDX-License-Identifier: EUPL-1.2

"""Signing an outgoing ebMS message with the key of the agreement."""

import base64
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner

from adapter.ebms.algorithms import (
    CANONICALIZATIONS,
    ENVELOPED,
    INCLUSIVE,
    RSA_SHA256,
    SHA2_POLICY,
    SHA256,
    XPATH,
)
from adapter.ebms.names import CID, DS_NS, NEXT_ACTOR, NEXT_MSH, SOAP_NS, XML_NS, ds, soap
from adapter.ebms.transforms import (
    Canonicalization,
    EnvelopeTransforms,
    SignatureRefused,
    check_hidden,
    digest,
    signed_envelope,
)

_SENT_ACTORS: Final = (NEXT_MSH, NEXT_ACTOR)


class SigningProblem(ValueError):
    """A message cannot be signed as asked: unusable algorithm, key, certificate or envelope."""


def sign_envelope(
    envelope: etree._Element,
    *,
    private_key: RSAPrivateKey | EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    payload_digests: Sequence[tuple[str, bytes]] = (),
    signature_algorithm: str = RSA_SHA256,
    digest_algorithm: str = SHA256,
    canonicalization: str = INCLUSIVE,
) -> None:
    """Append a ds:Signature as last child of SOAP:Header (EB 4.1.3, SIG-04 to SIG-14); changes the tree.

    Sign as the last step, after all headers are in, and serialise without pretty-printing (pitfall 6).

    payload_digests   content id and digest by `digest_algorithm`, of each payload in the Manifest's order
    canonicalization  of SignedInfo and of the envelope: INCLUSIVE, or EXCLUSIVE for peers that want it

    KeyInfo has the leaf certificate only. Raises SigningProblem, and then the tree is as it was.
    """
    header = envelope.find(soap("Header"))
    if header is None or envelope.getparent() is not None or signatures_in(header):
        raise SigningProblem("only an unsigned SOAP envelope with a Header can be signed")
    _check_wishes(signature_algorithm, digest_algorithm, canonicalization)
    if certificate.public_key() != private_key.public_key():
        raise SigningProblem("the signing certificate does not belong to the private key")
    if any(str(name).startswith(f"{{{XML_NS}}}") for name in (*envelope.attrib, *header.attrib)):
        raise SigningProblem("xml:* attributes on SOAP:Envelope or SOAP:Header make signatures unreliable")
    transforms = EnvelopeTransforms(frozenset(_SENT_ACTORS), Canonicalization(canonicalization))
    try:
        check_hidden(envelope, header, transforms)
        octets = signed_envelope(envelope, None, transforms)
        digests = [("", digest(octets, digest_algorithm))]
    except SignatureRefused as refusal:
        raise SigningProblem(refusal.reason) from refusal
    digests += [(cid_url(content_id), value) for content_id, value in payload_digests]
    signer = _EnvelopeSigner(header, digests, signature_algorithm, digest_algorithm, canonicalization)
    try:
        signer.sign(envelope, key=private_key, cert=[certificate])
    except (SignXMLException, UnsupportedAlgorithm, etree.LxmlError, TypeError, ValueError) as error:
        for unfinished in signatures_in(header):
            header.remove(unfinished)
        raise SigningProblem(f"the message cannot be signed: {error}") from error


def cid_url(content_id: str) -> str:
    """The `cid:` URL of a Content-ID (RFC 2392)."""
    return CID + quote(content_id, safe="!$&'()*+,;=:@/?-._~")


def signatures_in(header: etree._Element) -> list[etree._Element]:
    """The ds:Signature children of a SOAP:Header."""
    return header.findall(ds("Signature"))


def _check_wishes(signature_algorithm: str, digest_algorithm: str, canonicalization: str) -> None:
    if signature_algorithm not in SHA2_POLICY.signature_methods:
        raise SigningProblem(f"signature method {signature_algorithm!r} cannot be used to sign")
    if digest_algorithm not in SHA2_POLICY.digest_methods:
        raise SigningProblem(f"digest method {digest_algorithm!r} cannot be used to sign")
    if canonicalization not in CANONICALIZATIONS:
        raise SigningProblem(f"canonicalisation {canonicalization!r} cannot be used to sign")


class _EnvelopeSigner(XMLSigner):
    """signxml's signer, made to put the signature into the header and to use references of ours.

    Replaced are the step that prepares the document, which copies it, and the one that builds SignedInfo,
    which knows no XPath filter and wants the payloads. KeyInfo and SignatureValue are signxml's.
    """

    def __init__(
        self,
        header: etree._Element,
        digests: Sequence[tuple[str, bytes]],
        signature_algorithm: str,
        digest_algorithm: str,
        canonicalization: str,
    ) -> None:
        super().__init__(
            signature_algorithm=SignatureMethod(signature_algorithm),
            digest_algorithm=DigestAlgorithm(digest_algorithm),
            c14n_algorithm=CanonicalizationMethod(canonicalization),
        )
        self._header = header
        self._digests = digests

    def _unpack(self, data: Any, *_references: Any) -> Any:
        return etree.SubElement(self._header, ds("Signature"), nsmap={"ds": DS_NS}), data, [], []

    def _build_sig(self, sig_root: etree._Element, *_parts: Any, **_options: Any) -> Any:
        signed_info = etree.SubElement(sig_root, ds("SignedInfo"))
        _algorithm(signed_info, "CanonicalizationMethod", self.c14n_alg.value)
        _algorithm(signed_info, "SignatureMethod", self.sign_alg.value)
        for uri, value in self._digests:
            reference = etree.SubElement(signed_info, ds("Reference"), URI=uri)
            if uri == "":
                _add_transforms(reference, self.c14n_alg.value)
            _algorithm(reference, "DigestMethod", self.digest_alg.value)
            etree.SubElement(reference, ds("DigestValue")).text = base64.b64encode(value).decode("ascii")
        return signed_info, etree.SubElement(sig_root, ds("SignatureValue"))


def _algorithm(parent: etree._Element, name: str, uri: str) -> etree._Element:
    return etree.SubElement(parent, ds(name), Algorithm=uri)


def _add_transforms(reference: etree._Element, canonicalization: str) -> None:
    transforms = etree.SubElement(reference, ds("Transforms"))
    _algorithm(transforms, "Transform", ENVELOPED)
    xpath_transform = _algorithm(transforms, "Transform", XPATH)
    # The prefix in the text must be bound where the text stands (pitfall 2).
    prefix = next((key for key, uri in reference.nsmap.items() if key and uri == SOAP_NS), None)
    declared = {"SOAP": SOAP_NS} if prefix is None else None
    terms = " | ".join(
        f'ancestor-or-self::node()[@{prefix or "SOAP"}:actor="{actor}"]' for actor in _SENT_ACTORS
    )
    etree.SubElement(xpath_transform, ds("XPath"), nsmap=declared).text = f"not({terms})"
    _algorithm(transforms, "Transform", canonicalization)
