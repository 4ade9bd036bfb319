# SPDX-License-Identifier: EUPL-1.2

"""Steps 18 to 21 of the receiving algorithm, and what step 24 compares: is a message what its sender signed?"""

import hashlib
from dataclasses import dataclass

from lxml import etree

from adapter.ebms import (
    LOCATION_SIGNATURE,
    EbmsError,
    ErrorCode,
    SignatureRefused,
    VerifiedSignature,
    check_manifest,
    cid_url,
    content_id_of,
    find_content_id,
    signatures_of,
)
from adapter.msh.arrival import Arrival
from adapter.msh.encrypt import PayloadEncryption, PayloadRefused
from adapter.msh.offload import SMALL
from adapter.msh.signer import Signer
from adapter.msh.verify import SignatureCheck
from cpa import Exchange


@dataclass(frozen=True, slots=True)
class Authenticity:
    """Decrypts and verifies one message."""

    arrival: Arrival

    async def decrypt(self, exchange: Exchange) -> tuple[EbmsError, ...]:
        """Step 20: from here the payloads are the plain ones. Any flaw is the same error to the partner (ENC-08).

        The old ciphers do not prove what they decrypt: data that somebody changed fails here, or at the signature.
        Which of them must not be told either, so there the error is that of the signature.
        """
        named = self.arrival.manifest_parts()
        if not exchange.requires_encryption or not named:
            return ()
        encryption = PayloadEncryption(self.arrival.spool, self.arrival.known, exchange)
        try:
            self.arrival.incoming = await encryption.decrypt(
                self.arrival.incoming, self.arrival.authority, named
            )
        except PayloadRefused as refused:
            location = (
                LOCATION_SIGNATURE if self.arrival.known.settings.legacy else cid_url(refused.content_id)
            )
            return (EbmsError(ErrorCode.SECURITY_FAILURE, location, str(refused)),)
        return ()

    @property
    def is_heavy(self) -> bool:
        """Whether establishing it takes cryptography, or much XML: then it belongs in a thread."""
        return bool(signatures_of(self.arrival.envelope.root)) or len(self.arrival.incoming.envelope) > SMALL

    def establish(self, exchange: Exchange) -> tuple[VerifiedSignature | None, str]:
        """The signature that holds, and the digest that tells a repeat. Raises SignatureRefused."""
        verified = self._verify(exchange)
        return verified, self._content_digest(verified)

    async def check_signer(self, verified: VerifiedSignature | None) -> None:
        """Whether who signed it was revoked (CRT-04). Raises SignatureRefused or SignerUnknown."""
        signer = Signer(self.arrival.trust, self.arrival.revocation, self.arrival.authority.keys.chain)
        await signer.check(self.arrival.envelope, verified, self.arrival.now)

    def _verify(self, exchange: Exchange) -> VerifiedSignature | None:
        """Steps 18, 19 and 21."""
        check = SignatureCheck(
            self.arrival.known,
            self.arrival.trust,
            self.arrival.spool,
            intermediates=self.arrival.authority.keys.chain,
        )
        by_id = {part.content_id: part for part in self.arrival.incoming.parts}
        # a payload that is not there must be covered by the signature all the same
        cids = tuple(
            find_content_id(reference.href, by_id) or content_id_of(reference.href) or reference.href
            for reference in self.arrival.envelope.manifest or ()
        )
        return check.verify(self.arrival.envelope, self.arrival.incoming, exchange, cids, self.arrival.now)

    def errors(self, exchange: Exchange, refused: SignatureRefused) -> tuple[EbmsError, ...]:
        """A payload that is missing or broken makes its digest wrong too; the first cause is reported (MAN-04)."""
        missing = tuple(check_manifest(self.arrival.case(exchange, None)))
        return missing or (EbmsError(ErrorCode.SECURITY_FAILURE, LOCATION_SIGNATURE, str(refused)),)

    def _content_digest(self, verified: VerifiedSignature | None) -> str:
        """What tells a repeat from another message with the same MessageId (step 24).

        Of a signed message, what was signed; of any other the SOAP body and the payloads.
        """
        if verified is not None:
            parts = sorted(f"{r.uri} {r.digest_method} {r.digest_value.hex()}" for r in verified.references)
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        # not simply the last child: a comment or a foreign element may follow the Body
        try:
            body = etree.tostring(self.arrival.envelope.body, method="c14n", with_comments=False)
        except etree.LxmlError as error:  # a namespace that is no URI, for one
            raise SignatureRefused(f"the SOAP body cannot be canonicalised: {error}") from error
        payloads = [p.content.sha256 for p in self.arrival.manifest_parts() if p.content is not None]
        return hashlib.sha256(hashlib.sha256(body).digest() + "\n".join(payloads).encode()).hexdigest()
