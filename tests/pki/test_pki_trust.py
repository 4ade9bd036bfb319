# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.pki import KeyProblem, NotTrusted, ThrowawayPki, TrustStore

OIN = "00000001001100415000"
Keys = tuple[RSAPrivateKey, ...]
Make = Callable[..., x509.Certificate]


@pytest.fixture
def trust(pki: ThrowawayPki) -> TrustStore:
    return TrustStore([pki.root])


def test_a_chain_of_four_layers_is_trusted(pki: ThrowawayPki, trust: TrustStore) -> None:
    issued = pki.issue("Stad", OIN)
    trust.verify(issued.certificate, issued.chain, pki.now)
    trust.verify(issued.certificate, issued.chain[::-1], pki.now)


def test_a_chain_signed_with_rsa_pss_is_trusted() -> None:
    pki = ThrowawayPki(pss=True)
    issued = pki.issue("Stad", OIN)
    assert issued.certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSASSA_PSS
    TrustStore([pki.root]).verify(issued.certificate, issued.chain, pki.now)


def test_a_holder_needs_no_alternative_name(pki: ThrowawayPki, trust: TrustStore) -> None:
    issued = pki.issue("Stad", OIN, hosts=())
    trust.verify(issued.certificate, issued.chain, pki.now)


def test_useless_certificates_that_are_sent_along_do_no_harm(pki: ThrowawayPki, trust: TrustStore) -> None:
    issued, other = pki.issue("Stad", OIN), ThrowawayPki()
    trust.verify(issued.certificate, (other.intermediate, *issued.chain, other.root), pki.now)


def test_a_missing_intermediate_is_named(pki: ThrowawayPki, trust: TrustStore) -> None:
    issued = pki.issue("Stad", OIN)
    with pytest.raises(NotTrusted, match=r"Throw-away Domain CA.*nor sent along"):
        trust.verify(issued.certificate, (pki.intermediate,), pki.now)


def test_a_chain_to_a_root_that_is_not_configured_is_not_trusted(pki: ThrowawayPki) -> None:
    other = ThrowawayPki()
    issued = other.issue("Stad", OIN)
    with pytest.raises(NotTrusted):
        TrustStore([pki.root]).verify(issued.certificate, (*issued.chain, other.root), pki.now)


@pytest.mark.parametrize(("days", "reason"), [(-2, "not valid before"), (100, "expired on")])
def test_a_certificate_outside_its_period_is_not_trusted(
    pki: ThrowawayPki, trust: TrustStore, days: int, reason: str
) -> None:
    issued = pki.issue("Stad", OIN)
    with pytest.raises(NotTrusted, match=reason):
        trust.verify(issued.certificate, issued.chain, pki.now + timedelta(days=days))


def test_an_expired_authority_is_named(pki: ThrowawayPki, trust: TrustStore) -> None:
    moment = pki.now + timedelta(days=400)
    issued = pki.issue("Stad", OIN, not_after=moment + timedelta(days=1))
    with pytest.raises(NotTrusted, match=r"authority 'CN=Throw-away TSP CA.*not valid now"):
        trust.verify(issued.certificate, issued.chain, moment)


def test_a_self_signed_certificate_is_trusted_only_as_a_root(pki: ThrowawayPki, trust: TrustStore) -> None:
    issued = pki.issue("Stad", OIN, self_signed=True)
    with pytest.raises(NotTrusted, match="is self-signed"):
        trust.verify(issued.certificate, (), pki.now)
    TrustStore([issued.certificate]).verify(issued.certificate, (), pki.now)


def test_an_expired_self_signed_root_is_not_trusted(pki: ThrowawayPki) -> None:
    issued = pki.issue("Stad", OIN, self_signed=True, not_after=pki.now - timedelta(hours=1))
    with pytest.raises(NotTrusted, match="expired"):
        TrustStore([issued.certificate]).verify(issued.certificate, (), pki.now)


def test_a_copy_of_the_name_of_the_root_is_not_the_root(pki: ThrowawayPki, trust: TrustStore) -> None:
    twin = ThrowawayPki()
    issued = twin.issue("Stad", OIN)
    with pytest.raises(NotTrusted):
        trust.verify(issued.certificate, (*issued.chain, twin.root), pki.now)


def test_an_authority_is_not_a_holder(pki: ThrowawayPki, trust: TrustStore) -> None:
    with pytest.raises(NotTrusted, match="certificate of an authority"):
        trust.verify(pki.intermediate, (pki.domain,), pki.now)


def test_without_roots_nothing_is_trusted(pki: ThrowawayPki) -> None:
    issued = pki.issue("Stad", OIN)
    with pytest.raises(NotTrusted, match="no roots"):
        TrustStore([]).verify(issued.certificate, issued.chain, pki.now)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ca": False},
        {"ca": None},
        {"sign_certificates": False},
        {"sign_certificates": None},
        {"extra": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")},
    ],
    ids=["ca-false", "no-basic-constraints", "may-not-sign", "no-key-usage", "unknown-critical-extension"],
)
def test_a_holder_cannot_act_as_an_authority(
    pki: ThrowawayPki, keys: Keys, make: Make, wrong: dict[str, object]
) -> None:
    root = make("root", keys[0], "root", keys[0])
    good, bad = make("ca", keys[1], "root", keys[0]), make("ca", keys[1], "root", keys[0], **wrong)
    leaf = make("leaf", keys[2], "ca", keys[1], ca=False, sign_certificates=False)
    TrustStore([root]).verify(leaf, (good,), pki.now)
    with pytest.raises(NotTrusted):
        TrustStore([root]).verify(leaf, (bad,), pki.now)


