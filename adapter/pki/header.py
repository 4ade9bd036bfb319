# SPDX-License-Identifier: EUPL-1.2

"""Certificates in an HTTP header, as proxies that end TLS write them there.

Nothing here says that a certificate holds, or that the header may be believed.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from cryptography import x509

MAX_CHAIN: Final = 16
"""Certificates in one header; a chain of PKIoverheid has four."""

_RFC_ITEM = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
_PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----[ \t]*\r?\n([A-Za-z0-9+/=\r\n\t ]+)-----END CERTIFICATE-----\s*"
)
_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80
_LENGTH_OCTETS: Final = 4


class CertificateForm(StrEnum):
    """How a proxy writes a certificate, or several, in a header.

    - ``rfc9440``: ``:base64 of DER:``, several with a comma between them (RFC 9440; RFC 8941 byte sequences).
    - ``nginx``: URL-encoded PEM, as ``$ssl_client_escaped_cert``.
    - ``haproxy``: base64 of DER, as ``ssl_c_der,base64``; several are one after another in what is encoded.
    - ``traefik``: base64 of DER, with or without URL-encoding, the chain with commas between (``passTLSClientCert``).
    """

    RFC9440 = "rfc9440"
    NGINX = "nginx"
    HAPROXY = "haproxy"
    TRAEFIK = "traefik"

    @property
    def has_chain(self) -> bool:
        """Whether the authorities of a certificate stand in the same header, after it."""
        return self is CertificateForm.TRAEFIK


def certificates_in(value: str, form: CertificateForm) -> tuple[x509.Certificate, ...]:
    """Return the certificates in the value of a header, in their order; at least one.

    Raises:
        ValueError: it is not in this form, or one is no certificate; the text says what, without the value.

    """
    ders = _READERS[form](value)
    if not ders:
        raise ValueError("there is no certificate in it")
    if len(ders) > MAX_CHAIN:
        raise ValueError(f"there are more than {MAX_CHAIN} certificates in it")
    try:
        return tuple(x509.load_der_x509_certificate(der) for der in ders)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError("what is in it is not a certificate") from error


def _rfc9440(value: str) -> list[bytes]:
    items = [_RFC_ITEM.fullmatch(item.strip(" \t")) for item in value.split(",")]
    return [_decoded(_found(item)[1]) for item in items]


def _nginx(value: str) -> list[bytes]:
    text, ders, at = unquote(value), [], 0
    while at < len(text):
        block = _found(_PEM.match(text, at))
        ders.append(_decoded(re.sub(r"\s", "", block[1])))
        at = block.end()
    return ders


def _haproxy(value: str) -> list[bytes]:
    octets, ders = _decoded(value), []
    while octets:
        length = _der_length(octets)
        ders.append(octets[:length])
        octets = octets[length:]
    return ders


def _traefik(value: str) -> list[bytes]:
    return [_decoded(item) for item in unquote(value).split(",")]


_READERS: Final[Mapping[CertificateForm, Callable[[str], list[bytes]]]] = {
    CertificateForm.RFC9440: _rfc9440,
    CertificateForm.NGINX: _nginx,
    CertificateForm.HAPROXY: _haproxy,
    CertificateForm.TRAEFIK: _traefik,
}


def _found(match: re.Match[str] | None) -> re.Match[str]:
    if match is None:
        raise ValueError("it is not in this form")
    return match


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:  # of binascii and of the codec
        raise ValueError("it is not in base64") from error


def _der_length(octets: bytes) -> int:
    """The octets of the value that stands first, with its tag and length (X.690 8.1)."""
    if len(octets) < 2 or octets[0] != _SEQUENCE:
        raise ValueError("what is in it is not a certificate")
    if octets[1] < _LONG_FORM:
        return 2 + octets[1]
    size = octets[1] - _LONG_FORM
    if not 1 <= size <= _LENGTH_OCTETS:
        raise ValueError("what is in it is not a certificate")
    return 2 + size + int.from_bytes(octets[2 : 2 + size], "big")
