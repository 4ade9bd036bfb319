# SPDX-License-Identifier: EUPL-1.2

"""Keys, messages and an independent judge (libxmlsec1) for the tests of ebMS signatures."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EB = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
SHA = {
    "sha1": "http://www.w3.org/2000/09/xmldsig#sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
RSA_SHA = "http://www.w3.org/2001/04/xmldsig-more#rsa-"


@dataclass(frozen=True)
class Signer:
    """A key pair with a certificate that expired long ago: validity is judged elsewhere."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def base64(self) -> str:
        return "".join(self.pem.decode().splitlines()[1:-1])


def new_signer(name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Signer:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2021, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return Signer(key, certificate)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return new_signer("them", rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def attacker() -> Signer:
    return new_signer("attacker", rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def ec_signer() -> Signer:
    return new_signer("curve", ec.generate_private_key(ec.SECP256R1()))


@dataclass
class Payloads:
    """A PayloadSource over octets in memory, which remembers what was asked of it."""

    octets: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def digest(self, content_id: str, algorithm: str) -> bytes:
        self.asked.append(content_id)
        name = {uri: name for name, uri in SHA.items()}[algorithm]
        return hashlib.new(name, self.octets[content_id]).digest()

    def read(self, content_id: str, limit: int) -> bytes:
        self.asked.append(content_id)
        octets = self.octets[content_id]
        if len(octets) > limit:
            raise ValueError(f"{len(octets)} octets, at most {limit} asked")
        return octets


class Judge:
    """libxmlsec1, with `cid:` references read from `payloads` through its I/O callbacks."""

    def __init__(self) -> None:
        self.payloads: dict[str, bytes] = {}
        self.opened: list[str] = []

    def _serve(self, payloads: dict[str, bytes]) -> None:
        """Be the one that references are read from: libxmlsec1 has one for the whole process."""
        self.payloads, self.opened = payloads, []
        xmlsec.cleanup_callbacks()
        xmlsec.register_callbacks(self._match, self._open, self._read, self._close)

    def verify(self, octets: bytes, certificate: Signer, payloads: dict[str, bytes]) -> bool:
        self._serve(payloads)
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(certificate.pem, xmlsec.KeyFormat.CERT_PEM)
        try:
            context.verify(_signature(etree.fromstring(octets)))
        except xmlsec.Error:
            return False
        return True

    def sign(self, octets: bytes, signer: Signer, payloads: dict[str, bytes] | None = None) -> bytes:
        """Fill in the first ds:Signature template of a document; return the signed document."""
        self._serve(payloads or {})
        document = etree.fromstring(octets)
        context = xmlsec.SignatureContext()
        pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
        context.key.load_cert_from_memory(signer.pem, xmlsec.KeyFormat.CERT_PEM)
        context.sign(_signature(document))
        return etree.tostring(document, xml_declaration=True, encoding="UTF-8")

    @staticmethod
    def _match(uri: bytes | str) -> bool:
        return _text(uri).startswith("cid:")

    def _open(self, uri: bytes | str) -> io.BytesIO | None:
        self.opened.append(_text(uri))
        return io.BytesIO(self.payloads[_text(uri).removeprefix("cid:")])

    @staticmethod
    def _read(handle: io.BytesIO, buffer: memoryview) -> int:
        return handle.readinto(buffer)

    @staticmethod
    def _close(handle: io.BytesIO) -> None:
        handle.close()


def _text(uri: bytes | str) -> str:
    return uri.decode() if isinstance(uri, bytes) else uri


def _signature(document: etree._Element) -> etree._Element:
    found = next(document.iter(f"{{{DS}}}Signature"))
    assert found is not None
    return found


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    yield Judge()
    xmlsec.cleanup_callbacks()


@pytest.fixture
def payloads() -> Payloads:
    return Payloads(
        {"p1@them": b"one\r\ntwo\n\x00three\r", "p2@them": b"<melding><nummer>1</nummer></melding>"}
    )


def filter_text(prefix: str = "SOAP", *actors: str) -> str:
    terms = (f'ancestor-or-self::node()[@{prefix}:actor="{actor}"]' for actor in actors or (NEXT_MSH, NEXT))
    return f"not({' | '.join(terms)})"


@dataclass(frozen=True)
class Template:
    """An envelope with an empty ds:Signature, for the judge to fill in; each piece can be replaced."""

    prefix: str = "SOAP"
    c14n: str = INCLUSIVE
    signature_method: str = RSA_SHA + "sha256"
    digest_method: str = SHA["sha256"]
    xpath: str | None = ""
    transforms: str | None = None
    envelope_reference: bool = True
    cids: tuple[str, ...] = ("p1@them", "p2@them")
    more_references: str = ""
    payload_transforms: str = ""
    key_info: str = "<ds:KeyInfo><ds:X509Data/></ds:KeyInfo>"
    headers: str = ""
    body: str = ""
    envelope_attributes: str = ""
    after_key_info: str = ""

    def octets(self) -> bytes:
        p = self.prefix
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<{p}:Envelope xmlns:{p}="{SOAP}" xmlns:eb="{EB}" xmlns:unused="urn:x-unused" {self.envelope_attributes}>
  <{p}:Header>
    <eb:MessageHeader {p}:mustUnderstand="1" eb:version="2.0" eb:id="m1"><eb:CPAId>CPA-1</eb:CPAId>
      <eb:Action>aanleveren</eb:Action></eb:MessageHeader>
    {self.headers}
    {self._signature()}
  </{p}:Header>
  <{p}:Body>{self.body}</{p}:Body>
</{p}:Envelope>""".encode()

    def _signature(self) -> str:
        method = f'<ds:DigestMethod Algorithm="{self.digest_method}"/><ds:DigestValue/>'
        references = (
            f'<ds:Reference URI="">{self._transforms()}{method}</ds:Reference>'
            if self.envelope_reference
            else ""
        )
        for cid in self.cids:
            references += f'<ds:Reference URI="cid:{cid}">{self.payload_transforms}{method}</ds:Reference>'
        return f"""<ds:Signature xmlns:ds="{DS}">
      <ds:SignedInfo>
        <ds:CanonicalizationMethod Algorithm="{self.c14n}"/>
        <ds:SignatureMethod Algorithm="{self.signature_method}"/>
        {references}{self.more_references}
      </ds:SignedInfo>
      <ds:SignatureValue/>
      {self.key_info}{self.after_key_info}
    </ds:Signature>"""

    def _transforms(self) -> str:
        if self.transforms is not None:
            return self.transforms
        text = None if self.xpath is None else self.xpath or filter_text(self.prefix)
        xpath = (
            ""
            if text is None
            else f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>{text}</ds:XPath></ds:Transform>'
        )
        return (
            f'<ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/>{xpath}'
            f'<ds:Transform Algorithm="{self.c14n}"/></ds:Transforms>'
        )


@pytest.fixture(scope="session")
def template() -> type[Template]:
    return Template


@pytest.fixture(scope="session")
def envelope() -> bytes:
    """An unsigned envelope with headers for us and for an intermediary, and text around them."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<SOAP:Envelope xmlns:SOAP="{SOAP}" xmlns:eb="{EB}">
  <SOAP:Header>
    <eb:MessageHeader SOAP:mustUnderstand="1" eb:version="2.0"><eb:CPAId>Bevoegd gezag &#235;</eb:CPAId>
    </eb:MessageHeader>
    <eb:AckRequested SOAP:mustUnderstand="1" eb:version="2.0" eb:signed="true"/>
    <eb:SyncReply SOAP:mustUnderstand="1" SOAP:actor="{NEXT}" eb:version="2.0"/>
    <!-- between -->
  </SOAP:Header>
  <SOAP:Body><eb:Manifest eb:version="2.0"/></SOAP:Body>
</SOAP:Envelope>""".encode()
