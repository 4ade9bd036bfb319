"""Keys, OINs, trust and TLS: who a peer is, and how we prove who we are."""

from adapter.pki.keys import KeyPair, KeyProblem, PrivateKey, load_certificates, load_key_pair
from adapter.pki.oin import is_oin, oin_of, strip_suffix
from adapter.pki.throwaway import IssuedCertificate, ThrowawayPki
from adapter.pki.tls import client_context, peer_certificate, server_context
from adapter.pki.trust import NotTrusted, TrustStore

__all__ = [
    "IssuedCertificate",
    "KeyPair",
    "KeyProblem",
    "NotTrusted",
    "PrivateKey",
    "ThrowawayPki",
    "TrustStore",
    "client_context",
    "is_oin",
    "load_certificates",
    "load_key_pair",
    "oin_of",
    "peer_certificate",
    "server_context",
    "strip_suffix",
]
