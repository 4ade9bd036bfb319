# SPDX-License-Identifier: EUPL-1.2

"""What the head of an encrypted payload says: how the data and its key are encrypted, and for whom.

Only elements that have a meaning here are allowed; references to things elsewhere (CipherReference,
RetrievalMethod) are refused as unknown elements are.
"""

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.ebms.algorithms import (
    HASHES,
    MASKS,
    RSA_1_5,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    TRIPLEDES_CBC,
    XENC11_NS,
    XENC_NS,
)
from adapter.ebms.content_type import ContentTypeProblem, parse_content_type
from adapter.ebms.encryption_methods import (
    DATA_METHODS,
    DataMethod,
    DecryptionRefused,
    EncryptionPolicy,
    oaep,
    rsa_1_5,
)
from adapter.ebms.encryption_reader import Node, xenc
from adapter.ebms.names import ds

MAX_ENCRYPTED_KEYS: Final = 8
"""Most EncryptedKeys in one payload, hence most receivers."""

ELEMENT_TYPE: Final = XENC_NS + "Element"
"""The Type that some peers give to any payload, though it means that an XML element was encrypted."""

_TYPES = frozenset({None, "", ELEMENT_TYPE, XENC_NS + "Content"})
_WHITE_SPACE = " \t\r\n"
_NAME_VALUE = re.compile(r'=\s*("(?:[^"\\]|\\.)*"|(?:[^,;+"\\]|\\.)*)')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class EncryptionHead:
    """How one payload is encrypted. `media_type` is what the sender says it was, None where it does not."""

    media_type: str | None
    data_method: DataMethod
    key_method: str
    key_padding: AsymmetricPadding
    wrapped_key: bytes


def read_head(
    encrypted_data: Node,
    *,
    certificate: x509.Certificate,
    policy: EncryptionPolicy,
    agreed: Collection[str] = (),
) -> EncryptionHead:
    """Read the tree of what stands before the data, and pick the EncryptedKey for `certificate`.

    `agreed` are URIs of the agreement: where it names methods for data, it must be one of them, and likewise for
    key transport. Raises DecryptionRefused.
    """
    parts = _children(encrypted_data, required=("EncryptionMethod", "CipherData"), optional=("KeyInfo",))
    _children(parts["CipherData"], required=("CipherValue",))
    if encrypted_data.attributes.get("Type") not in _TYPES or encrypted_data.attributes.get("Encoding"):
        raise DecryptionRefused("the EncryptedData is of a Type or Encoding that is not read here")
    data_method = _data_method(parts["EncryptionMethod"], policy, agreed)
    if "KeyInfo" not in parts:
        raise DecryptionRefused("the EncryptedData has no KeyInfo before its CipherData")
    key = _choose_key(_encrypted_keys(parts["KeyInfo"]), certificate)
    key_method, padding = _key_method(key["EncryptionMethod"], policy, agreed)
    cipher_value = _children(key["CipherData"], required=("CipherValue",))["CipherValue"]
    return EncryptionHead(
        _media_type(encrypted_data),
        data_method,
        key_method,
        padding,
        _base64(cipher_value),
    )


def is_media_type(value: str) -> bool:
    """Whether this can be a Content-Type as it is: printable ASCII in one line, and readable."""
    try:
        parse_content_type(value)
    except ContentTypeProblem:
        return False
    return value.isascii() and value.isprintable()


def _media_type(encrypted_data: Node) -> str | None:
    value = encrypted_data.attributes.get("MimeType", "").strip(_WHITE_SPACE)
    if not value:
        return None
    if not is_media_type(value):
        raise DecryptionRefused(f"MimeType {value[:100]!r} is not a media type")
    return value


