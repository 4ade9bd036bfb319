# SPDX-License-Identifier: EUPL-1.2

"""Reading revocation lists: which are believed, and what they say."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.pki import CrlProblem, IssuedCertificate, Layer, ThrowawayPki, crl_urls, read_crl

BASE = "http://crl.voorbeeld.example"


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki(crl_bases=[BASE])


@pytest.fixture(scope="module")
def other() -> ThrowawayPki:
    """Authorities of the same names, with other keys."""
    return ThrowawayPki()


@pytest.fixture(scope="module")
def holder(pki: ThrowawayPki) -> IssuedCertificate:
    return pki.issue("Stad", "00000001001100415000")


def with_scope(**changes: object) -> x509.IssuingDistributionPoint:
    options: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(options | changes))  # type: ignore[arg-type]


def test_a_list_names_what_was_revoked_when_and_why(pki: ThrowawayPki, holder: IssuedCertificate) -> None:
    crl = read_crl(pki.crl(Layer.TSP, [holder.certificate]), [pki.intermediate], pki.now)
    assert len(crl) == 1
    assert crl.revocation(holder.certificate.serial_number) == (
        f"revoked on {pki.now - timedelta(days=1):%Y-%m-%d %H:%M}Z (keyCompromise)"
    )
    assert crl.revocation(pki.intermediate.serial_number) is None


def test_a_list_in_pem_is_read_too(pki: ThrowawayPki) -> None:
    pem = x509.load_der_x509_crl(pki.crl(Layer.TSP)).public_bytes(Encoding.PEM)
    assert len(read_crl(pem, [pki.intermediate], pki.now)) == 0


def test_a_list_signed_with_rsa_pss_is_read() -> None:
    pki = ThrowawayPki(pss=True)
    octets = pki.crl(Layer.TSP)
    assert x509.load_der_x509_crl(octets).signature_algorithm_oid == x509.SignatureAlgorithmOID.RSASSA_PSS
    assert read_crl(octets, [pki.intermediate], pki.now).issuer == pki.intermediate


def test_a_list_signed_with_ecdsa_is_read(pki: ThrowawayPki) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), pki.intermediate.subject
    issuer = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(pki.now)
        .not_valid_after(pki.now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    octets = (
        x509.CertificateRevocationListBuilder(name, pki.now, pki.now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    assert read_crl(octets, [issuer], pki.now).issuer == issuer


def test_a_list_signed_by_another_of_the_same_name_is_not_believed(
    pki: ThrowawayPki, other: ThrowawayPki
) -> None:
    with pytest.raises(CrlProblem, match="whose key did not sign it"):
        read_crl(other.crl(Layer.TSP), [pki.intermediate], pki.now)


def test_a_list_that_was_changed_is_not_believed(pki: ThrowawayPki, holder: IssuedCertificate) -> None:
    octets = bytearray(pki.crl(Layer.TSP, [holder.certificate]))
    serial = holder.certificate.serial_number.to_bytes(20)
    at = octets.index(serial.lstrip(b"\0"))
    octets[at + 5] ^= 1
    with pytest.raises(CrlProblem, match="whose key did not sign it"):
        read_crl(bytes(octets), [pki.intermediate], pki.now)


def test_of_several_issuers_of_a_name_the_one_that_signed_it_counts(
    pki: ThrowawayPki, other: ThrowawayPki
) -> None:
    found = read_crl(other.crl(Layer.TSP), [pki.intermediate, other.intermediate], pki.now)
    assert found.issuer == other.intermediate


def test_a_list_of_another_issuer_is_not_believed(pki: ThrowawayPki) -> None:
    with pytest.raises(CrlProblem, match="another issuer"):
        read_crl(pki.crl(Layer.DOMAIN), [pki.intermediate], pki.now)


def test_who_may_not_sign_lists_is_not_believed(
    pki: ThrowawayPki, keys: tuple[rsa.RSAPrivateKey, ...]
) -> None:
    name = pki.intermediate.subject
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    issuer = (
        x509.CertificateBuilder(name, name, keys[0].public_key(), 1)
        .not_valid_before(pki.now)
        .not_valid_after(pki.now + timedelta(days=1))
        .add_extension(usage, critical=True)
        .sign(keys[0], hashes.SHA256())
    )
    builder = x509.CertificateRevocationListBuilder(name, pki.now, pki.now + timedelta(days=1))
    octets = builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(CrlProblem):
        read_crl(octets, [issuer], pki.now)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: x509.DeltaCRLIndicator(1), "delta"),
        (lambda: with_scope(indirect_crl=True), "indirect"),
        (lambda: with_scope(only_contains_attribute_certs=True), "kinds of certificate"),
        (
            lambda: with_scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
            "some reasons",
        ),
        (
            lambda: x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0"),
            r"not known: 1\.2\.3\.4",
        ),
    ],
    ids=["delta", "indirect", "attributes", "some-reasons", "unknown"],
)
def test_a_list_that_is_not_whole_is_refused(
    pki: ThrowawayPki, make: Callable[[], x509.ExtensionType], reason: str
) -> None:
    with pytest.raises(CrlProblem, match=reason):
        read_crl(pki.crl(Layer.TSP, extensions=[make()]), [pki.intermediate], pki.now)


@pytest.mark.parametrize(
    "octets", [b"", b"<html><body>Onderhoud</body></html>", b"-----BEGIN X509 CRL-----\nAAAA\n", b"\x30\x84"]
)
def test_what_is_no_list_is_refused(pki: ThrowawayPki, octets: bytes) -> None:
    with pytest.raises(CrlProblem, match="is not a revocation list"):
        read_crl(octets, [pki.intermediate], pki.now)


def test_a_list_from_the_future_is_refused(pki: ThrowawayPki) -> None:
    start = pki.now + timedelta(minutes=6)
    with pytest.raises(CrlProblem, match="not yet"):
        read_crl(pki.crl(Layer.TSP, start=start), [pki.intermediate], pki.now)


def test_a_list_of_a_part_covers_that_part_only(pki: ThrowawayPki, holder: IssuedCertificate) -> None:
    def covers(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate) -> bool:
        octets = pki.crl(Layer.TSP, extensions=[scope])
        return read_crl(octets, [pki.intermediate], pki.now).covers(certificate)

    leaf = holder.certificate
    assert covers(with_scope(only_contains_user_certs=True), leaf)
    assert not covers(with_scope(only_contains_user_certs=True), pki.domain)
    assert covers(with_scope(only_contains_ca_certs=True), pki.domain)
    assert not covers(with_scope(only_contains_ca_certs=True), leaf)
    here = x509.UniformResourceIdentifier(pki.crl_urls(Layer.TSP)[0])
    elsewhere = x509.UniformResourceIdentifier(f"{BASE}/tsp-2.crl")
    assert covers(with_scope(full_name=[here]), leaf)
    assert not covers(with_scope(full_name=[elsewhere]), leaf)


def test_a_certificate_says_where_its_list_is(pki: ThrowawayPki, other: ThrowawayPki) -> None:
    assert crl_urls(pki.intermediate) == (f"{BASE}/domain.crl",)
    assert crl_urls(other.intermediate) == ()


def test_addresses_that_are_not_http_are_left_out(
    pki: ThrowawayPki, keys: tuple[rsa.RSAPrivateKey, ...]
) -> None:
    def point(url: str, issuer: list[x509.GeneralName] | None = None) -> x509.DistributionPoint:
        return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, issuer)

    other_issuer = [x509.DirectoryName(pki.root.subject)]
    points = [
        point("ldap://crl.example/cn=x"),
        point("file:///etc/passwd"),
        point("http://a.example/indirect.crl", other_issuer),
        point("http://a.example/x.crl"),
        point("http://b.example/x.crl"),
    ]
    certificate = (
        x509.CertificateBuilder(pki.root.subject, pki.root.subject, keys[0].public_key(), 1)
        .not_valid_before(pki.now)
        .not_valid_after(pki.now + timedelta(days=1))
        .add_extension(x509.CRLDistributionPoints(points), critical=False)
        .sign(keys[0], hashes.SHA256())
    )
    assert crl_urls(certificate) == ("http://a.example/x.crl", "http://b.example/x.crl")
