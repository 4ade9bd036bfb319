from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from adapter.pki import KeyProblem, ThrowawayPki, load_certificates, load_key_pair

OIN = "00000001001100415000"


def test_a_key_pair_has_certificate_chain_and_oin(pki: ThrowawayPki, tmp_path: Path) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    pair = load_key_pair(certificate, key, strict_permissions=True)
    assert pair.certificate == issued.certificate
    assert pair.chain == (pki.intermediate, pki.domain)
    assert pair.oin == OIN
    assert (pair.certificate_path, pair.key_path) == (certificate, key)


def test_the_private_key_is_not_in_the_text_of_a_key_pair(pki: ThrowawayPki, tmp_path: Path) -> None:
    assert "RSAPrivateKey" not in repr(pki.issue("Stad", OIN).key_pair(tmp_path, "stad"))


def test_a_key_of_another_certificate_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    certificate, _ = pki.issue("Stad", OIN).write(tmp_path, "stad")
    _, other = pki.issue("Dorp", OIN).write(tmp_path, "dorp")
    with pytest.raises(KeyProblem, match=r"dorp\.key: this key does not belong to .*stad\.pem"):
        load_key_pair(certificate, other)


def test_a_certificate_after_its_chain_is_a_problem_that_names_the_fix(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    certificate.write_bytes(
        b"".join(c.public_bytes(Encoding.PEM) for c in (*issued.chain, issued.certificate))
    )
    with pytest.raises(KeyProblem, match="put it first"):
        load_key_pair(certificate, key)


def test_an_encrypted_key_is_a_problem_that_says_so(pki: ThrowawayPki, tmp_path: Path) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    key.write_bytes(
        issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
    )
    with pytest.raises(KeyProblem, match=r"stad\.key: the private key is encrypted"):
        load_key_pair(certificate, key)


def test_a_key_for_signatures_only_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    certificate, key = pki.issue("Stad", OIN).write(tmp_path, "stad")
    edwards = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyProblem, match="use an RSA or EC key"):
        load_key_pair(certificate, key)


def test_a_key_that_others_may_read_is_a_problem_only_where_strict(pki: ThrowawayPki, tmp_path: Path) -> None:
    certificate, key = pki.issue("Stad", OIN).write(tmp_path, "stad")
    key.chmod(0o640)
    load_key_pair(certificate, key)
    with pytest.raises(KeyProblem, match=r"mode 0640.*chmod 600"):
        load_key_pair(certificate, key, strict_permissions=True)


@pytest.mark.parametrize("strict", [True, False])
def test_a_missing_key_file_is_a_problem(pki: ThrowawayPki, tmp_path: Path, strict: bool) -> None:
    certificate, _ = pki.issue("Stad", OIN).write(tmp_path, "stad")
    with pytest.raises(KeyProblem, match=r"gone\.key: cannot be read \(No such file"):
        load_key_pair(certificate, tmp_path / "gone.key", strict_permissions=strict)


def test_a_certificate_file_without_certificate_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "leeg.pem"
    path.write_text("nothing here")
    with pytest.raises(KeyProblem, match=r"leeg\.pem: no certificate could be read"):
        load_certificates(path)


def test_a_key_file_without_key_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    certificate, _ = pki.issue("Stad", OIN).write(tmp_path, "stad")
    with pytest.raises(KeyProblem, match="no private key could be read"):
        load_key_pair(certificate, certificate)


def test_an_endless_file_is_a_problem() -> None:
    with pytest.raises(KeyProblem, match="not a certificate or key file"):
        load_certificates(Path("/dev/zero"))


def test_a_written_key_is_for_its_owner_only_also_over_an_older_file(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    (tmp_path / "stad.key").touch(0o644)
    _, key = pki.issue("Stad", OIN).write(tmp_path, "stad")
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_key_that_does_not_sign_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    assert isinstance(issued.key, rsa.RSAPrivateKey)
    whole = issued.key.private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        whole.p, whole.q, whole.d + 2, whole.dmp1 + 2, whole.dmq1, whole.iqmp, whole.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    key.write_bytes(damaged.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyProblem, match=r"stad\.key: the private key is damaged"):
        load_key_pair(certificate, key)