def _data_method(element: Node, policy: EncryptionPolicy, agreed: Collection[str]) -> DataMethod:
    uri = _allowed(element, policy.data_methods, [each for each in agreed if each in DATA_METHODS])
    method = DATA_METHODS[uri]
    key_size = _children(element, optional=("KeySize",)).get("KeySize")
    bits = 168 if uri == TRIPLEDES_CBC else method.key_size * 8
    if key_size is not None and _text(key_size) != str(bits):
        raise DecryptionRefused("the KeySize is not that of the EncryptionMethod")
    return method


def _key_method(
    element: Node, policy: EncryptionPolicy, agreed: Collection[str]
) -> tuple[str, AsymmetricPadding]:
    transports = (RSA_OAEP_MGF1P, RSA_OAEP, RSA_1_5)
    uri = _allowed(element, policy.key_methods, [each for each in agreed if each in transports])
    if uri == RSA_1_5:
        _children(element)
        return uri, rsa_1_5()
    # In xenc11 the mask is chosen by an element, in the older method it cannot be.
    masks = ("MGF",) if uri == RSA_OAEP else ()
    parts = _children(element, optional=("OAEPparams", "DigestMethod", *masks))
    label = _base64(parts["OAEPparams"]) if "OAEPparams" in parts else None
    return uri, oaep(_named(parts, "DigestMethod", HASHES), _named(parts, "MGF", MASKS), label)


def _named(parts: dict[str, Node], name: str, known: dict[str, str]) -> str:
    """The digest that an optional element names; SHA-1 without the element, as XML Encryption has it."""
    if name not in parts:
        return "sha1"
    _children(parts[name])
    uri = parts[name].attributes.get("Algorithm", "")
    if uri not in known:
        raise DecryptionRefused(f"{name} {uri[:100]!r} is not one of RSA-OAEP here")
    return known[uri]


def _allowed(element: Node, allowed: frozenset[str], agreed: Sequence[str]) -> str:
    uri = element.attributes.get("Algorithm", "")
    if uri not in allowed:
        raise DecryptionRefused(f"encryption method {uri[:100]!r} is not allowed")
    if agreed and uri not in agreed:
        raise DecryptionRefused(f"encryption method {uri!r} is not the agreed {', '.join(agreed)}")
    return uri


def _encrypted_keys(key_info: Node) -> list[dict[str, Node]]:
    _no_text(key_info)
    found = []
    for child in key_info.children:
        if child.name == xenc("EncryptedKey"):
            found.append(
                _children(
                    child,
                    required=("EncryptionMethod", "CipherData"),
                    optional=("KeyInfo", "ReferenceList", "CarriedKeyName"),
                )
            )
        elif child.name != ds("KeyName"):
            raise DecryptionRefused(f"the KeyInfo of the data has {child.name[:100]} in it")
    if not 1 <= len(found) <= MAX_ENCRYPTED_KEYS:
        raise DecryptionRefused(f"there are {len(found)} EncryptedKeys; 1 to {MAX_ENCRYPTED_KEYS} are read")
    return found


def _choose_key(keys: Sequence[dict[str, Node]], certificate: x509.Certificate) -> dict[str, Node]:
    """The key that is said to be for the certificate, or the only key when it is not said for whom it is.

    This selects and no more: whoever names the wrong certificate gets a key that does not unwrap.
    """
    hints = [_Hints.read(key.get("KeyInfo")) for key in keys]
    ours = [key for key, hint in zip(keys, hints, strict=True) if hint.name(certificate)]
    if len(ours) > 1:
        raise DecryptionRefused("several EncryptedKeys are for our certificate")
    if ours:
        return ours[0]
    # How a distinguished name is spelled differs too much for one that is not recognised to mean anything.
    if len(keys) == 1 and not hints[0].is_binding:
        return keys[0]
    raise DecryptionRefused("no EncryptedKey is for our certificate: is it encrypted for an older one?")


