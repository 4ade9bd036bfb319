# SPDX-License-Identifier: EUPL-1.2

"""XML signatures on ebMS messages: signing, and verifying against the certificate of the agreement.

The work is shared. signxml handles SignedInfo, SignatureValue and the algorithm policy, through two
subclasses that replace as little as possible of it: as it comes, it skips the XPath transform silently, wants
each payload in memory, and copies the document for each reference. The references are ours (`transforms`).

Two things are decided elsewhere. Whether the certificate is valid and trusted at the moment that counts (a
retransmission is judged by the time of its first reception), and whether a message must be signed at all.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from adapter.ebms.algorithms import (
    EXCLUSIVE,
    INCLUSIVE,
    LEGACY_POLICY,
    RSA_SHA256,
    SHA2_POLICY,
    SHA256,
    SignaturePolicy,
)
from adapter.ebms.mime import content_id_of
from adapter.ebms.names import CID, ds, soap
from adapter.ebms.signature_plan import (
    MAX_REFERENCES,
    PlannedReference,
    SignaturePlan,
    child,
    detached,
    only_signature,
    plan_verification,
    transform_names,
)
from adapter.ebms.signing import SigningProblem, sign_envelope, signatures_in
from adapter.ebms.transforms import (
    MAX_CANONICAL_PAYLOAD,
    ReferenceDigest,
    SignatureRefused,
    canonical_payload,
    decode_base64,
    digest,
    inherited_xml_attributes,
    read_reference,
    signed_envelope,
)
from cpa import MALFORMED_X509

__all__ = [
    "EXCLUSIVE",
    "INCLUSIVE",
    "LEGACY_POLICY",
    "RSA_SHA256",
    "SHA2_POLICY",
    "SHA256",
    "PayloadSource",
    "ReferenceDigest",
    "SignaturePolicy",
    "SignatureRefused",
    "SigningProblem",
    "VerifiedSignature",
    "key_info_certificates",
    "reference_digests",
    "references_match",
    "sign_envelope",
    "signatures_of",
    "verify_signature",
]

_MAX_CERTIFICATES = 10


class PayloadSource(Protocol):
    """Where the payloads of the message are; content ids are without brackets, percent-decoded."""

    def digest(self, content_id: str, algorithm: str) -> bytes:
        """Digest of the decoded octets, by DigestMethod URI. Raises LookupError for an unknown payload."""

    def read(self, content_id: str, limit: int) -> bytes:
        """All octets, at most `limit`. Raises LookupError for an unknown, ValueError for a larger payload."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that holds: its references in order, its SignatureMethod, and the certificate used."""

    references: tuple[ReferenceDigest, ...]
    signature_method: str
    certificate: x509.Certificate


def signatures_of(envelope: etree._Element) -> list[etree._Element]:
    """The ds:Signature elements that are children of SOAP:Header (SIG-03)."""
    return [found for header in envelope.findall(soap("Header")) for found in signatures_in(header)]


def verify_signature(
    envelope: etree._Element,
    *,
    certificate: x509.Certificate,
    payloads: PayloadSource,
    required_cids: Collection[str],
    policy: SignaturePolicy = SHA2_POLICY,
    expected_signature_method: str | None = None,
    expected_hash: str | None = None,
) -> VerifiedSignature:
    """Verify the one signature of a message, business message or signal (EB 4.1.3, SIG-02 to SIG-20).

    envelope        root element as parsed from the received octets; never changed
    certificate     of the agreement; what KeyInfo says decides nothing (SIG-13). Its validity is not judged
    payloads        digests of the received parts
    required_cids   content ids of all payloads that the Manifest names; each must be covered
    expected_*      SignatureMethod and DigestMethod URIs that were agreed; None: any that the policy allows

    Structure is checked before cryptography, and payloads are asked for after SignatureValue held.
    Raises SignatureRefused; errors of `payloads` other than LookupError and ValueError pass through.
    """
    signature = only_signature(envelope)
    plan = plan_verification(envelope, signature, frozenset(required_cids), policy)
    _check_agreed(plan, expected_signature_method, expected_hash)
    verifier = _ReferenceChecker(envelope, signature, plan, payloads)
    _verify_value(verifier, signature, plan, certificate, policy)
    if verifier.checked != len(plan.references):
        raise SignatureRefused("not all references were verified")
    return VerifiedSignature(
        tuple(planned.reference for planned in plan.references), plan.signature_method, certificate
    )


def key_info_certificates(envelope: etree._Element) -> tuple[x509.Certificate, ...]:
    """The certificates that the sender put into KeyInfo, leaf first: a hint, believed by nobody.

    Empty where there is no single signature, no X509Certificate, or one that cannot be read.
    """
    signatures = signatures_of(envelope)
    if len(signatures) != 1:
        return ()
    elements = signatures[0].findall(f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}")
    if len(elements) > _MAX_CERTIFICATES:
        return ()
    try:
        found = [
            x509.load_der_x509_certificate(decode_base64(element.text or "", "an X509Certificate"))
            for element in elements
        ]
        issuers = [certificate.issuer for certificate in found if certificate.issuer != certificate.subject]
        found.sort(key=lambda certificate: certificate.subject in issuers)
    except (SignatureRefused, *MALFORMED_X509):
        return ()
    return tuple(found)


