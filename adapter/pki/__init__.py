# SPDX-License-Identifier: EUPL-1.2

"""Keys, OINs, trust and TLS: who a peer is, and how we prove who we are."""

from adapter.pki.crl import Crl, CrlProblem, crl_urls, issuer_id, read_crl
from adapter.pki.crls import Crls
from adapter.pki.header import CertificateForm, certificates_in
from adapter.pki.keys import KeyPair, KeyProblem, PrivateKey, exposure, load_certificates, load_key_pair
from adapter.pki.oin import is_oin, oin_of, strip_suffix
from adapter.pki.revocation import (
    Chain,
    Finding,
    Flaw,
    Place,
    Revocation,
    RevocationMode,
    RevocationRefused,
    links,
)
from adapter.pki.server_certificates import ServerCertificates
from adapter.pki.throwaway import IssuedCertificate, Layer, ThrowawayPki
from adapter.pki.tls import client_context, peer_certificate, peer_chain, server_context
from adapter.pki.trust import NotTrusted, TrustStore

__all__ = [
    "CertificateForm",
    "Chain",
    "Crl",
    "CrlProblem",
    "Crls",
    "Finding",
    "Flaw",
    "IssuedCertificate",
    "KeyPair",
    "KeyProblem",
    "Layer",
    "NotTrusted",
    "Place",
    "PrivateKey",
    "Revocation",
    "RevocationMode",
    "RevocationRefused",
    "ServerCertificates",
    "ThrowawayPki",
    "TrustStore",
    "certificates_in",
    "client_context",
    "crl_urls",
    "exposure",
    "is_oin",
    "issuer_id",
    "links",
    "load_certificates",
    "load_key_pair",
    "oin_of",
    "peer_certificate",
    "peer_chain",
    "read_crl",
    "server_context",
    "strip_suffix",
]