@dataclass(frozen=True, slots=True)
class _Hints:
    """What the KeyInfo of an EncryptedKey says about the receiver's key."""

    certificates: tuple[bytes, ...] = ()
    serial_numbers: tuple[str, ...] = ()
    key_identifiers: tuple[bytes, ...] = ()
    names: tuple[str, ...] = ()

    @staticmethod
    def read(key_info: Node | None) -> "_Hints":
        if key_info is None:
            return _Hints()
        _no_text(key_info)
        x509_data = []
        for child in key_info.children:
            if child.name == ds("X509Data"):
                x509_data += child.children
            elif child.name not in {ds("KeyName"), ds("KeyValue")}:
                raise DecryptionRefused(f"the KeyInfo of an EncryptedKey has {child.name[:100]} in it")
        serials = [each for one in _named_nodes(x509_data, "X509IssuerSerial") for each in one.children]
        names = _named_nodes(key_info.children, "KeyName") + _named_nodes(x509_data, "X509SubjectName")
        return _Hints(
            tuple(_base64(each) for each in _named_nodes(x509_data, "X509Certificate")),
            tuple(_text(each) for each in _named_nodes(serials, "X509SerialNumber")),
            tuple(_base64(each) for each in _named_nodes(x509_data, "X509SKI")),
            tuple(_text(each) for each in names),
        )

    @property
    def is_binding(self) -> bool:
        """Whether there are hints with one spelling only."""
        return bool(self.certificates or self.serial_numbers or self.key_identifiers)

    def name(self, certificate: x509.Certificate) -> bool:
        """Whether one of the hints is about this certificate; of an issuer only the serial number counts."""
        if self.is_binding:
            return (
                certificate.public_bytes(Encoding.DER) in self.certificates
                or str(certificate.serial_number) in self.serial_numbers
                or _key_identifier(certificate) in self.key_identifiers
            )
        subject = sorted(_folded(str(attribute.value)) for attribute in certificate.subject)
        return bool(subject) and any(_name_values(name) == subject for name in self.names)


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _name_values(text: str) -> list[str]:
    """The values in a distinguished name as text, without types and order: these are written in many ways."""
    return sorted(_name_value(value) for value in _NAME_VALUE.findall(text))


def _name_value(value: str) -> str:
    value = value.strip()
    if value.startswith("#"):
        # Java writes types without a name of their own, such as serialNumber, as the hexadecimal DER of a string.
        try:
            return _folded(bytes.fromhex(value[1:])[2:].decode())
        except ValueError:
            return _folded(value)
    if value.startswith('"'):
        value = value[1:-1]
    return _folded(_ESCAPED.sub(r"\1", value))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _named_nodes(nodes: Sequence[Node], name: str) -> list[Node]:
    return [node for node in nodes if node.name == ds(name)]


_QUALIFIED: Final = {
    "KeyInfo": ds("KeyInfo"),
    "DigestMethod": ds("DigestMethod"),
    "MGF": f"{{{XENC11_NS}}}MGF",
}


def _children(
    element: Node, *, required: Sequence[str] = (), optional: Sequence[str] = ()
) -> dict[str, Node]:
    """The children by their local names: each that is required, at most one of each, and no others."""
    _no_text(element)
    names = {_QUALIFIED.get(name, xenc(name)): name for name in (*required, *optional)}
    found: dict[str, Node] = {}
    for child in element.children:
        name = names.get(child.name)
        if name is None or name in found:
            raise DecryptionRefused(f"{element.name[:100]} has an unexpected {child.name[:100]}")
        found[name] = child
    for name in required:
        if name not in found:
            raise DecryptionRefused(f"{element.name[:100]} has no {name}")
    return found


def _no_text(element: Node) -> None:
    if "".join(element.text).strip(_WHITE_SPACE):
        raise DecryptionRefused(f"{element.name[:100]} has text between its elements")


def _text(element: Node) -> str:
    if element.children:
        raise DecryptionRefused(f"{element.name[:100]} has elements in it")
    return "".join(element.text).strip(_WHITE_SPACE)


def _base64(element: Node) -> bytes:
    try:
        return base64.b64decode("".join(_text(element).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecryptionRefused(f"{element.name[:100]} is not base64") from error
