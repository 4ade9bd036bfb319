"""Who signed: whether the certificate that a signature was made with, or one of its authorities, was revoked.

Asked apart from whether the signature holds (`adapter.msh.verify`), and later: a repeat of what was taken before is
answered like the first time.
"""

from dataclasses import dataclass
from datetime import datetime

from adapter.ebms import Envelope, SignatureRefused, VerifiedSignature, key_info_certificates
from adapter.pki import Chain, NotTrusted, Place, Revocation, RevocationRefused, TrustStore


class SignerUnknown(Exception):
    """Nobody can say now that the signer was not revoked: its message is not taken, and may come again (HTTP 503).

    `reason` is a short stable word for counter and log.
    """

    def __init__(self, refused: RevocationRefused) -> None:
        super().__init__(str(refused))
        self.reason = f"signer_{refused.flaw}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Judges the certificates of signatures."""

    trust: TrustStore
    revocation: Revocation

    async def check(self, envelope: Envelope, verified: VerifiedSignature | None, now: datetime) -> None:
        """Judge who made a signature that holds, if there is one.

        Raises SignatureRefused for one that was revoked or chains to no root, SignerUnknown where that cannot be known.
        """
        if verified is None or not self.revocation.is_on:
            return
        try:
            await self.revocation.admit(self._chain(envelope, verified, now), Place.SIGNATURE)
        except RevocationRefused as refused:
            if refused.is_final:
                raise SignatureRefused(f"the signing certificate does not hold: {refused}") from refused
            raise SignerUnknown(refused) from refused

    def _chain(self, envelope: Envelope, verified: VerifiedSignature, now: datetime) -> Chain:
        certificate = verified.certificate
        # a certificate that ended is judged by the rule on that, with its margin; here only the chain matters
        at = min(max(now, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
        try:
            return self.trust.verify(certificate, key_info_certificates(envelope.root)[1:], at)
        except NotTrusted as problem:
            raise SignatureRefused(f"the signing certificate is not trusted: {problem}") from problem
