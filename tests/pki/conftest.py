# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from adapter.pki import ThrowawayPki


@pytest.fixture(scope="session")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture(scope="session")
def keys() -> tuple[rsa.RSAPrivateKey, ...]:
    return tuple(rsa.generate_private_key(65537, 2048) for _ in range(5))


CertificateMaker = Callable[..., x509.Certificate]


@pytest.fixture(scope="session")
def make(pki: ThrowawayPki) -> CertificateMaker:
    """Make a certificate with exactly the given properties, however wrong."""

    def make_certificate(
        name: str,
        key: rsa.RSAPrivateKey,
        issuer: str,
        issuer_key: rsa.RSAPrivateKey,
        *,
        ca: bool | None = True,
        path_length: int | None = None,
        sign_certificates: bool | None = True,
        start: datetime = pki.now - timedelta(days=1),
        end: datetime = pki.now + timedelta(days=1),
        extra: x509.ExtensionType | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        if sign_certificates is not None:
            usage = x509.KeyUsage(True, False, False, False, False, sign_certificates, False, False, False)
            builder = builder.add_extension(usage, critical=True)
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        return builder.sign(issuer_key, hashes.SHA256())

    return make_certificate
