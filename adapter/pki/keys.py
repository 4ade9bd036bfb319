"""Key pairs: a private key with its certificate and chain, from PEM files, checked to belong together."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
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


def load_key_pair(certificate: Path, key: Path, *, strict_permissions: bool = False) -> KeyPair:
    """Read a certificate (with its intermediates after it) and the private key that belongs to it.

    Args:
        certificate: PEM file, the holder's certificate first.
        key: PEM file with an RSA or EC private key without passphrase; may be the same file.
        strict_permissions: refuse a key file that others than its owner may read or write.

    Raises:
        KeyProblem: a file cannot be read or parsed, or the two do not belong together.

    """
    first, *chain = load_certificates(certificate)
    problem = exposure(key)
    if strict_permissions and problem is not None:
        raise KeyProblem(problem)
    private_key = _load_private_key(key)
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
    containers mount secrets.

    Raises:
        KeyProblem: there is no such file.

    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    allowed = stat.S_IRWXU
    if found.st_uid == 0 != os.geteuid() and found.st_gid in {os.getegid(), *os.getgroups()}:
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
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise KeyProblem(
            f"{path}: no certificate could be read ({error}); give a PEM file with BEGIN CERTIFICATE lines"
        ) from error


def _load_private_key(path: Path) -> PrivateKey:
    data = _read(path)
    try:
        # validating an RSA key takes thirty times as long as proving that it signs, which is done with it
        key = load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:  # how cryptography says that a passphrase is needed
        raise KeyProblem(
            f"{path}: the private key is encrypted; store it without passphrase "
            f"(openssl pkey -in {path.name} -out plain.key) in a file only the adapter may read"
        ) from error
    except ValueError as error:
        raise KeyProblem(
            f"{path}: no private key could be read ({error}); give a PEM file with a BEGIN PRIVATE KEY line"
        ) from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeyProblem(f"{path}: this kind of private key is not supported; use an RSA or EC key")
    return key


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
