# SPDX-License-Identifier: EUPL-1.2

"""Who signed: whether the certificate that a signature was made with, or one of its authorities, was revoked.

Asked apart from whether the signature holds (`adapter.msh.verify`), and later: a repeat of what was taken before is
answered like the first time.
"""

from dataclasses import dataclass
from datetime import datetime

from adapter.ebms import Envelope, SignatureRefused, VerifiedSignature, key_info_certificates
from adapter.pki import Chain, Finding, Flaw, NotTrusted, Place, Revocation, RevocationRefused, TrustStore


class SignerUnknown(Exception):
    """Nobody can say now that the signer was not revoked: its message is not taken, and may come again (HTTP 503).

    `reason` is a short stable word for counter and log.
    """

    def __init__(self, refused: RevocationRefused) -> None:
        super().__init__(str(refused))
        self.reason = f"signer_{refused.flaw}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Judges the certificates of signatures; `intermediates` are authorities that we know beside those of `trust`."""

    trust: TrustStore
    revocation: Revocation
    intermediates: Chain = ()

    async def check(self, envelope: Envelope, verified: VerifiedSignature | None, now: datetime) -> None:
        """Judge who made a signature that holds, if there is one.

        Raises SignatureRefused for one that was revoked, SignerUnknown where that cannot be known.
        """
        if verified is None or not self.revocation.is_on:
            return
        try:
            await self.revocation.with_lists(lambda: self._judge(envelope, verified, now))
        except RevocationRefused as refused:
            if refused.is_final:
                raise SignatureRefused(f"the signing certificate does not hold: {refused}") from refused
            raise SignerUnknown(refused) from refused

    async def _judge(self, envelope: Envelope, verified: VerifiedSignature, now: datetime) -> None:
        certificate = verified.certificate
        # a certificate that ended is judged by the rule on that, with its margin; here only the chain matters
        at = min(max(now, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
        helpful = (*key_info_certificates(envelope.root)[1:], *self.intermediates)
        try:
            chain = self.trust.verify(certificate, helpful, at)
        except NotTrusted as problem:
            # it is one of the agreement: what lacks is what we know of its authorities
            fix = "name its authorities under [trust] intermediates, or its root under roots"
            self.revocation.settle(Finding(Flaw.UNKNOWN, f"{problem}; {fix}"), Place.SIGNATURE)
        else:
            self.revocation.check(chain, Place.SIGNATURE)
