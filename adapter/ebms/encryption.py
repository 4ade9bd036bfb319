# SPDX-License-Identifier: EUPL-1.2

"""XML Encryption of payloads: one xenc:EncryptedData document per payload part, in fixed memory both ways.

`encrypting` makes such documents. Here they are decrypted: `encryption_reader` parses, `encryption_head` says how
and for whom a payload is encrypted, `encryption_methods` has the ciphers. Not decided here: whether a payload must be
encrypted, whether the certificate is valid, and what the signature says about the plain octets. Note that the MimeType
of a payload is covered by neither the encryption nor the signature.
"""

from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from adapter.ebms.encrypting import (
    ENCRYPTED_CONTENT_TYPE,
    MAX_PLAIN_SIZE,
    EncryptionPlan,
    EncryptionProblem,
    encrypt_payload,
    encrypted_size,
)
from adapter.ebms.encryption_head import EncryptionHead, read_head
from adapter.ebms.encryption_methods import (
    LEGACY_ENCRYPTION,
    STRICT_ENCRYPTION,
    DataDecryptor,
    DecryptionRefused,
    EncryptionPolicy,
    unwrap_key,
)
from adapter.ebms.encryption_reader import EncryptedDataReader, Node, slices
from adapter.ebms.transfer_encoding import Base64Decoder, TransferProblem

__all__ = [
    "ENCRYPTED_CONTENT_TYPE",
    "LEGACY_ENCRYPTION",
    "MAX_ENCRYPTED_SIZE",
    "MAX_PLAIN_SIZE",
    "STRICT_ENCRYPTION",
    "DecryptedPayload",
    "DecryptionRefused",
    "EncryptionPlan",
    "EncryptionPolicy",
    "EncryptionProblem",
    "PayloadDecryptor",
    "decrypt_payload",
    "encrypt_payload",
    "encrypted_size",
]

MAX_ENCRYPTED_SIZE: Final = 3 * 1024**3
"""Most octets of an encrypted document that are read unless said otherwise: enough for 2 GiB of plain octets."""


@dataclass(frozen=True, slots=True)
class DecryptedPayload:
    """A payload that was decrypted to its end.

    media_type     the original Content-Type as the sender wrote it; None where MimeType is absent
    size           of the plain octets
    data_method, key_method   URIs of what it was encrypted with
    authenticated  whether the cipher itself proves that nothing was changed (GCM does, CBC does not)
    """

    media_type: str | None
    size: int
    data_method: str
    key_method: str
    authenticated: bool


class PayloadDecryptor:
    """Decrypts one payload: any number of `feed`, then `finish` (ENC-02 to ENC-08).

    The plain octets that `feed` returns are not verified before `finish` has returned: the tag that proves them
    stands at the very end. Spool them to a place where nobody reads, and throw them away after DecryptionRefused or
    when the octets stop coming. After a refusal every further call is refused for the same reason.

    private_key   ours, RSA; of the certificate that the agreement tells others to encrypt for
    certificate   picks the EncryptedKey where there are several
    policy        the methods that are accepted, LEGACY_ENCRYPTION for agreements with the legacy switch on
    agreed        URIs in the agreement, for data, key transport or both; empty: any that the policy allows
    max_size      most octets of the encrypted document that are read
    """

    def __init__(
        self,
        private_key: RSAPrivateKey | EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        *,
        policy: EncryptionPolicy = STRICT_ENCRYPTION,
        agreed: Collection[str] = (),
        max_size: int = MAX_ENCRYPTED_SIZE,
    ) -> None:
        self._private_key = private_key
        self._certificate = certificate
        self._policy = policy
        self._agreed = tuple(agreed)
        self._left = max_size
        self._reader = EncryptedDataReader(self)
        self._base64 = Base64Decoder()
        self._head: EncryptionHead | None = None
        self._data: DataDecryptor | None = None
        self._plain: list[bytes] = []
        self._size = 0
        self._refused: str | None = None

    def feed(self, data: bytes) -> bytes:
        """Plain octets, not yet verified; often none. Raises DecryptionRefused."""
        self._check_usable()
        try:
            self._read(data)
        except DecryptionRefused as refusal:
            self._refused = refusal.reason
            raise
        return self._taken()

    def finish(self) -> tuple[bytes, DecryptedPayload]:
        """The last plain octets, and what the payload is: from now on all of it is verified, as far as GCM does.

        Raises DecryptionRefused; also when called twice.
        """
        self._check_usable()
        self._refused = "the payload was already finished"
        self._reader.finish()
        if self._head is None or self._data is None:
            raise DecryptionRefused("the document has no CipherValue")
        try:
            self._base64.finish()
        except TransferProblem as problem:
            raise DecryptionRefused(f"the CipherValue is not base64: {problem}") from problem
        self._add(self._data.finish())
        method = self._head.data_method
        decrypted = DecryptedPayload(
            self._head.media_type, self._size, method.uri, self._head.key_method, method.authenticated
        )
        return self._taken(), decrypted

    def _read(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise DecryptionRefused("the encrypted payload is larger than is allowed")
        self._reader.feed(data)

    def begin(self, encrypted_data: Node) -> None:
        """For the reader: what precedes the data is known. Raises DecryptionRefused."""
        if not isinstance(self._private_key, RSAPrivateKey):
            raise DecryptionRefused("our encryption key is not RSA, so that nobody can encrypt for it")
        self._head = read_head(
            encrypted_data, certificate=self._certificate, policy=self._policy, agreed=self._agreed
        )
        method = self._head.data_method
        key = unwrap_key(self._private_key, self._head.key_padding, self._head.wrapped_key, method.key_size)
        self._data = DataDecryptor(method, key)

    def text(self, characters: str) -> None:
        """For the reader: more of the CipherValue. Raises DecryptionRefused."""
        if self._data is None:
            raise DecryptionRefused("there is data before it is known how it is encrypted")
        try:
            octets = self._base64.feed(characters.encode("ascii"))
        except (UnicodeEncodeError, TransferProblem) as problem:
            raise DecryptionRefused(f"the CipherValue is not base64: {problem}") from problem
        self._add(self._data.feed(octets))

    def _add(self, plain: bytes) -> None:
        self._size += len(plain)
        self._plain.append(plain)

    def _taken(self) -> bytes:
        plain, self._plain = b"".join(self._plain), []
        return plain

    def _check_usable(self) -> None:
        if self._refused is not None:
            raise DecryptionRefused(self._refused)


def decrypt_payload(
    chunks: Iterable[bytes],
    private_key: RSAPrivateKey | EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    *,
    policy: EncryptionPolicy = STRICT_ENCRYPTION,
    agreed: Collection[str] = (),
    max_size: int = MAX_ENCRYPTED_SIZE,
) -> Generator[bytes, None, DecryptedPayload]:
    """The plain octets of an encrypted document, in pieces of at most some 64 KB; see PayloadDecryptor for the rest.

    The value of the generator (`decrypted = yield from …`) tells what the payload is. Raises DecryptionRefused,
    possibly after it gave nearly all octets: what was received by then is worth nothing and must be discarded.
    """
    decryptor = PayloadDecryptor(private_key, certificate, policy=policy, agreed=agreed, max_size=max_size)
    for chunk in chunks:
        for piece in slices(chunk):
            if plain := decryptor.feed(piece):
                yield plain
    plain, decrypted = decryptor.finish()
    if plain:
        yield plain
    return decrypted
