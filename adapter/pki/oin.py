# SPDX-License-Identifier: EUPL-1.2

"""The OIN (organisatie-identificatienummer): its form, and where certificates and PartyIds carry it."""

import re
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

_OIN = re.compile(r"[0-9]{8}(?:[0-9A-Z]{8}0{4}|[0-9A-Z]{9}0{3})")
_TWENTY_POSITIONS = re.compile(r"[0-9A-Z]{20}")
_SUFFIX = re.compile(r"_[OTA]{1,3}\Z")


def is_oin(text: str) -> bool:
    """Tell whether a text has the form of an OIN: prefix, main number and zeros, 20 positions (OIN 6.1).

    There is no check digit, and the prefix and register are not judged.
    """
    return _OIN.fullmatch(text) is not None


@lru_cache(maxsize=1024)  # asked for the same few certificates with every request
def oin_of(certificate: x509.Certificate) -> str | None:
    """Return the OIN of the holder of a certificate, or None where it names none (BV PKI001).

    It stands in the subject's serialNumber (2.5.4.5), which is not the serial number of the certificate. A
    value of other than 20 positions is not an OIN (personal certificates have such values, GAC ch07), and
    neither are two values.
    """
    try:
        values = [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    except ValueError:  # a subject that is not well-formed names nobody
        return None
    if len(values) != 1 or not isinstance(values[0], str):
        return None
    return values[0] if _TWENTY_POSITIONS.fullmatch(values[0]) else None


def strip_suffix(party_id: str) -> str:
    """Return a PartyId without its suffix of non-production (``_O``, ``_T``, ``_A``, ``_OTA``; KV ch05)."""
    return _SUFFIX.sub("", party_id)
