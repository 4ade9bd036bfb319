# SPDX-License-Identifier: EUPL-1.2

"""Encrypting an outgoing payload for the certificate of its receiver, piece by piece."""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from adapter.ebms.algorithms import (
    AES256_GCM,
    MASKS,
    RSA_1_5,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    SHA256,
    TRIPLEDES_CBC,
    XENC11_NS,
    XENC_NS,
)
from adapter.ebms.encryption_head import ELEMENT_TYPE, is_media_type
from adapter.ebms.encryption_methods import (
    DATA_METHODS,
    STRICT_ENCRYPTION,
    TAG_SIZE,
    DataMethod,
    EncryptionPolicy,
    oaep,
    rsa_1_5,
)
from adapter.ebms.encryption_reader import slices, xenc
from adapter.ebms.names import DS_NS, ds

ENCRYPTED_CONTENT_TYPE: Final = "application/xml"
"""The type of an encrypted part, whatever is in it (ENC-06)."""

MAX_PLAIN_SIZE: Final = 2**36 - 32
"""Most octets that may be encrypted with one key in GCM mode, and so the largest payload (NIST SP 800-38D)."""

MIN_RSA_BITS: Final = 2048
"""Shortest RSA key that is encrypted for."""

_PLACEHOLDER = "CIPHER-VALUE"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.\-]")


class EncryptionProblem(ValueError):
    """A payload cannot be encrypted as asked: unusable algorithm, certificate, media type or size."""


@dataclass(frozen=True, slots=True)
class EncryptionPlan:
    """How one payload is encrypted, and for whom (ENC-03 to ENC-07).

    certificate   of the receiver, from the agreement; its validity is not judged
    media_type    the original Content-Type, which the receiver finds in MimeType
    part_id       becomes the Id as far as XML allows: the Content-ID, for instance
    data_method   URI of the cipher; CBC needs the legacy policy, 3DES is not to be had
    key_method    RSA_OAEP_MGF1P (SHA-1), RSA_OAEP (SHA-256 for digest and mask), or RSA_1_5 by the legacy policy
    element_type  whether to add the Type that some peers expect

    Raises EncryptionProblem.
    """

    certificate: x509.Certificate
    media_type: str
    part_id: str = "payload"
    data_method: str = AES256_GCM
    key_method: str = RSA_OAEP_MGF1P
    policy: EncryptionPolicy = STRICT_ENCRYPTION
    element_type: bool = False

    def __post_init__(self) -> None:
        if self.data_method not in self.policy.data_methods - {TRIPLEDES_CBC}:
            raise EncryptionProblem(f"data cannot be encrypted with {self.data_method!r} here")
        if self.key_method not in self.policy.key_methods:
            raise EncryptionProblem(f"keys cannot be encrypted with {self.key_method!r} here")
        if not is_media_type(self.media_type):
            raise EncryptionProblem(f"{self.media_type!r} is not a media type")
        _public_key(self.certificate)


