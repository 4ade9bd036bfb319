# SPDX-License-Identifier: EUPL-1.2

"""Encrypted payloads: keys, documents of which any piece can be replaced, and libxmlsec1 as judge."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from adapter.ebms.encryption import (
    LEGACY_ENCRYPTION,
    EncryptionPlan,
    decrypt_payload,
)

XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
DS = "http://www.w3.org/2000/09/xmldsig#"
OAEP_OLD, OAEP_NEW, PKCS1 = XENC + "rsa-oaep-mgf1p", XENC11 + "rsa-oaep", XENC + "rsa-1_5"
GCM = {bits: f"{XENC11}aes{bits}-gcm" for bits in (128, 192, 256)}
CBC = {bits: f"{XENC}aes{bits}-cbc" for bits in (128, 192, 256)}
TRIPLEDES = XENC + "tripledes-cbc"


@dataclass(frozen=True)
class Receiver:
    """A key pair and its certificate, which names the party as PKIoverheid does."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def base64(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def key_identifier(self) -> bytes:
        return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest

    def wrap(self, key: bytes) -> str:
        """As rsa-oaep-mgf1p."""
        padding = OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)
        return base64.b64encode(self.key.public_key().encrypt(key, padding)).decode()

    def wrap_old(self, key: bytes) -> str:
        """As rsa-1_5."""
        return base64.b64encode(self.key.public_key().encrypt(key, PKCS1v15())).decode()


@cache
def receiver(name: str = "Voorbeeldstad", bits: int = 2048) -> Receiver:
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NL"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Gemeente, dienst & beheer"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "00000001001100415000"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TSP CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2021, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Receiver(key, certificate)


def plan(**wishes) -> EncryptionPlan:
    wishes = {"media_type": "application/pdf", "policy": LEGACY_ENCRYPTION} | wishes
    return EncryptionPlan(wishes.pop("certificate", receiver().certificate), **wishes)


def decrypted(document: bytes | Iterable[bytes], to: Receiver | None = None, **options):
    """The plain octets, and what decryption says of them."""
    to = to or receiver()
    pieces = []
    chunks = [document] if isinstance(document, bytes) else document
    stream = decrypt_payload(chunks, to.key, to.certificate, **options)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return b"".join(pieces), end.value


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@dataclass(frozen=True)
class Document:
    """An encrypted payload written by hand: aes256-gcm and rsa-oaep-mgf1p, each piece of it replaceable."""

    plain: bytes = b"%PDF-1.7 plain octets"
    key: bytes = bytes(range(32))
    to: Receiver | None = None
    attributes: str = 'Id="p2" MimeType="application/pdf"'
    before: str = ""
    method: str = GCM[256]
    method_content: str = ""
    key_method: str = OAEP_OLD
    key_method_content: str = ""
    hints: str | None = None
    wrapped: str | None = None
    encrypted_keys: str | None = None
    key_info: str | None = None
    data: bytes | None = None
    cipher_text: str | None = None
    cipher_data: str | None = None
    after: str = ""

    def octets(self) -> bytes:
        key_info = f"<ds:KeyInfo>{self._keys()}</ds:KeyInfo>" if self.key_info is None else self.key_info
        return f"""{self.before}<xenc:EncryptedData xmlns:xenc="{XENC}" xmlns:ds="{DS}" {self.attributes}>
  <xenc:EncryptionMethod Algorithm="{self.method}">{self.method_content}</xenc:EncryptionMethod>
  {key_info}
  <xenc:CipherData>{self._cipher_data()}</xenc:CipherData>{self.after}
</xenc:EncryptedData>""".encode()

    def _keys(self) -> str:
        if self.encrypted_keys is not None:
            return self.encrypted_keys
        to = self.to or receiver()
        hints = x509_data(f"<ds:X509Certificate>{to.base64}</ds:X509Certificate>")
        return encrypted_key(
            self.wrapped or to.wrap(self.key),
            hints if self.hints is None else self.hints,
            method=self.key_method,
            method_content=self.key_method_content,
        )

    def _cipher_data(self) -> str:
        if self.cipher_data is not None:
            return self.cipher_data
        return f"<xenc:CipherValue>{self._cipher_text()}</xenc:CipherValue>"

    def _cipher_text(self) -> str:
        if self.cipher_text is not None:
            return self.cipher_text
        return base64.b64encode(gcm(self.key, self.plain) if self.data is None else self.data).decode()


def gcm(key: bytes, plain: bytes) -> bytes:
    iv = os.urandom(12)
    return iv + AESGCM(key).encrypt(iv, plain, None)


def x509_data(content: str) -> str:
    return f"<ds:X509Data>{content}</ds:X509Data>"


def encrypted_key(
    wrapped: str, hints: str = "", *, method: str = OAEP_OLD, method_content: str = "", more: str = ""
) -> str:
    key_info = f"<ds:KeyInfo>{hints}</ds:KeyInfo>" if hints else ""
    return f"""<xenc:EncryptedKey>
      <xenc:EncryptionMethod Algorithm="{method}">{method_content}</xenc:EncryptionMethod>{key_info}
      <xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue></xenc:CipherData>{more}
    </xenc:EncryptedKey>"""


def judge_decrypts(document: bytes, to: Receiver) -> bytes:
    """What libxmlsec1 makes of a document."""
    root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
    context = xmlsec.EncryptionContext(_manager(to))
    return bytes(context.decrypt(root))


def judge_encrypts(
    plain: bytes, to: Receiver, method: str, key_method: str, method_content: str = ""
) -> bytes:
    """A document that libxmlsec1 fills in."""
    template = Document(
        to=to,
        attributes='Id="p2" MimeType="text/xml"',
        method=method,
        encrypted_keys=encrypted_key("", method=key_method, method_content=method_content),
        cipher_text="",
    )
    root = etree.fromstring(template.octets())
    context = xmlsec.EncryptionContext(_manager(to))
    bits = 192 if method == TRIPLEDES else int(method.rpartition("aes")[2][:3])
    kind = xmlsec.constants.KeyDataDes if method == TRIPLEDES else xmlsec.constants.KeyDataAes
    context.key = xmlsec.Key.generate(kind, bits, xmlsec.constants.KeyDataTypeSession)
    return etree.tostring(context.encrypt_binary(root, plain), xml_declaration=True, encoding="UTF-8")


def _manager(to: Receiver) -> xmlsec.KeysManager:
    pem = to.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
    key.load_cert_from_memory(to.certificate.public_bytes(Encoding.PEM), xmlsec.KeyFormat.CERT_PEM)
    manager = xmlsec.KeysManager()
    manager.add_key(key)
    return manager
