# SPDX-License-Identifier: EUPL-1.2

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from adapter.pki import (
    IssuedCertificate,
    KeyProblem,
    ThrowawayPki,
    exposure,
    load_certificates,
    load_key_pair,
)

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


def test_an_encrypted_key_opens_with_the_password_of_its_file(pki: ThrowawayPki, tmp_path: Path) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    key.write_bytes(
        issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
    )
    pair = load_key_pair(certificate, key, password_file=_password(tmp_path, "geheim\n"))
    assert pair.certificate == issued.certificate
    assert pair.private_key.private_numbers() == issued.key.private_numbers()


def test_a_key_with_another_password_is_a_problem_that_does_not_repeat_it(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    issued = pki.issue("Stad", OIN)
    certificate, key = issued.write(tmp_path, "stad")
    key.write_bytes(
        issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
    )
    with pytest.raises(KeyProblem, match=r"cannot be decrypted; see whether .*wachtwoord") as caught:
        load_key_pair(certificate, key, password_file=_password(tmp_path, "verkeerd"))
    assert "verkeerd" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "een\ntwee", "\x00"])
def test_a_password_file_that_is_not_one_line_is_a_problem(
    pki: ThrowawayPki, tmp_path: Path, text: str
) -> None:
    issued = pki.issue("Stad", OIN)
    bundle = _bundle(issued, tmp_path, b"geheim")
    with pytest.raises(KeyProblem, match="not one line of text"):
        load_key_pair(bundle, bundle, password_file=_password(tmp_path, text))


@pytest.mark.parametrize("password", [b"geheim", None])
def test_a_pkcs_12_file_is_certificate_chain_and_key(
    pki: ThrowawayPki, tmp_path: Path, password: bytes | None
) -> None:
    issued = pki.issue("Stad", OIN)
    bundle = _bundle(issued, tmp_path, password)
    secret = _password(tmp_path, password.decode()) if password else None
    pair = load_key_pair(bundle, bundle, password_file=secret, strict_permissions=True)
    assert pair.certificate == issued.certificate
    assert pair.chain == (pki.intermediate, pki.domain)  # whatever order they stand in, and without the root
    assert pair.private_key.private_numbers() == issued.key.private_numbers()


def test_a_pkcs_12_file_without_its_password_is_a_problem_that_names_the_option(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    bundle = _bundle(pki.issue("Stad", OIN), tmp_path, b"geheim")
    with pytest.raises(KeyProblem, match=r"cannot be opened .*key_password_file"):
        load_key_pair(bundle, bundle)


def test_a_pkcs_12_file_for_the_certificate_alone_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    issued = pki.issue("Stad", OIN)
    _, key = issued.write(tmp_path, "stad")
    with pytest.raises(KeyProblem, match="leave that out"):
        load_key_pair(_bundle(issued, tmp_path, None), key)


def test_a_pkcs_12_file_without_key_is_a_problem(pki: ThrowawayPki, tmp_path: Path) -> None:
    bundle = tmp_path / "leeg.p12"
    bundle.write_bytes(
        serialize_key_and_certificates(None, None, None, [pki.issue("Stad", OIN).certificate], NoEncryption())
    )
    bundle.chmod(0o600)
    with pytest.raises(KeyProblem, match="no certificate in it belongs"):
        load_key_pair(bundle, bundle)


def test_an_elliptic_key_is_as_good_as_an_rsa_key(pki: ThrowawayPki, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(pki.root.subject, pki.root.subject, key.public_key(), 7)
        .not_valid_before(pki.now)
        .not_valid_after(pki.now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "ec.pem"
    both.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    assert load_key_pair(both, both).private_key.private_numbers() == key.private_numbers()


def _bundle(issued: IssuedCertificate, directory: Path, password: bytes | None) -> Path:
    path = directory / "stad.p12"
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(
        serialize_key_and_certificates(
            b"stad", issued.key, issued.certificate, tuple(reversed(issued.chain)), encryption
        )
    )
    path.chmod(0o600)
    return path


def _password(directory: Path, text: str) -> Path:
    path = directory / "wachtwoord"
    path.write_text(text)
    path.chmod(0o600)
    return path


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


def test_a_password_file_that_others_may_read_is_a_problem_too(pki: ThrowawayPki, tmp_path: Path) -> None:
    bundle, secret = _bundle(pki.issue("Stad", OIN), tmp_path, b"geheim"), _password(tmp_path, "geheim")
    secret.chmod(0o604)
    with pytest.raises(KeyProblem, match=r"wachtwoord: .*mode 0604.*chmod 600"):
        load_key_pair(bundle, bundle, password_file=secret, strict_permissions=True)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "fine"),
    [
        (0o440, 0, 20, True),  # a secret as a system of containers mounts it
        (0o640, 0, 20, True),
        (0o460, 0, 20, False),
        (0o444, 0, 20, False),
        (0o440, 0, 30, False),
        (0o440, 10, 20, False),
        (0o400, 10, 30, True),
    ],
)
def test_the_group_may_read_only_what_root_gave_to_our_own_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, owner: int, group: int, fine: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 10)
    monkeypatch.setattr(os, "getegid", lambda: 11)
    monkeypatch.setattr(os, "getgroups", lambda: [11, 20])
    found = os.stat_result((0o100000 | mode, 1, 1, 1, owner, group, 1, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _: found)
    assert (exposure(tmp_path / "tls.key") is None) is fine


@pytest.mark.parametrize(("place", "fine"), [("credentials", True), ("elsewhere", False)])
def test_the_mask_of_an_access_control_list_of_a_credential_is_not_the_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, fine: bool
) -> None:
    """systemd leaves credentials to root, and lets the user of the service in by an ACL: mode 0440, root:root."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setattr(os, "geteuid", lambda: 10)
    monkeypatch.setattr(os, "getegid", lambda: 11)
    monkeypatch.setattr(os, "getgroups", lambda: [11])
    found = os.stat_result((0o100440, 1, 1, 1, 0, 0, 1, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _: found)
    assert (exposure(tmp_path / place / "tls.key") is None) is fine


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
    with pytest.raises(KeyProblem, match="this is a certificate, not a private key"):
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