def encrypted_size(plain_size: int, plan: EncryptionPlan) -> int:
    """Exactly how many octets `encrypt_payload` gives for so many plain octets. Raises EncryptionProblem."""
    if not 0 <= plain_size <= MAX_PLAIN_SIZE:
        raise EncryptionProblem(f"{plain_size} octets cannot be encrypted; at most {MAX_PLAIN_SIZE} can")
    method = DATA_METHODS[plan.data_method]
    padding = TAG_SIZE if method.authenticated else method.block_size - plain_size % method.block_size
    head, tail = _document(plan, bytes(_public_key(plan.certificate).key_size + 7 >> 3))
    return len(head) + -(-(method.iv_size + plain_size + padding) // 3) * 4 + len(tail)


def encrypt_payload(chunks: Iterable[bytes], plan: EncryptionPlan) -> Iterator[bytes]:
    """The octets of one xenc:EncryptedData document, in pieces of at most some 90 KB (ENC-02, ENC-06).

    Each call takes a new key, so that two of them never give the same octets: what may have to be sent again is
    encrypted once and kept. Sign before, over the plain octets (ENC-05). Raises EncryptionProblem while it is
    read, for a payload larger than MAX_PLAIN_SIZE or a key transport that this machine does not support; what
    `chunks` raises passes through.
    """
    method = DATA_METHODS[plan.data_method]
    key = os.urandom(method.key_size)
    head, tail = _document(plan, _wrap(plan, key))
    writer = _Base64Writer()
    yield head
    for octets in _encrypted(chunks, method, key):
        if written := writer.feed(octets):
            yield written
    yield writer.finish() + tail


def _encrypted(chunks: Iterable[bytes], method: DataMethod, key: bytes) -> Iterator[bytes]:
    iv = os.urandom(method.iv_size)
    encryptor = method.cipher(key, iv).encryptor()
    padder = None if method.authenticated else PKCS7(method.block_size * 8).padder()
    size = 0
    yield iv
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_PLAIN_SIZE:
            raise EncryptionProblem(f"the payload is larger than {MAX_PLAIN_SIZE} octets")
        for piece in slices(chunk):
            yield encryptor.update(padder.update(piece) if padder else piece)
    if padder:
        yield encryptor.update(padder.finalize())
    yield encryptor.finalize()
    if isinstance(encryptor, AEADEncryptionContext):
        yield encryptor.tag


class _Base64Writer:
    """Base64 in one line, of octets that come in pieces."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        octets = self._held + data
        whole = len(octets) // 3 * 3
        self._held = octets[whole:]
        return binascii.b2a_base64(memoryview(octets)[:whole], newline=False)

    def finish(self) -> bytes:
        return binascii.b2a_base64(self._held, newline=False)


def _public_key(certificate: x509.Certificate) -> RSAPublicKey:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise EncryptionProblem(f"the key of the receiver's certificate cannot be used: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise EncryptionProblem(
            "the receiver's certificate has no RSA key, and XML Encryption needs one here"
        )
    if key.key_size < MIN_RSA_BITS:
        raise EncryptionProblem(
            f"the receiver's RSA key has {key.key_size} bits; at least {MIN_RSA_BITS} are needed"
        )
    return key


def _wrap(plan: EncryptionPlan, key: bytes) -> bytes:
    try:
        return _public_key(plan.certificate).encrypt(key, _padding(plan.key_method))
    except UnsupportedAlgorithm as error:
        raise EncryptionProblem(f"{plan.key_method} is not supported on this machine: {error}") from error


def _padding(key_method: str) -> AsymmetricPadding:
    if key_method == RSA_1_5:
        return rsa_1_5()
    return oaep("sha256", "sha256") if key_method == RSA_OAEP else oaep("sha1", "sha1")


def _document(plan: EncryptionPlan, wrapped_key: bytes) -> tuple[bytes, bytes]:
    """What stands before and what stands after the text of the CipherValue of the data."""
    root = etree.Element(xenc("EncryptedData"), nsmap={"xenc": XENC_NS}, Id=_name(plan.part_id))
    if plan.element_type:
        root.set("Type", ELEMENT_TYPE)
    root.set("MimeType", plan.media_type)
    etree.SubElement(root, xenc("EncryptionMethod"), Algorithm=plan.data_method)
    encrypted_key = etree.SubElement(
        etree.SubElement(root, ds("KeyInfo"), nsmap={"ds": DS_NS}), xenc("EncryptedKey")
    )
    _add_key_method(encrypted_key, plan.key_method)
    x509_data = etree.SubElement(etree.SubElement(encrypted_key, ds("KeyInfo")), ds("X509Data"))
    etree.SubElement(x509_data, ds("X509Certificate")).text = _text(
        plan.certificate.public_bytes(Encoding.DER)
    )
    _add_cipher_value(encrypted_key, _text(wrapped_key))
    _add_cipher_value(root, _PLACEHOLDER)
    octets = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    head, _, tail = octets.rpartition(_PLACEHOLDER.encode())
    return head, tail


def _add_key_method(encrypted_key: etree._Element, key_method: str) -> None:
    element = etree.SubElement(encrypted_key, xenc("EncryptionMethod"), Algorithm=key_method)
    if key_method == RSA_OAEP:
        etree.SubElement(element, ds("DigestMethod"), Algorithm=SHA256)
        mask = next(uri for uri, name in MASKS.items() if name == "sha256")
        etree.SubElement(element, f"{{{XENC11_NS}}}MGF", nsmap={"xenc11": XENC11_NS}, Algorithm=mask)


def _add_cipher_value(parent: etree._Element, text: str) -> None:
    data = etree.SubElement(parent, xenc("CipherData"))
    etree.SubElement(data, xenc("CipherValue")).text = text


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _name(part_id: str) -> str:
    """An XML name without colon, close to the given text; the same text always gives the same name."""
    name = _NOT_IN_NAMES.sub("_", part_id)[:200]
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"