def test_the_path_length_of_an_authority_is_kept(pki: ThrowawayPki, keys: Keys, make: Make) -> None:
    root = make("root", keys[0], "root", keys[0])
    two = make("two", keys[2], "one", keys[1])
    leaf = make("leaf", keys[3], "two", keys[2], ca=False, sign_certificates=False)
    TrustStore([root]).verify(leaf, (two, make("one", keys[1], "root", keys[0], path_length=1)), pki.now)
    with pytest.raises(NotTrusted):
        TrustStore([root]).verify(leaf, (two, make("one", keys[1], "root", keys[0], path_length=0)), pki.now)


def test_a_chain_that_is_too_long_is_not_trusted(pki: ThrowawayPki, keys: Keys, make: Make) -> None:
    root = make("ca0", keys[0], "ca0", keys[0])
    chain = [make(f"ca{n}", keys[n % 4], f"ca{n - 1}", keys[(n - 1) % 4]) for n in range(1, 5)]
    leaf = make("leaf", keys[4], "ca4", keys[0], ca=False, sign_certificates=False)
    with pytest.raises(NotTrusted, match="more than 3 intermediate"):
        TrustStore([root]).verify(leaf, chain, pki.now)


def test_a_signature_by_another_key_is_not_trusted(pki: ThrowawayPki, keys: Keys, make: Make) -> None:
    root = make("root", keys[0], "root", keys[0])
    leaf = make("leaf", keys[2], "root", keys[1], ca=False, sign_certificates=False)
    with pytest.raises(NotTrusted, match="is not trusted"):
        TrustStore([root]).verify(leaf, (), pki.now)


def test_authorities_that_issue_each_other_end_in_a_refusal(
    pki: ThrowawayPki, keys: Keys, make: Make
) -> None:
    ring = [make("a", keys[1], "b", keys[2]), make("b", keys[2], "a", keys[1])]
    leaf = make("leaf", keys[3], "a", keys[1], ca=False, sign_certificates=False)
    with pytest.raises(NotTrusted):
        TrustStore([pki.root]).verify(leaf, ring, pki.now)


def test_roots_come_from_several_files(pki: ThrowawayPki, tmp_path: Path) -> None:
    other = ThrowawayPki()
    trust = TrustStore.from_files([pki.root_pem(tmp_path / "a.pem"), other.root_pem(tmp_path / "b.pem")])
    assert trust.roots == (pki.root, other.root)
    assert trust.pem.count("BEGIN CERTIFICATE") == 2


def test_an_intermediate_is_not_accepted_as_a_root(pki: ThrowawayPki, tmp_path: Path) -> None:
    path = tmp_path / "tsp.pem"
    path.write_bytes(pki.intermediate.public_bytes(Encoding.PEM))
    with pytest.raises(KeyProblem, match=r"tsp\.pem.*is not a root"):
        TrustStore.from_files([path])


def test_a_configured_authority_completes_the_chain_of_who_sends_nothing_else(pki: ThrowawayPki) -> None:
    issued = pki.issue("Stad", OIN)
    trust = TrustStore([pki.root], [pki.intermediate, pki.domain])
    assert trust.verify(issued.certificate, (), pki.now) == (
        issued.certificate,
        pki.intermediate,
        pki.domain,
        pki.root,
    )


def test_authorities_of_a_verified_chain_are_remembered(pki: ThrowawayPki, trust: TrustStore) -> None:
    first, second = pki.issue("Stad", OIN), pki.issue("Dorp", OIN)
    with pytest.raises(NotTrusted):
        trust.verify(second.certificate, (), pki.now)
    trust.learn(trust.verify(first.certificate, first.chain, pki.now))
    trust.verify(second.certificate, (), pki.now)
    assert set(trust.authorities) == {pki.root, pki.domain, pki.intermediate}


def test_a_configured_authority_is_trusted_no_further_than_the_roots(pki: ThrowawayPki) -> None:
    issued, other = pki.issue("Stad", OIN), ThrowawayPki(name="Other")
    trust = TrustStore([other.root], [pki.intermediate, pki.domain])
    with pytest.raises(NotTrusted):
        trust.verify(issued.certificate, issued.chain, pki.now)


def test_chains_to_several_roots_hold_at_a_time(pki: ThrowawayPki) -> None:
    successor = ThrowawayPki(pss=True, name="Successor")
    trust = TrustStore([pki.root, successor.root])
    for maker in (pki, successor):
        issued = maker.issue("Stad", OIN)
        assert trust.verify(issued.certificate, issued.chain, pki.now)[-1] == maker.root


def test_an_intermediate_must_be_an_authority(pki: ThrowawayPki, tmp_path: Path) -> None:
    path = tmp_path / "leaf.pem"
    path.write_bytes(pki.issue("Stad", OIN).certificate.public_bytes(Encoding.PEM))
    with pytest.raises(KeyProblem, match="not the certificate of an authority"):
        TrustStore.from_files([], [path])
