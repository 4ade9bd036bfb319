# SPDX-License-Identifier: EUPL-1.2

"""Key pairs: a private key with its certificate and chain, from PEM or PKCS #12 files, checked to belong together."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from adapter.pki.oin import oin_of

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

# Far above any real file, so that a path to something else (a disk image, a device) cannot fill the memory.
_MAX_FILE = 1024 * 1024


class KeyProblem(Exception):
    """A certificate or key file cannot be used; the message names the file and the fix."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key, its certificate, and the intermediate certificates to send along (holder's issuer
    first).

    The paths are where it was read from, to name in a message.
    """

    private_key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    certificate_path: Path
    key_path: Path

    @property
    def pem(self) -> bytes:
        """Key, certificate and chain as one PEM file: a secret."""
        key = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + b"".join(one.public_bytes(Encoding.PEM) for one in (self.certificate, *self.chain))

    @property
    def oin(self) -> str | None:
        """The OIN in the certificate, if there is one."""
        return oin_of(self.certificate)


def load_key_pair(
    certificate: Path, key: Path, *, password_file: Path | None = None, strict_permissions: bool = False
) -> KeyPair:
    """Read a certificate (with its intermediates after it) and the private key that belongs to it.

    Args:
        certificate: PEM file, the holder's certificate first; or a file of PKCS #12, in any order.
        key: PEM file with an RSA or EC private key; or a file of PKCS #12; may be the same file.
        password_file: what the key is encrypted with stands here, and nothing else.
        strict_permissions: refuse a key or password file that others than its owner may read or write.

    Raises:
        KeyProblem: a file cannot be read or parsed, or the two do not belong together.

    """
    secret = _Secret(key, password_file, strict=strict_permissions)
    first, *chain = _certificates(certificate, secret)
    private_key = secret.private_key()
    if private_key.public_key() != first.public_key():
        later = any(private_key.public_key() == other.public_key() for other in chain)
        fix = (
            "its certificate stands later in the file; put it first"
            if later
            else "use the key the certificate was requested with"
        )
        raise KeyProblem(f"{key}: this key does not belong to the first certificate of {certificate}; {fix}")
    _prove(private_key, key)
    return KeyPair(private_key, first, tuple(chain), certificate, key)


def exposure(path: Path) -> str | None:
    """Who may use a secret file besides whom it is for, with the fix; None where nobody may.

    A file of root's that the adapter's user reads by its group, and can only read, is in order: so systems of
    containers mount secrets. So is a credential of systemd: root's too, with an access control list for this user, of
    which the mode shows the mask as rights of the group.

    Raises:
        KeyProblem: there is no such file.

    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    allowed = stat.S_IRWXU
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    handed = bool(credentials) and path.is_relative_to(credentials or "")
    if found.st_uid == 0 != os.geteuid() and (handed or found.st_gid in {os.getegid(), *os.getgroups()}):
        allowed |= stat.S_IRGRP
    if not stat.S_IMODE(found.st_mode) & 0o777 & ~allowed:
        return None
    return (
        f"{path}: others than its owner may use this file (mode {stat.S_IMODE(found.st_mode):04o}); "
        f"chmod 600 {path}"
    )


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Read all certificates of a PEM file, in their order; at least one.

    Raises:
        KeyProblem: the file cannot be read, or holds no certificate in PEM.

    """
    data = _read(path)
    if _is_bundle(data):
        raise KeyProblem(f"{path}: this is no PEM; where it is PKCS #12, it is the `key` too: leave that out")
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        if not data.strip():
            fault = "the file is empty; give a PEM file with BEGIN CERTIFICATE lines"
        elif b"-----BEGIN CERTIFICATE" in data:
            fault = f"no certificate could be read, though one begins ({_reason(error)}); copy the file again, whole"
        elif b"PRIVATE KEY-----" in data:
            fault = "this is a private key, not a certificate; are certificate and key exchanged?"
        else:
            fault = "no certificate could be read; give a PEM file with BEGIN CERTIFICATE lines"
        raise KeyProblem(f"{path}: {fault}") from error


def _reason(error: Exception) -> str:
    """What the library says, without where its manual is."""
    said = str(error)
    return said.partition(" See https:")[0].rstrip(".") if "https:" in said else said


class _Secret:
    """The file of a private key, read and decrypted once."""

    def __init__(self, path: Path, password_file: Path | None, *, strict: bool) -> None:
        self.path = path
        self._password_file = password_file
        for file in filter(None, (path, password_file)):
            problem = exposure(file)
            if strict and problem is not None:
                raise KeyProblem(problem)
        self._data = _read(path)

    @property
    def is_bundle(self) -> bool:
        """Whether it is a file of PKCS #12."""
        return _is_bundle(self._data)

    def private_key(self) -> PrivateKey:
        """The key. Raises KeyProblem."""
        if self.is_bundle:
            key: object = self.bundle.key
            if key is None:
                raise KeyProblem(
                    f"{self.path}: there is no private key in it; export it together with its key"
                )
        else:
            key = self._pem_key()
        if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
            raise KeyProblem(f"{self.path}: this kind of private key is not supported; use an RSA or EC key")
        return key

    @cached_property
    def bundle(self) -> pkcs12.PKCS12KeyAndCertificates:
        """What is in the file of PKCS #12. Raises KeyProblem."""
        try:
            return pkcs12.load_pkcs12(self._data, self._password())
        except (ValueError, UnsupportedAlgorithm) as error:
            if self._password_file is None:
                fix = "name a file with its password as key_password_file"
            else:
                fix = f"see whether {self._password_file} has its password, and it was copied whole"
            raise KeyProblem(f"{self.path}: the PKCS #12 file cannot be opened ({error}); {fix}") from error

    def _pem_key(self) -> object:
        encrypted = b"ENCRYPTED" in self._data
        try:
            # validating an RSA key takes thirty times as long as proving that it signs, which is done with it
            return load_pem_private_key(
                self._data,
                password=self._password() if encrypted else None,
                unsafe_skip_rsa_key_validation=True,
            )
        except TypeError as error:  # how cryptography says that a passphrase is needed
            raise KeyProblem(
                f"{self.path}: the private key is encrypted; name a file with its password as key_password_file"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            if encrypted:
                raise KeyProblem(
                    f"{self.path}: the private key cannot be decrypted; see whether {self._password_file} has its "
                    "password"
                ) from error
            if b"-----BEGIN CERTIFICATE" in self._data and b"PRIVATE KEY-----" not in self._data:
                fix = "this is a certificate, not a private key; are certificate and key exchanged?"
                raise KeyProblem(f"{self.path}: {fix}") from error
            raise KeyProblem(
                f"{self.path}: no private key could be read ({_reason(error)}); "
                "give a PEM file with a BEGIN PRIVATE KEY line"
            ) from error

    def _password(self) -> bytes | None:
        if self._password_file is None:
            return None
        try:
            password = _read(self._password_file).decode("utf-8").strip()
        except UnicodeDecodeError:  # without the cause, which would repeat what stands there
            password = ""
        if not password or not password.isprintable():
            raise KeyProblem(
                f"{self._password_file}: this is not one line of text; write the password into it, and nothing else"
            )
        return password.encode("utf-8")


def _is_bundle(data: bytes) -> bool:
    return data.startswith(b"\x30") and b"-----BEGIN" not in data


def _certificates(path: Path, secret: _Secret) -> tuple[x509.Certificate, ...]:
    """The certificates of a pair, the holder's first."""
    if path != secret.path or not secret.is_bundle:
        return load_certificates(path)
    bundle = secret.bundle
    if bundle.cert is None:
        raise KeyProblem(
            f"{path}: no certificate in it belongs to its key; export the key with its certificate"
        )
    others = [one.certificate for one in bundle.additional_certs]
    return tuple(_chain(bundle.cert.certificate, others))


def _chain(first: x509.Certificate, others: Iterable[x509.Certificate]) -> Iterable[x509.Certificate]:
    """A certificate and those above it but for the root: a file of PKCS #12 has them in no order."""
    by_subject = {one.subject: one for one in others if one.subject != one.issuer}
    link: x509.Certificate | None = first
    while link is not None:
        yield link
        link = by_subject.pop(link.issuer, None)


def _prove(key: PrivateKey, path: Path) -> None:
    """Sign something, and verify it: a key whose parts do not fit each other would sign what nobody accepts."""
    if not isinstance(key, RSAPrivateKey):
        return
    try:
        key.public_key().verify(key.sign(b"proof", PKCS1v15(), SHA256()), b"proof", PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as error:
        raise KeyProblem(f"{path}: the private key is damaged; restore it from a backup") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > _MAX_FILE:
        raise KeyProblem(f"{path}: larger than {_MAX_FILE} bytes; this is not a certificate or key file")
    return data


def _unreadable(path: Path, error: OSError) -> KeyProblem:
    reason = error.strerror or str(error)
    return KeyProblem(
        f"{path}: cannot be read ({reason}); check the path and the rights of the adapter's user"
    )
