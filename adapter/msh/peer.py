# SPDX-License-Identifier: EUPL-1.2

"""Who is at the other end: the certificate it showed, the OIN in it, and what it may therefore do."""

from dataclasses import dataclass

from cryptography import x509

from adapter.authorities import Authorities, KnownAgreement
from adapter.ebms import Forbidden
from adapter.pki import Chain, Place, Revocation


@dataclass(frozen=True, slots=True)
class Peer:
    """The peer of one request.

    `certificate` is the one of the TLS handshake, here or at the trusted proxy `proxy`, and `chain` what was verified,
    up to the root. `anonymous` is a plain HTTP connection in a test set-up, for which the identity steps are skipped.
    `refused` is why nothing that it asks for is done.
    """

    address: str
    certificate: x509.Certificate | None = None
    oin: str | None = None
    anonymous: bool = False
    chain: Chain = ()
    proxy: str | None = None
    refused: Forbidden | None = None

    def __str__(self) -> str:
        shown = self.oin or (
            self.certificate.subject.rfc4514_string() if self.certificate else "no certificate"
        )
        behind = f" behind {self.proxy}" if self.proxy is not None and self.proxy != self.address else ""
        return f"{shown} at {self.address}{behind}"


def admit(peer: Peer, authorities: Authorities, *, test: bool) -> None:
    """Step 2a: the peer is the partner of one of our agreements, or acts for one. Raises Forbidden."""
    if not peer.anonymous and not authorities.admits(peer.oin, peer.certificate, test=test):
        raise Forbidden("peer_unknown", f"{peer} is not the partner of any agreement, and acts for none")


async def check_revocation(peer: Peer, revocation: Revocation) -> None:
    """Step 2a: no certificate of the peer's chain was revoked. Raises RevocationRefused."""
    if not peer.anonymous:
        await revocation.admit(peer.chain, Place.TLS_IN)


def admit_to(peer: Peer, known: KnownAgreement, *, test: bool) -> None:
    """Steps 13a and 15: the peer is the partner of this agreement, or acts for it. Raises Forbidden.

    From is compared with the agreement apart from this (step 14), so that the three are the same party.
    """
    if not peer.anonymous and not known.admits(peer.oin, peer.certificate, test=test):
        raise Forbidden("peer_of_other_agreement", f"{peer} is not the partner of agreement {known.cpa_id}")
