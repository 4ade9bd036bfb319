# SPDX-License-Identifier: EUPL-1.2

"""Attacks by certificates that others wrote, by name: they are refused as what cannot be read, by every reader."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from adapter.ebms import key_info_certificates
from cpa import Certificate, CpaError
from tests.cpa.conftest import certificate
from tests.ebms.conftest import Template

DER = certificate().public_bytes(Encoding.DER)

# what is replaced, of the certificate as it should be, and by what of the same length
ATTACKS = {
    "a version that is none": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x40"),
    "a name with a BIT STRING": (
        b"\x06\x03U\x04\x03\x0c\x0dThrow-away CA",
        b"\x06\x03U\x04\x03\x03\x0d\0hrow-away CA",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_certificate_of_an_attack_is_not_read(attack: str) -> None:
    """Found by fuzzing revocation lists: the library says so by errors that are no ValueError."""
    old, new = ATTACKS[attack]
    assert old in DER
    der = DER.replace(old, new)
    with pytest.raises(CpaError, match="not a readable"):
        _ = Certificate("c", der).x509
    text = base64.b64encode(der).decode()
    key_info = (
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )
    assert key_info_certificates(etree.fromstring(Template(key_info=key_info).octets())) == ()
