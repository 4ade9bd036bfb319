# SPDX-License-Identifier: EUPL-1.2

"""What is said of a certificate: who it is of, its OIN, and until when it is valid."""

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from adapter.pki import oin_of
from cpa import Certificate, CpaError


def describe_certificate(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    """A certificate as one level of names and values; `sha256` is over its DER encoding."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        "holder": holder_name(certificate),
        "oin": oin_of(certificate),
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "notBefore": start,
        "notAfter": end,
        "validNow": start <= now <= end,
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


def holder_name(certificate: x509.Certificate) -> str:
    """The common name of the holder, else the whole subject."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def describe_agreed(certificate: Certificate, now: datetime) -> dict[str, Any]:
    """A certificate of a CPA by its id; one that cannot be read says why not."""
    try:
        return {"id": certificate.id, **describe_certificate(certificate.x509, now)}
    except CpaError as problem:
        return {"id": certificate.id, "problem": str(problem)}