def reference_digests(parent: etree._Element) -> tuple[ReferenceDigest, ...]:
    """The ds:Reference children of an element: those copied into an eb:Acknowledgment, or of a ds:SignedInfo.

    Raises SignatureRefused where one cannot be read or there are more than MAX_REFERENCES.
    """
    found = parent.findall(ds("Reference"))
    if len(found) > MAX_REFERENCES:
        raise SignatureRefused(f"there are more than {MAX_REFERENCES} references")
    return tuple(read_reference(element) for element in found)


def references_match(sent: Sequence[ReferenceDigest], acknowledged: Sequence[ReferenceDigest]) -> bool:
    """Whether an acknowledgment is about what was sent: the same URIs with the same digests, in any order.

    Two times none match: whether there must be references is for the caller to say.
    """
    return _comparable(sent) == _comparable(acknowledged)


def _comparable(references: Iterable[ReferenceDigest]) -> list[tuple[str, bytes]]:
    return sorted((_same_cid(each.uri), each.digest_value) for each in references)


def _same_cid(uri: str) -> str:
    content_id = content_id_of(uri)
    return uri if content_id is None else CID + content_id


def _check_agreed(plan: SignaturePlan, signature_method: str | None, hash_method: str | None) -> None:
    if signature_method is not None and plan.signature_method != signature_method:
        raise SignatureRefused(
            f"signature method {plan.signature_method!r} is not the agreed {signature_method!r}"
        )
    if hash_method is None:
        return
    for each in plan.references:
        if each.reference.digest_method != hash_method:
            raise SignatureRefused(
                f"digest method {each.reference.digest_method!r} is not the agreed {hash_method!r}"
            )


class _ReferenceChecker(XMLVerifier):
    """signxml's verifier with its reference step replaced by ours.

    signxml calls `_verify_reference` for each reference of the SignedInfo whose signature held, parsed anew
    from the octets that were signed. Each must be the one that was planned, and its digest must be true.
    """

    def __init__(
        self,
        envelope: etree._Element,
        signature: etree._Element,
        plan: SignaturePlan,
        payloads: PayloadSource,
    ) -> None:
        super().__init__()
        self._envelope = envelope
        self._signature = signature
        self._planned = plan.references
        self._payloads = payloads
        self.checked = 0

    def _verify_reference(self, reference: etree._Element, index: int, *_context: Any) -> ReferenceDigest:
        planned = self._planned[index]
        verified = read_reference(reference)
        same = (verified.uri, verified.digest_method, verified.digest_value, transform_names(reference))
        expected = planned.reference
        if same != (expected.uri, expected.digest_method, expected.digest_value, planned.transforms):
            raise SignatureRefused("a verified reference is not the one in the message")
        if self._digest(planned) != expected.digest_value:
            raise SignatureRefused(
                f"the digest of {expected.uri[:100]!r} does not match: content was changed"
            )
        self.checked += 1
        return expected

    def _digest(self, planned: PlannedReference) -> bytes:
        method = planned.reference.digest_method
        if planned.envelope is not None:
            return digest(signed_envelope(self._envelope, self._signature, planned.envelope), method)
        try:
            if planned.canonicalization is None:
                return self._payloads.digest(planned.content_id, method)
            octets = self._payloads.read(planned.content_id, MAX_CANONICAL_PAYLOAD)
        except LookupError as error:
            raise SignatureRefused(f"payload {planned.content_id!r} is signed but not there") from error
        except ValueError as error:
            raise SignatureRefused(f"payload {planned.content_id!r} cannot be digested: {error}") from error
        return digest(canonical_payload(octets, planned.canonicalization), method)


def _verify_value(
    verifier: _ReferenceChecker,
    signature: etree._Element,
    plan: SignaturePlan,
    certificate: x509.Certificate,
    policy: SignaturePolicy,
) -> None:
    """Let signxml verify SignatureValue, and through the verifier's hook the references."""
    copied = detached(signature)
    signed_info = child(copied, "SignedInfo")
    inherited = inherited_xml_attributes(child(signature, "SignedInfo"), plan.canonicalization.algorithm)
    for name, value in inherited.items():
        signed_info.set(name, value)
    config = SignatureConfiguration(
        expect_references=len(plan.references),
        signature_methods=frozenset(SignatureMethod(method) for method in policy.signature_methods),
        digest_algorithms=frozenset(DigestAlgorithm(method) for method in policy.digest_methods),
        # signxml looks at the validity period of the certificate; this moment always lies within it.
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        verifier.verify(copied, x509_cert=certificate, validate_schema=False, expect_config=config)
    except (InvalidSignature, SignXMLException) as error:
        raise SignatureRefused(f"the signature does not hold: {error}") from error
    except (
        UnsupportedAlgorithm,
        etree.LxmlError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:
        # signxml trusts KeyInfo to be sensible, and stumbles over what is not in many ways.
        raise SignatureRefused(
            f"the signature cannot be verified: {type(error).__name__}: {error}"
        ) from error
