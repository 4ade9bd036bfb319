# SPDX-License-Identifier: EUPL-1.2

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from adapter.pki import ThrowawayPki, is_oin, oin_of, strip_suffix

OIN = "00000001001100415000"


@pytest.mark.parametrize(
    "text", [OIN, "00000003123456780000", "0000000712AB34560000", "00000099000000000000"]
)
def test_an_oin_is_prefix_main_number_and_zeros(text: str) -> None:
    assert is_oin(text)


@pytest.mark.parametrize(
    "text", ["", OIN[:-1], OIN + "0", OIN[:-1] + "1", OIN + "\n", "0000000a001100415000", " " + OIN]
)
def test_other_text_is_not_an_oin(text: str) -> None:
    assert not is_oin(text)


def test_the_oin_is_the_serial_number_of_the_subject(pki: ThrowawayPki) -> None:
    assert oin_of(pki.issue("Stad", OIN).certificate) == OIN


@pytest.mark.parametrize("value", [None, "123", "9" * 21, "0000000100110041500a"])
def test_a_subject_without_twenty_positions_has_no_oin(pki: ThrowawayPki, value: str | None) -> None:
    assert oin_of(pki.issue("Persoon", value).certificate) is None


def test_a_subject_with_two_serial_numbers_has_no_oin(
    pki: ThrowawayPki, keys: tuple[rsa.RSAPrivateKey, ...]
) -> None:
    other = "00000003123456780000"
    names = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, value) for value in (OIN, other)])
    certificate = (
        x509.CertificateBuilder(names, names, keys[0].public_key(), 1)
        .not_valid_before(pki.now)
        .not_valid_after(pki.now)
        .sign(keys[0], hashes.SHA256())
    )
    assert oin_of(certificate) is None


@pytest.mark.parametrize("suffix", ["", "_O", "_T", "_A", "_OTA", "_OT"])
def test_the_suffix_of_non_production_is_stripped(suffix: str) -> None:
    assert strip_suffix(f"urn:osb:oin:{OIN}{suffix}") == f"urn:osb:oin:{OIN}"


@pytest.mark.parametrize("party", [f"{OIN}_P", f"{OIN}_T\n", f"_T{OIN}"])
def test_anything_else_is_no_suffix(party: str) -> None:
    assert strip_suffix(party) == party
