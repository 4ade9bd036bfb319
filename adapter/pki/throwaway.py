# SPDX-License-Identifier: EUPL-1.2

"""A throw-away PKI in the shape of PKIoverheid, for demonstrations, the simulator and tests; never for
production.

Keys are RSA of 2048 bits: the least that is accepted anywhere, and the quickest to make. A whole PKI with one
holder is four keys, well under a second; larger ones would make people wait without protecting anything that
matters.
"""

import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapter.pki.keys import KeyPair, load_key_pair

_KEY_SIZE = 2048
_PUBLIC_EXPONENT = 65537
_LIFETIME = timedelta(days=90)
_BACKDATED = timedelta(days=1)


class Layer(StrEnum):
    """An authority of the throw-away PKI, by which its revocation list is called."""

    ROOT = "root"
    DOMAIN = "domain"
    TSP = "tsp"


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A holder's key and certificate, with the intermediates up to but not including the root."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]

    def write(self, directory: Path, stem: str) -> tuple[Path, Path]:
        """Write ``<stem>.pem`` (certificate and chain) and ``<stem>.key`` (mode 0600); return their paths."""
        directory.mkdir(parents=True, exist_ok=True)
        certificate_path, key_path = directory / f"{stem}.pem", directory / f"{stem}.key"
        certificate_path.write_bytes(_pem(self.certificate, *self.chain))
        descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate_path, key_path

    def key_pair(self, directory: Path, stem: str) -> KeyPair:
        """Write the files as `write` does and load them again."""
        return load_key_pair(*self.write(directory, stem))


class ThrowawayPki:
    """A root, a domain authority and a TSP that issues to holders: four layers (GAC ch02).

    Args:
        now: moment around which the certificates are valid; the present if not given.
        pss: sign with RSASSA-PSS, as the G4 private hierarchy does, instead of PKCS #1 v1.5.
        crl_bases: addresses below which each layer has its revocation list, as ``<base>/tsp.crl``; without any
            the certificates do not say where the lists are.
        name: how the authorities are called.

    """

    def __init__(
        self,
        now: datetime | None = None,
        *,
        pss: bool = False,
        crl_bases: Sequence[str] = (),
        name: str = "Throw-away",
    ) -> None:
        self.now = (now if now is not None else datetime.now(UTC)).replace(microsecond=0)
        self._pss = pss
        self._crl_bases = tuple(crl_bases)
        root_key, domain_key, self._issuing_key = (_new_key(_KEY_SIZE) for _ in range(3))
        root, domain, issuing = (_subject(f"{name} {what} CA") for what in ("Root", "Domain", "TSP"))
        self.root = self._authority(root, root_key, root, root_key, None, None)
        self.domain = self._authority(domain, domain_key, root, root_key, 1, Layer.ROOT)
        self.intermediate = self._authority(issuing, self._issuing_key, domain, domain_key, 0, Layer.DOMAIN)
        self._layers = {
            Layer.ROOT: (root, root_key),
            Layer.DOMAIN: (domain, domain_key),
            Layer.TSP: (issuing, self._issuing_key),
        }

    def issue(
        self,
        name: str,
        oin: str | None,
        *,
        hosts: Sequence[str] = ("localhost", "127.0.0.1"),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        key_size: int = _KEY_SIZE,
        self_signed: bool = False,
    ) -> IssuedCertificate:
        """Issue a certificate to a holder, with a key of its own.

        Args:
            name: organisation and common name of the holder.
            oin: for the subject's serialNumber; None leaves it out.
            hosts: host names and IP addresses for subjectAltName; an empty sequence leaves it out.
            not_before: start of its validity; a day ago if not given.
            not_after: end of its validity; in 90 days if not given.
            key_size: bits of the RSA key.
            self_signed: signed with its own key instead of by the TSP.

        """
        key = _new_key(key_size)
        subject = _subject(name, oin)
        issuer, issuer_key = (subject, key) if self_signed else (self.intermediate.subject, self._issuing_key)
        end = not_after if not_after is not None else self.now + _LIFETIME
        start = not_before if not_before is not None else min(self.now, end) - _BACKDATED
        builder = (
            _builder(subject, key.public_key(), issuer, issuer_key.public_key())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(holder=True), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        if not self_signed:
            builder = self._with_crl(builder, Layer.TSP)
        chain = () if self_signed else (self.intermediate, self.domain)
        return IssuedCertificate(key, self._sign(builder, issuer_key), chain)

    def crl_urls(self, layer: Layer) -> tuple[str, ...]:
        """Where the certificates say that the revocation list of a layer is."""
        return tuple(f"{base}/{layer}.crl" for base in self._crl_bases)

    def crl(
        self,
        layer: Layer,
        revoked: Iterable[x509.Certificate] = (),
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        extensions: Iterable[x509.ExtensionType] = (),
    ) -> bytes:
        """Make the revocation list of a layer, in DER.

        Args:
            layer: whose list.
            revoked: the certificates in it.
            start: its thisUpdate; an hour ago if not given.
            end: its nextUpdate; in a day if not given.
            extensions: critical ones, beside the key identifier of the issuer.

        """
        name, key = self._layers[layer]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name)
            .last_update(start if start is not None else self.now - timedelta(hours=1))
            .next_update(end if end is not None else self.now + timedelta(days=1))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, self.now - _BACKDATED)
            reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
            builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
        signed = builder.sign(key, hashes.SHA256(), rsa_padding=self._padding())
        return signed.public_bytes(Encoding.DER)

    def root_pem(self, path: Path) -> Path:
        """Write the root certificate to a PEM file and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_pem(self.root))
        return path

    def _authority(
        self,
        subject: x509.Name,
        key: rsa.RSAPrivateKey,
        issuer: x509.Name,
        issuer_key: rsa.RSAPrivateKey,
        path_length: int | None,
        above: Layer | None,
    ) -> x509.Certificate:
        builder = (
            _builder(subject, key.public_key(), issuer, issuer_key.public_key())
            .not_valid_before(self.now - 2 * _BACKDATED)
            .not_valid_after(self.now + 2 * _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_usage(holder=False), critical=True)
        )
        return self._sign(self._with_crl(builder, above) if above is not None else builder, issuer_key)

    def _with_crl(self, builder: x509.CertificateBuilder, issuer: Layer) -> x509.CertificateBuilder:
        if not self._crl_bases:
            return builder
        urls = [x509.UniformResourceIdentifier(url) for url in self.crl_urls(issuer)]
        point = x509.DistributionPoint(urls, relative_name=None, reasons=None, crl_issuer=None)
        return builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)

    def _sign(self, builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey) -> x509.Certificate:
        return builder.sign(key, hashes.SHA256(), rsa_padding=self._padding())

    def _padding(self) -> padding.PSS | None:
        return padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size) if self._pss else None


def _new_key(size: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(_PUBLIC_EXPONENT, size)


def _subject(name: str, oin: str | None = None) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "NL"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    if oin is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, oin))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, key: rsa.RSAPublicKey, issuer: x509.Name, issuer_key: rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, holder: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=holder,
        key_encipherment=holder,
        key_cert_sign=not holder,
        crl_sign=not holder,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
