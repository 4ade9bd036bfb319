# SPDX-License-Identifier: EUPL-1.2

"""What proxies write in a header of the certificate that a peer showed them."""

from base64 import b64encode
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

TLS = '[ebms.tls]\ncertificate = "tls/rms.pem"\nkey = "tls/rms.key"\n'
"""What a configuration of the world has no more, where TLS ends at a proxy."""


def der64(certificate: x509.Certificate) -> str:
    return b64encode(certificate.public_bytes(Encoding.DER)).decode()


def pem(*certificates: x509.Certificate) -> str:
    return quote(b"".join(one.public_bytes(Encoding.PEM) for one in certificates).decode(), safe="")


def rfc9440(*certificates: x509.Certificate) -> str:
    return ", ".join(f":{der64(one)}:" for one in certificates)


def haproxy(*certificates: x509.Certificate) -> str:
    return b64encode(b"".join(one.public_bytes(Encoding.DER) for one in certificates)).decode()
