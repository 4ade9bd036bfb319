# SPDX-License-Identifier: EUPL-1.2

"""What XML Encryption is done with: ciphers for the data, transports for the key, and which are accepted.

What depends on a secret fails in one way only. A wrapped key that does not unwrap is replaced by another key of
the right length, made from the private key and the wrapped octets so that it is the same each time; the data is
then decrypted with that, and fails where a changed payload fails too: at its tag or its padding (ENC-08).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapter.ebms.algorithms import (
    AES128_CBC,
    AES128_GCM,
    AES192_CBC,
    AES192_GCM,
    AES256_CBC,
    AES256_GCM,
    RSA_1_5,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    TRIPLEDES_CBC,
)

TAG_SIZE: Final = 16
"""Octets of the authentication tag that ends the data in GCM mode."""

_DOES_NOT_DECRYPT = "the payload does not decrypt: it is for another key, or was changed on the way"
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what rsa-oaep-mgf1p means; OAEP does not need more of it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class DecryptionRefused(Exception):
    """An encrypted payload is not acceptable.

    As text it is the same sentence whatever is wrong, fit for the partner; `reason` is for the log only.
    Wrong keys, changed data, tags and paddings share one reason as well (ENC-08).
    """

    TEXT: Final = "the payload is not encrypted as agreed, or cannot be decrypted"

    def __init__(self, reason: str) -> None:
        super().__init__(self.TEXT)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EncryptionPolicy:
    """Which methods for data and for key transport, by URI, are accepted and used, whatever a CPA says."""

    data_methods: frozenset[str]
    key_methods: frozenset[str]


STRICT_ENCRYPTION: Final = EncryptionPolicy(
    data_methods=frozenset({AES128_GCM, AES192_GCM, AES256_GCM}),
    key_methods=frozenset({RSA_OAEP_MGF1P, RSA_OAEP}),
)
"""What Digikoppeling allows: AES in GCM mode, keys by RSA-OAEP (ENC-03, ENC-04)."""

LEGACY_ENCRYPTION: Final = EncryptionPolicy(
    data_methods=STRICT_ENCRYPTION.data_methods | {AES128_CBC, AES192_CBC, AES256_CBC, TRIPLEDES_CBC},
    key_methods=STRICT_ENCRYPTION.key_methods | {RSA_1_5},
)
"""CBC and RSA 1.5 too, for agreements with the legacy switch on; 3DES to decrypt only (pitfall 58).

CBC says nothing about changes: what it decrypts is only as good as the signature over the plain octets. A payload
whose padding fails and one whose signature fails must then get the same answer, or the partner's line is an oracle.
"""


@dataclass(frozen=True, slots=True)
class DataMethod:
    """A cipher for data: its URI, the sizes of key and initialisation vector and block, all in octets."""

    uri: str
    key_size: int
    iv_size: int
    block_size: int
    authenticated: bool

    @property
    def tail_size(self) -> int:
        """How much of the end can only be judged when it is known to be the end: the tag, or the last block."""
        return TAG_SIZE if self.authenticated else self.block_size

    def cipher(self, key: bytes, iv: bytes) -> Cipher[GCM | CBC]:
        """The cipher of `cryptography`, for GCM without its tag."""
        algorithm = TripleDES(key) if self.uri == TRIPLEDES_CBC else AES(key)
        return Cipher(algorithm, GCM(iv) if self.authenticated else CBC(iv))


DATA_METHODS: Final = {
    method.uri: method
    for method in (
        DataMethod(AES128_GCM, 16, 12, 16, authenticated=True),
        DataMethod(AES192_GCM, 24, 12, 16, authenticated=True),
        DataMethod(AES256_GCM, 32, 12, 16, authenticated=True),
        DataMethod(AES128_CBC, 16, 16, 16, authenticated=False),
        DataMethod(AES192_CBC, 24, 16, 16, authenticated=False),
        DataMethod(AES256_CBC, 32, 16, 16, authenticated=False),
        DataMethod(TRIPLEDES_CBC, 24, 8, 8, authenticated=False),
    )
}
"""The ciphers that there are, by URI; the policy says which may be used."""


def oaep(digest: str, mask: str, label: bytes | None = None) -> AsymmetricPadding:
    """RSA-OAEP with the digest, and the digest of its mask, by their names in hashlib."""
    return OAEP(mgf=MGF1(_HASHES[mask]), algorithm=_HASHES[digest], label=label)


def rsa_1_5() -> AsymmetricPadding:
    """RSA with the padding of PKCS #1 version 1.5."""
    return PKCS1v15()


def unwrap_key(private_key: RSAPrivateKey, padding: AsymmetricPadding, wrapped: bytes, size: int) -> bytes:
    """The key of `size` octets that was wrapped; for anything else a key that decrypts nothing.

    Raises DecryptionRefused only where the cryptographic library does not support the padding.
    """
    substitute = _substitute_key(private_key, wrapped, size)
    try:
        key = private_key.decrypt(wrapped, padding)
    except UnsupportedAlgorithm as error:
        raise DecryptionRefused(f"the key transport is not supported here: {error}") from error
    except ValueError:
        key = b""
    return key if len(key) == size else substitute


class DataDecryptor:
    """Decrypts the octets of one CipherValue, in pieces as they come."""

    def __init__(self, method: DataMethod, key: bytes) -> None:
        self._method = method
        self._key = key
        self._context: CipherContext | None = None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Decrypt what can be; the plain octets are not verified. Raises DecryptionRefused, if unsupported."""
        held = self._held + data
        if self._context is None and len(held) >= self._method.iv_size:
            self._context = self._open(held[: self._method.iv_size])
            held = held[self._method.iv_size :]
        ready = len(held) - self._method.tail_size
        if self._context is None or ready <= 0:
            self._held = held
            return b""
        self._held = held[ready:]
        return self._context.update(memoryview(held)[:ready])

    def finish(self) -> bytes:
        """The plain octets at the end. Raises DecryptionRefused when tag or padding do not hold."""
        try:
            return self._finish()
        except (InvalidTag, ValueError):
            # Neither which of them it was nor what the library said of it may be told.
            raise DecryptionRefused(_DOES_NOT_DECRYPT) from None

    def _open(self, iv: bytes) -> CipherContext:
        try:
            return self._method.cipher(self._key, iv).decryptor()
        except UnsupportedAlgorithm as error:
            raise DecryptionRefused(f"{self._method.uri} is not supported here: {error}") from error

    def _finish(self) -> bytes:
        if self._context is None or len(self._held) != self._method.tail_size:
            raise ValueError("the data is too short")
        if isinstance(self._context, AEADDecryptionContext):
            return self._context.finalize_with_tag(self._held)
        block = self._context.update(self._held) + self._context.finalize()
        padding = block[-1]
        # The other octets of the padding are arbitrary in XML Encryption 5.2.
        if not 1 <= padding <= self._method.block_size:
            raise ValueError("the padding is wrong")
        return block[:-padding]


def _substitute_key(private_key: RSAPrivateKey, wrapped: bytes, size: int) -> bytes:
    secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return hmac.digest(hashlib.sha256(secret).digest(), wrapped, "sha256")[:size]
