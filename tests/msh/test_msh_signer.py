# SPDX-License-Identifier: EUPL-1.2

"""Who signed: judged by the chain of the certificate, which is built from what is known."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from adapter.ebms import SignatureRefused, VerifiedSignature
from adapter.msh.signer import Signer, SignerUnknown
from adapter.pki import (
    Crls,
    IssuedCertificate,
    Layer,
    Revocation,
    RevocationMode,
    ThrowawayPki,
    TrustStore,
    read_crl,
)

ENVELOPE: Any = SimpleNamespace(root=etree.fromstring("<Envelope/>"))


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture(scope="module")
def partner(pki: ThrowawayPki) -> IssuedCertificate:
    return pki.issue("Partner", "00000001001100415000")


def revocation(pki: ThrowawayPki, mode: RevocationMode, *revoked: Any) -> Revocation:
    crls = Crls()
    for layer in Layer:
        octets = pki.crl(layer, revoked)
        crls.take(read_crl(octets, [pki.root, pki.domain, pki.intermediate], pki.now), octets)
    return Revocation(mode, crls, lambda: pki.now)


def signed_by(issued: IssuedCertificate) -> VerifiedSignature:
    return VerifiedSignature((), "", issued.certificate)


async def test_a_signer_of_known_authorities_holds(pki: ThrowawayPki, partner: IssuedCertificate) -> None:
    hard = revocation(pki, RevocationMode.HARD)
    for trust, own in (
        (TrustStore([pki.root], partner.chain), ()),
        (TrustStore([pki.root]), partner.chain),
    ):
        await Signer(trust, hard, own).check(ENVELOPE, signed_by(partner), pki.now)


async def test_authorities_that_a_tls_connection_showed_complete_the_chain(
    pki: ThrowawayPki, partner: IssuedCertificate
) -> None:
    trust = TrustStore([pki.root])
    trust.learn((pki.issue("TLS", None).certificate, pki.intermediate, pki.domain, pki.root))
    await Signer(trust, revocation(pki, RevocationMode.HARD)).check(ENVELOPE, signed_by(partner), pki.now)


async def test_a_signer_whose_chain_cannot_be_built_may_come_again(
    pki: ThrowawayPki, partner: IssuedCertificate
) -> None:
    """Refusing it for good would lose a message over an intermediate that is not configured."""
    signer = Signer(TrustStore([pki.root]), revocation(pki, RevocationMode.HARD))
    with pytest.raises(SignerUnknown, match=r"\[trust\] intermediates") as caught:
        await signer.check(ENVELOPE, signed_by(partner), pki.now)
    assert caught.value.reason == "signer_chain_unknown"


async def test_soft_mode_passes_a_signer_whose_chain_cannot_be_built(
    pki: ThrowawayPki, partner: IssuedCertificate
) -> None:
    signer = Signer(TrustStore([pki.root]), revocation(pki, RevocationMode.SOFT))
    await signer.check(ENVELOPE, signed_by(partner), pki.now)


@pytest.mark.parametrize("mode", [RevocationMode.HARD, RevocationMode.SOFT])
async def test_a_revoked_signer_is_refused(
    pki: ThrowawayPki, partner: IssuedCertificate, mode: RevocationMode
) -> None:
    signer = Signer(TrustStore([pki.root]), revocation(pki, mode, partner.certificate), partner.chain)
    with pytest.raises(SignatureRefused, match="was revoked on"):
        await signer.check(ENVELOPE, signed_by(partner), pki.now)


async def test_a_certificate_that_ended_is_left_to_the_rule_on_that(pki: ThrowawayPki) -> None:
    ended = pki.issue("Oud", None, not_after=pki.now - timedelta(minutes=1))
    signer = Signer(TrustStore([pki.root]), revocation(pki, RevocationMode.HARD), ended.chain)
    await signer.check(ENVELOPE, signed_by(ended), pki.now)
