# SPDX-License-Identifier: EUPL-1.2

"""Verifying the signature of a received message: which certificate may have made it, and over which octets."""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from adapter.authorities import KnownAgreement
from adapter.ebms import (
    LEGACY_POLICY,
    SHA2_POLICY,
    Envelope,
    SignalAction,
    SignaturePolicy,
    SignatureRefused,
    VerifiedSignature,
    key_info_certificates,
    signatures_of,
    verify_signature,
)
from adapter.msh.digests import SpooledPayloads
from adapter.msh.intake import IncomingMessage
from adapter.observe import get_logger
from adapter.pki import NotTrusted, TrustStore
from adapter.store import Spool
from cpa import Certificate, CpaError, Exchange

log = get_logger(__name__)


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
        if not signatures_of(envelope.root) and not (envelope.is_business and exchange.requires_signature):
            return None
        sound = ((part.content_id, part.content) for part in incoming.parts if part.problem is None)
        parts = SpooledPayloads(sound, self.spool)
        try:
            return self._verify(envelope, parts, exchange, cids, now)
        except SignatureRefused:
            for earlier in self._earlier(envelope):
                with contextlib.suppress(SignatureRefused):
                    return self._verify(envelope, parts, earlier, cids, now)
            raise

    def _verify(
        self,
        envelope: Envelope,
        parts: SpooledPayloads,
        exchange: Exchange,
        cids: tuple[str, ...],
        now: datetime,
    ) -> VerifiedSignature | None:
        agreed = exchange.signing_certificate
        if agreed is None:
            # nothing to verify with: a signature that nobody agreed on proves nothing, and does no harm (SIG-19)
            log.info("a signature that was not agreed is not verified", action="signature.not_agreed")
            return None
        return verify_signature(
            envelope.root,
            certificate=self._certificate(envelope, agreed, now),
            payloads=parts,
            required_cids=cids,
            policy=self._policy(exchange),
        )

    def _earlier(self, envelope: Envelope) -> list[Exchange]:
        """What earlier versions of the agreement say of a verdict: it may be about a message of that time (LCY-05)."""
        if envelope.signal not in {SignalAction.ACKNOWLEDGMENT, SignalAction.MESSAGE_ERROR}:
            return []
        return [earlier.received_signal(envelope.header.action) for earlier in self.known.previous]

    def _certificate(self, envelope: Envelope, agreed: Certificate, now: datetime) -> x509.Certificate:
        """The certificate of the agreement, or its renewed successor under trust (CRT-16, SIG-13)."""
        try:
            expected = agreed.x509
            shown = key_info_certificates(envelope.root)
            if not shown or shown[0] == expected or not self.known.may_use(shown[0], agreed):
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
