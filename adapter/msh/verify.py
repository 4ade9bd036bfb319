"""Verifying the signature of a received message: which certificate may have made it, and over which octets."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from adapter.authorities import KnownAgreement
from adapter.ebms import (
    LEGACY_POLICY,
    SHA2_POLICY,
    Envelope,
    SignaturePolicy,
    SignatureRefused,
    VerifiedSignature,
    key_info_certificates,
    signatures_of,
    verify_signature,
)
from adapter.msh.intake import IncomingMessage, IncomingPart
from adapter.pki import NotTrusted, TrustStore
from adapter.store import Spool
from cpa import Certificate, CpaError, Exchange

_HASHES: Final[Mapping[str, str]] = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class SpooledPayloads:
    """The payload parts of one message, as the signature code asks for them; used from a thread."""

    parts: tuple[IncomingPart, ...]
    spool: Spool

    def digest(self, content_id: str, algorithm: str) -> bytes:
        """The digest of the decoded octets of a part. Raises KeyError for an unknown part or algorithm."""
        part = self._part(content_id)
        name = _HASHES[algorithm]
        if name == "sha256" and part.content is not None:
            return bytes.fromhex(part.content.sha256)  # made while it was spooled
        digest = hashlib.new(name, usedforsecurity=True)
        for chunk in self._chunks(part):
            digest.update(chunk)
        return digest.digest()

    def read(self, content_id: str, limit: int) -> bytes:
        """The octets of a part of at most `limit` octets. Raises KeyError or ValueError."""
        part = self._part(content_id)
        if part.content is None or part.content.size > limit:
            raise ValueError(f"payload {content_id} has more than {limit} octets")
        return b"".join(self._chunks(part))

    def _part(self, content_id: str) -> IncomingPart:
        found = [p for p in self.parts if p.content_id == content_id and p.problem is None]
        if len(found) != 1:
            raise KeyError(content_id)
        return found[0]

    def _chunks(self, part: IncomingPart) -> Iterator[bytes]:
        if part.content is None:
            raise KeyError(part.content_id)
        if part.content.inline is not None:
            yield part.content.inline
            return
        path = self.spool.path_of(part.content)
        if path is None:
            raise KeyError(part.content_id)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """How signatures under one agreement are verified.

    `intermediates` are certificates of authorities that we know ourselves: a partner sends its leaf only (SIG-14),
    and the chain of a renewed one must be completed by somebody.
    """

    known: KnownAgreement
    trust: TrustStore
    spool: Spool
    intermediates: tuple[x509.Certificate, ...] = ()

    def verify(
        self,
        envelope: Envelope,
        incoming: IncomingMessage,
        exchange: Exchange,
        cids: tuple[str, ...],
        now: datetime,
    ) -> VerifiedSignature | None:
        """Steps 18 to 21: None for a message that need not be signed, and is not.

        `cids` are the content ids of the Manifest, each of which the signature must cover. Raises SignatureRefused.
        Costs milliseconds of cryptography: to be run in a thread.
        """
        signed = bool(signatures_of(envelope.root))
        agreed = exchange.signing_certificate
        if agreed is None:
            # nothing to verify with: a signature that nobody agreed on proves nothing, and does no harm (SIG-19)
            return None
        if not signed and not (envelope.is_business and exchange.requires_signature):
            return None
        return verify_signature(
            envelope.root,
            certificate=self._certificate(envelope, agreed, now),
            payloads=SpooledPayloads(incoming.parts, self.spool),
            required_cids=cids,
            policy=self._policy(exchange),
        )

    def _certificate(self, envelope: Envelope, agreed: Certificate, now: datetime) -> x509.Certificate:
        """The certificate of the agreement, or its renewed successor under trust (CRT-16, SIG-13)."""
        try:
            expected = agreed.x509
            shown = key_info_certificates(envelope.root)
            if not shown or shown[0] == expected or not self.known.may_sign(shown[0], agreed):
                return expected
        except CpaError as problem:
            raise SignatureRefused(str(problem)) from problem
        try:
            self.trust.verify(shown[0], (*shown[1:], *self.intermediates), now)
        except NotTrusted as problem:
            raise SignatureRefused(f"the renewed signing certificate is not trusted: {problem}") from problem
        return shown[0]

    def _policy(self, exchange: Exchange) -> SignaturePolicy:
        """The algorithms of the agreement, as far as policy allows them: policy wins over an old CPA (pitfall 15)."""
        allowed = LEGACY_POLICY if self.known.settings.legacy else SHA2_POLICY
        if self.known.settings.lenient:
            return allowed
        methods = allowed.signature_methods & set(exchange.signature_algorithms)
        digests = allowed.digest_methods & {exchange.hash_function or ""}
        return SignaturePolicy(methods or allowed.signature_methods, digests or allowed.digest_methods)
