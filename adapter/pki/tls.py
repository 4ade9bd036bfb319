# SPDX-License-Identifier: EUPL-1.2

"""TLS contexts for mutual authentication: TLS 1.2 and 1.3, ciphers NCSC calls good or sufficient."""

import os
import ssl
from functools import lru_cache

from cryptography import x509

from adapter.pki.keys import KeyPair, KeyProblem
from adapter.pki.trust import TrustStore

# For TLS 1.2; the suites of TLS 1.3 that OpenSSL enables by itself are all good (BV TLSCIPH001).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(key_pair: KeyPair, trust: TrustStore | None, *, required: bool = True) -> ssl.SSLContext:
    """Return the context of a listener.

    Args:
        key_pair: certificate, chain and key of the listener.
        trust: roots a client certificate must chain to; the handshake fails without one (BV TLS001). None
            asks for no client certificate, for a listener whose users prove themselves in another way.
        required: False lets a client without a certificate through the handshake, one that is not trusted still
            not; what is behind must then look whether there is one.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    # A resumed session would skip looking at the certificate, and connections here are few and long.
    context.num_tickets = 0
    _load(context, key_pair)
    if trust is not None:
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        _trust(context, trust)
    return context


def client_context(key_pair: KeyPair | None, trust: TrustStore | None) -> ssl.SSLContext:
    """Return the context of outgoing connections, which checks chain and host name of the server (BV
    PKI001..003).

    Args:
        key_pair: what to identify ourselves with, if the server asks for it.
        trust: roots the certificate of the server must chain to; None for those of this machine.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.hostname_checks_common_name = False
    if key_pair is not None:
        _load(context, key_pair)
    if trust is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, trust)
    return context


def peer_certificate(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> x509.Certificate | None:
    """Return the certificate of the other side of a connection; None without TLS or where it sent none."""
    der = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    return _parsed(der) if der else None


def peer_chain(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> tuple[x509.Certificate, ...]:
    """Return the chain that the handshake verified, from the other side's certificate to a root; empty without one.

    Python has `get_verified_chain` for everybody from 3.13 on; before, the same method is on the object within.
    """
    if ssl_object is None:
        return ()
    public = getattr(ssl_object, "get_verified_chain", None)
    if public is not None:
        return tuple(_parsed(der) for der in public())
    found = ssl_object._sslobj.get_verified_chain() or ()  # type: ignore[union-attr]
    return tuple(_parsed(one.public_bytes(_ENCODING_DER)) for one in found)


_ENCODING_DER = 2
"""`_ssl.ENCODING_DER`."""


@lru_cache(maxsize=1024)  # a partner shows the same one with every request
def _parsed(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET


def _load(context: ssl.SSLContext, key_pair: KeyPair) -> None:
    # The pair as it was read and checked, whatever became of its files since: they may be half replaced by now.
    # Contexts read from files only; this one is in memory, and of this process alone.
    file = os.memfd_create("key-pair")
    try:
        os.write(file, key_pair.pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    except ssl.SSLError as error:
        raise KeyProblem(
            f"{key_pair.certificate_path}: TLS does not take this certificate or its key ({error.reason}); "
            "use RSA of 2048 bits or more, or EC"
        ) from error
    finally:
        os.close(file)


def _trust(context: ssl.SSLContext, trust: TrustStore) -> None:
    if trust.pem:
        context.load_verify_locations(cadata=trust.pem)
