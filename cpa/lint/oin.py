# SPDX-License-Identifier: EUPL-1.2

"""The OIN as the checks need it: its shape, its suffix in test, and its place in a certificate."""

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

_OIN = re.compile(r"\d{8}[0-9A-Z]{8,9}0{3,4}", re.ASCII)
_LENGTH = 20
_SUFFIX = re.compile(r"_[OTA]{1,3}$", re.ASCII)


def is_oin(text: str) -> bool:
    """Whether this has the shape of an OIN: 20 positions, without a check digit (OIN-01, OIN-05)."""
    return len(text) == _LENGTH and _OIN.fullmatch(text) is not None


def has_suffix(party_id: str) -> bool:
    """Whether a PartyId ends in the suffix of an environment other than production (OIN-07)."""
    return _SUFFIX.search(party_id) is not None


def strip_suffix(party_id: str) -> str:
    """A PartyId without the suffix of an environment other than production."""
    return _SUFFIX.sub("", party_id)


def serial_number_of(certificate: x509.Certificate) -> str | None:
    """The subject's serialNumber (2.5.4.5), where a certificate has its OIN (CRT-01)."""
    values = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return str(values[0].value) if values else None
