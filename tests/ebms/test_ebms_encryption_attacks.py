# SPDX-License-Identifier: EUPL-1.2

"""Attacks on encrypted payloads: each is refused, with the same words for the partner."""

import base64
import os
import time

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC as CBC_MODE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter.ebms.encryption import (
    LEGACY_ENCRYPTION,
    DecryptionRefused,
    EncryptionPolicy,
    PayloadDecryptor,
    encrypt_payload,
)
from adapter.ebms.encryption_methods import unwrap_key
from tests.ebms.encrypted import (
    CBC,
    GCM,
    OAEP_NEW,
    OAEP_OLD,
    PKCS1,
    TRIPLEDES,
    XENC,
    XENC11,
    Document,
    decrypted,
    encrypted_key,
    gcm,
    in_pieces,
    plan,
    receiver,
    x509_data,
)
from tests.memory import measured_peak

PLAIN = b"%PDF-1.7 plain octets"
KEY = bytes(range(32))
NO_DECRYPTION = "does not decrypt"


def refused(document, reason, to=None, **options):
    """Asserts that a document is refused for a reason that only the log sees, and returns the refusal."""
    octets = document.octets() if isinstance(document, Document) else document
    with pytest.raises(DecryptionRefused) as caught:
        decrypted(octets, to, **options)
    assert str(caught.value) == DecryptionRefused.TEXT
    assert reason in caught.value.reason
    return caught.value


def released(document, **options):
    """How many plain octets are given before the refusal, and the refusal."""
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate, **options)
    count = 0
    try:
        for piece in in_pieces(document.octets(), 20_000):
            count += len(decryptor.feed(piece))
        decryptor.finish()
    except DecryptionRefused as refusal:
        return count, refusal
    raise AssertionError("the document was not refused")


def feed_all(decryptor, pieces):
    for piece in pieces:
        decryptor.feed(piece)


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def cbc(plain, padding, key=KEY):
    iv = os.urandom(16)
    encryptor = Cipher(AES(key), CBC_MODE(iv)).encryptor()
    return iv + encryptor.update(plain + padding) + encryptor.finalize()


# Octets that were changed, keys that are wrong.


@pytest.mark.parametrize("position", [-1, -16, -17, 12, 0])
def test_a_flipped_bit_in_tag_ciphertext_or_vector(position):
    refused(Document(data=flipped(gcm(KEY, PLAIN), position)), NO_DECRYPTION)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 27, 28, 40])
def test_truncated_data(length):
    refused(Document(data=gcm(KEY, PLAIN)[:length]), NO_DECRYPTION)


@pytest.mark.parametrize("length", [0, 8, 16, 17, 31, 33, 47])
def test_truncated_data_in_cbc_mode(length):
    data = cbc(bytes(32), bytes([16] * 16))[:length]
    refused(Document(method=CBC[256], data=data), NO_DECRYPTION, policy=LEGACY_ENCRYPTION)


def test_data_with_more_after_its_tag():
    refused(Document(data=gcm(KEY, PLAIN) + bytes(16)), NO_DECRYPTION)


def test_a_key_for_another_receiver_under_our_certificate():
    refused(Document(wrapped=receiver("other").wrap(KEY)), NO_DECRYPTION)


def test_another_private_key_than_that_of_the_certificate():
    document = Document().octets()
    decryptor = PayloadDecryptor(receiver("other").key, receiver().certificate)
    decryptor.feed(document)
    with pytest.raises(DecryptionRefused) as caught:
        decryptor.finish()
    assert NO_DECRYPTION in caught.value.reason


def test_a_private_key_that_is_not_rsa(ec_signer):
    decryptor = PayloadDecryptor(ec_signer.key, ec_signer.certificate)
    with pytest.raises(DecryptionRefused) as caught:
        decryptor.feed(Document(plain=bytes(20_000)).octets())
    assert "not RSA" in caught.value.reason


FAULTY_KEYS = {
    "not a multiple of anything": "AAAA",
    "empty": " ",
    "all zero": base64.b64encode(bytes(256)).decode(),
    "larger than the modulus": base64.b64encode(b"\xff" * 256).decode(),
    "too long": base64.b64encode(bytes(300)).decode(),
    "of a shorter key": receiver().wrap(bytes(16)),
    "of a longer key": receiver().wrap(bytes(33)),
    "of an empty key": receiver().wrap(b""),
    "in the other padding": receiver().wrap_old(KEY),
    "of another key": receiver().wrap(bytes(32)),
    "for another receiver": receiver("other").wrap(KEY),
}


def test_faults_of_tag_key_and_padding_of_the_key_look_alike():
    plain = os.urandom(200_000)
    documents = [Document(plain=plain, wrapped=wrapped) for wrapped in FAULTY_KEYS.values()]
    documents.append(Document(data=flipped(gcm(KEY, plain), -1)))
    documents.append(Document(data=flipped(gcm(KEY, plain), 500)))
    seen = set()
    for document in documents:
        count, refusal = released(document)
        assert count > 150_000
        assert refusal.__cause__ is None
        assert refusal.__suppress_context__
        seen.add((count, str(refusal), refusal.reason))
    assert len(seen) == 1


def test_a_million_messages_attack_on_rsa_1_5_sees_the_tag_fail_and_no_more():
    plain = os.urandom(100_000)
    wrapped = [
        base64.b64encode(os.urandom(255).rjust(256, b"\0")).decode(),
        base64.b64encode(bytes(256)).decode(),
        receiver().wrap(KEY),
        receiver().wrap_old(bytes(16)),
        receiver().wrap_old(bytes(32)),
        receiver().wrap_old(b""),
        "AAAA",
    ]
    seen = set()
    for each in wrapped:
        document = Document(plain=plain, key_method=PKCS1, wrapped=each)
        count, refusal = released(document, policy=LEGACY_ENCRYPTION)
        seen.add((count, str(refusal), refusal.reason))
    assert len(seen) == 1
    assert seen.pop()[0] > 80_000


def test_a_key_that_does_not_unwrap_is_replaced_by_the_same_key_each_time():
    # Were it another each time, CBC padding would come out right now and then, which a true key never does.
    data = os.urandom(16 + 64)
    for key_method, wrapped in ((PKCS1, base64.b64encode(b"\1" * 256).decode()), (OAEP_OLD, "AAAA")):
        outcomes = set()
        for _ in range(40):
            document = Document(method=CBC[256], key_method=key_method, wrapped=wrapped, data=data)
            try:
                outcomes.add(decrypted(document.octets(), policy=LEGACY_ENCRYPTION)[0])
            except DecryptionRefused:
                outcomes.add(None)
        assert len(outcomes) == 1


def test_a_padding_oracle_in_cbc_mode_sees_one_refusal():
    seen = set()
    for last in (0, 17, 32, 128, 255):
        data = cbc(bytes(64), bytes(15) + bytes([last]))
        count, refusal = released(Document(method=CBC[256], data=data), policy=LEGACY_ENCRYPTION)
        assert refusal.__cause__ is None
        seen.add((count, str(refusal), refusal.reason))
    wrong_length = cbc(bytes(64), bytes(16))[:-1]
    _, refusal = released(Document(method=CBC[256], data=wrong_length), policy=LEGACY_ENCRYPTION)
    assert {(str(refusal), refusal.reason)} == {each[1:] for each in seen}
    assert len(seen) == 1


@pytest.mark.parametrize("last", range(1, 17))
def test_cbc_padding_may_have_any_octets_before_its_length(last):
    padding = os.urandom(last - 1) + bytes([last])
    data = cbc(bytes(48 - last), padding)
    document = Document(method=CBC[256], data=data)
    assert decrypted(document.octets(), policy=LEGACY_ENCRYPTION)[0] == bytes(48 - last)


# Algorithms.


@pytest.mark.parametrize("method", [*CBC.values(), TRIPLEDES, XENC + "aes256-gcm", "urn:x-none", ""])
def test_a_weak_or_unknown_cipher_without_legacy(method):
    refused(Document(method=method), "is not allowed")


@pytest.mark.parametrize("method", [PKCS1, XENC + "kw-aes256", "urn:x-none", ""])
def test_a_weak_or_unknown_key_transport_without_legacy(method):
    refused(Document(key_method=method, wrapped=receiver().wrap_old(KEY)), "is not allowed")


@pytest.mark.parametrize("method", [XENC + "kw-aes256", XENC + "des-cbc", "urn:x-none"])
def test_legacy_does_not_allow_everything(method):
    refused(Document(method=method), "is not allowed", policy=LEGACY_ENCRYPTION)
    refused(Document(key_method=method), "is not allowed", policy=LEGACY_ENCRYPTION)


def test_a_downgrade_of_gcm_to_cbc_by_its_name():
    document = Document(method=CBC[256], data=gcm(KEY, PLAIN))
    refused(document, "is not allowed")
    refused(document, "is not the agreed", policy=LEGACY_ENCRYPTION, agreed=[GCM[256]])


def test_a_downgrade_below_what_was_agreed():
    document = b"".join(encrypt_payload([PLAIN], plan(data_method=GCM[128])))
    refused(document, "is not the agreed", agreed=(GCM[256], OAEP_OLD))
    assert decrypted(document, agreed=(GCM[256], GCM[128]))[0] == PLAIN
    assert decrypted(document, agreed=(OAEP_OLD,))[0] == PLAIN


def test_a_key_transport_that_was_not_agreed():
    document = b"".join(encrypt_payload([PLAIN], plan(key_method=PKCS1)))
    refused(document, "is not the agreed", policy=LEGACY_ENCRYPTION, agreed=(OAEP_NEW, GCM[256]))
    assert decrypted(document, policy=LEGACY_ENCRYPTION, agreed=(GCM[256],))[0] == PLAIN


def test_an_agreement_on_what_the_policy_forbids_allows_nothing():
    document = b"".join(encrypt_payload([PLAIN], plan(data_method=CBC[256])))
    refused(document, "is not allowed", agreed=(CBC[256],))


def test_a_cipher_that_this_machine_does_not_support(monkeypatch):
    def unsupported(*_):
        raise UnsupportedAlgorithm("not in this OpenSSL")

    monkeypatch.setattr(Cipher, "decryptor", unsupported)
    refused(Document(), "not supported here")


def test_a_key_transport_that_this_machine_does_not_support():
    padding = OAEP(MGF1(hashes.BLAKE2s(32)), hashes.BLAKE2s(32), None)
    with pytest.raises(DecryptionRefused) as caught:
        unwrap_key(receiver().key, padding, bytes(256), 32)
    assert "not supported here" in caught.value.reason


def test_a_policy_may_be_narrower_than_ours():
    policy = EncryptionPolicy(frozenset({GCM[256]}), frozenset({OAEP_NEW}))
    refused(Document(), "is not allowed", policy=policy)


@pytest.mark.parametrize(
    ("key_method", "content"),
    [
        (OAEP_OLD, '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#md5"/>'),
        (OAEP_OLD, "<ds:DigestMethod/>"),
        (OAEP_OLD, f'<x:MGF xmlns:x="{XENC11}" Algorithm="{XENC11}mgf1sha256"/>'),
        (OAEP_NEW, f'<x:MGF xmlns:x="{XENC11}" Algorithm="{XENC11}mgf1md5"/>'),
        (OAEP_NEW, f'<x:MGF xmlns:x="{XENC11}"/>'),
        (OAEP_NEW, "<xenc:OAEPparams>%%%</xenc:OAEPparams>"),
        (OAEP_NEW, "<xenc:OAEPparams/>" * 2),
        (OAEP_OLD, "<xenc:KeySize>2048</xenc:KeySize>"),
        (OAEP_OLD, "text"),
        (PKCS1, f'<ds:DigestMethod Algorithm="{XENC}sha256"/>'),
    ],
)
def test_parameters_of_the_key_transport_that_mean_nothing(key_method, content):
    refused(Document(key_method=key_method, key_method_content=content), "", policy=LEGACY_ENCRYPTION)


@pytest.mark.parametrize("size", ["128", "0", "-256", "2e2", ""])
def test_a_key_size_that_is_not_that_of_the_cipher(size):
    refused(Document(method_content=f"<xenc:KeySize>{size}</xenc:KeySize>"), "KeySize")


# XML that does something.


def test_a_document_type():
    refused(Document(before="<!DOCTYPE x>"), "document type")


def test_a_document_type_in_small_pieces():
    document = Document(before="<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>").octets()
    refused(document, "document type")
    with pytest.raises(DecryptionRefused):
        decrypted(in_pieces(document, 1))


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY e "AAAA">',
        '<!ENTITY e SYSTEM "file:///etc/hostname">',
        '<!ENTITY % e SYSTEM "http://127.0.0.1:9/"> %e;',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY e "&a;&a;&a;&a;&a;&a;&a;&a;">',
    ],
)
def test_an_entity(declared):
    refused(Document(before=f"<!DOCTYPE x [{declared}]>", cipher_text="&e;"), "document type")


def test_an_entity_that_is_not_declared():
    refused(Document(cipher_text="&e;"), "not well-formed")
    refused(Document(cipher_text="A" * 100_000 + "&nbsp;"), "not well-formed")


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "utf-7", "x-none", "base64"])
def test_another_encoding(encoding):
    refused(Document(before=f'<?xml version="1.0" encoding="{encoding}"?>'), "only UTF-8")


def test_utf_16():
    for encoding in ("utf-16", "utf-16-be", "utf-16-le"):
        refused(Document().octets().decode().encode(encoding), "no XML in UTF-8")


@pytest.mark.parametrize("extra", ["<!-- c -->", "<?pi x?>"])
def test_a_comment_or_processing_instruction(extra):
    text = base64.b64encode(gcm(KEY, PLAIN)).decode()
    for document in (
        Document(before=extra),
        Document(method_content=extra),
        Document(cipher_text=text[:8] + extra + text[8:]),
        Document(after=extra),
    ):
        refused(document, "comment or processing")


@pytest.mark.parametrize(
    "octets", [b"", b" ", b"%PDF-1.7", b"\xff\xfe", b"PK\x03\x04", b"<", b"\xef\xbb\xbf"]
)
def test_a_payload_in_the_clear_that_is_not_xml(octets):
    refused(octets, "not well-formed")


def test_a_payload_in_the_clear_that_is_xml():
    refused(b"<melding><nummer>1</nummer></melding>", "no xenc:EncryptedData")


def test_a_name_in_no_or_another_namespace():
    refused(Document().octets().replace(XENC.encode() + b'"', b'urn:x-other"'), "no xenc:EncryptedData")
    refused(b"<EncryptedData/>", "no xenc:EncryptedData")


def test_data_after_the_document():
    refused(Document().octets() + b"<more/>", "not well-formed")
    refused(Document().octets() * 2, "not well-formed")
    refused(Document().octets() + b"\0", "not well-formed")


def test_a_document_that_ends_early():
    octets = Document(plain=os.urandom(30_000)).octets()
    for length in (*range(0, 3000, 97), *range(len(octets) - 60, len(octets))):
        with pytest.raises(DecryptionRefused):
            decrypted(octets[:length])


# Structure.


def test_a_cipher_reference():
    refused(Document(cipher_data='<xenc:CipherReference URI="cid:p3@them"/>'), "CipherReference")
    refused(Document(cipher_data='<xenc:CipherReference URI="file:///etc/passwd"/>'), "CipherReference")


def test_a_cipher_reference_for_the_key():
    key = encrypted_key("AAAA").replace(
        "<xenc:CipherValue>AAAA</xenc:CipherValue>", '<xenc:CipherReference URI="http://127.0.0.1:9/"/>'
    )
    refused(Document(encrypted_keys=key), "CipherReference")


@pytest.mark.parametrize("element", ["RetrievalMethod", "MgmtData", "X509Data", "KeyValue"])
def test_a_key_that_is_elsewhere(element):
    refused(Document(encrypted_keys=f'<ds:{element} URI="#k"/>'), "KeyInfo of the data has")
    refused(Document(encrypted_keys=encrypted_key("AAAA") + f"<ds:{element}/>"), "KeyInfo of the data has")


def test_a_retrieval_method_for_the_receiver():
    refused(
        Document(hints='<ds:RetrievalMethod URI="http://127.0.0.1:9/"/>'), "KeyInfo of an EncryptedKey has"
    )


def test_an_encrypted_key_inside_an_encrypted_key():
    refused(Document(hints=encrypted_key("AAAA")), "KeyInfo of an EncryptedKey has")


def test_nested_encrypted_data():
    inner = Document().octets().decode()
    refused(Document(cipher_text=inner), "inside the CipherValue")
    refused(Document(encrypted_keys=inner), "KeyInfo of the data has")
    refused(Document(method_content=inner), "unexpected")
    refused(Document(after=inner), "after the CipherValue")
    refused(f"<x>{inner}</x>".encode(), "no xenc:EncryptedData")


def test_encrypted_data_in_encrypted_data_is_not_followed():
    inner = Document().octets()
    assert decrypted(Document(plain=inner).octets())[0] == inner


def test_an_encrypted_key_beside_the_key_info():
    refused(Document(key_info=encrypted_key(receiver().wrap(KEY))), "unexpected")


def test_no_key_at_all():
    refused(Document(key_info=""), "no KeyInfo")
    refused(Document(encrypted_keys=""), "0 EncryptedKeys")
    refused(Document(encrypted_keys="<ds:KeyName>the secret one</ds:KeyName>"), "0 EncryptedKeys")


def test_a_key_that_comes_after_the_data():
    key_info = f"<ds:KeyInfo>{encrypted_key(receiver().wrap(KEY))}</ds:KeyInfo>"
    refused(Document(key_info="", after=key_info), "no KeyInfo")


def test_several_keys_for_our_certificate():
    hints = x509_data(f"<ds:X509Certificate>{receiver().base64}</ds:X509Certificate>")
    keys = encrypted_key(receiver().wrap(KEY), hints) + encrypted_key(receiver().wrap(bytes(32)), hints)
    refused(Document(encrypted_keys=keys), "several EncryptedKeys")


def test_several_keys_of_which_none_is_said_to_be_ours():
    other = x509_data(f"<ds:X509Certificate>{receiver('other').base64}</ds:X509Certificate>")
    ours = encrypted_key(receiver().wrap(KEY))
    refused(Document(encrypted_keys=ours + ours), "no EncryptedKey is for our certificate")
    refused(Document(encrypted_keys=encrypted_key("AAAA", other) + ours), "no EncryptedKey is for our")


@pytest.mark.parametrize(
    "hint",
    [
        f"<ds:X509Certificate>{receiver('other').base64}</ds:X509Certificate>",
        "<ds:X509Certificate>AAAA</ds:X509Certificate>",
        "<ds:X509SKI>AAAA</ds:X509SKI>",
        "<ds:X509IssuerSerial><ds:X509SerialNumber>7</ds:X509SerialNumber></ds:X509IssuerSerial>",
    ],
)
def test_the_only_key_is_for_somebody_else(hint):
    refused(Document(hints=x509_data(hint)), "no EncryptedKey is for our certificate")


def test_a_certificate_without_subject_or_key_identifier_is_nobody_by_name(signer):
    keys = encrypted_key("AAAA", "<ds:KeyName/>") + encrypted_key("AAAA", x509_data("<ds:X509SKI/>"))
    decryptor = PayloadDecryptor(signer.key, signer.certificate)
    with pytest.raises(DecryptionRefused) as caught:
        decryptor.feed(Document(encrypted_keys=keys, plain=bytes(20_000)).octets())
    assert "no EncryptedKey is for our" in caught.value.reason


def test_hundreds_of_keys():
    refused(Document(encrypted_keys="<xenc:EncryptedKey/>" * 300), "EncryptedKey has no")
    refused(Document(encrypted_keys=encrypted_key("AAAA") * 9), "9 EncryptedKeys")


MISSING = ["EncryptionMethod", "CipherData", "CipherValue"]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_part(name):
    document = Document().octets().replace(f"xenc:{name}".encode(), b"xenc:Nothing")
    refused(document, "")


def test_a_missing_method():
    octets = Document().octets().decode()
    method = f'<xenc:EncryptionMethod Algorithm="{GCM[256]}"></xenc:EncryptionMethod>'
    assert method in octets
    refused(octets.replace(method, "").encode(), "has no EncryptionMethod")


def test_a_key_without_method_or_value():
    for gone in ("<xenc:EncryptionMethod", "<xenc:CipherData"):
        end = gone.replace("<", "</") + ">"
        key = encrypted_key("AAAA")
        start, stop = key.index(gone), key.index(end) + len(end)
        refused(Document(encrypted_keys=key[:start] + key[stop:]), "has no")


def test_no_cipher_value():
    refused(Document(cipher_data=""), "no CipherValue")


def test_two_of_what_there_should_be_one():
    refused(Document(cipher_data="<xenc:CipherValue>AAAA</xenc:CipherValue>" * 2), "after the CipherValue")
    refused(Document(after="<xenc:CipherData/>"), "after the CipherValue")
    refused(Document(key_info="<ds:KeyInfo/><ds:KeyInfo/>"), "unexpected")
    refused(Document(hints="", encrypted_keys=encrypted_key("A", more="<xenc:CipherData/>")), "unexpected")


@pytest.mark.parametrize(
    "document",
    [
        Document(key_info="<x/>"),
        Document(method_content="<x/>"),
        Document(cipher_data="<x/><xenc:CipherValue>AAAA</xenc:CipherValue>"),
        Document(cipher_data="text<xenc:CipherValue>AAAA</xenc:CipherValue>"),
        Document(cipher_data="<xenc:CipherValue>AAAA</xenc:CipherValue><x/>"),
        Document(cipher_data="<xenc:CipherValue>AAAA</xenc:CipherValue>text"),
        Document(cipher_text="<x/>"),
        Document(after="<xenc:EncryptionProperties/>"),
        Document(after="text"),
        Document(key_info="text"),
        Document(encrypted_keys="text"),
        Document(hints="text"),
        Document(hints="<x/>"),
        Document(encrypted_keys=encrypted_key("AAAA", more="<x/>")),
        Document(encrypted_keys=encrypted_key("<x/>")),
    ],
)
def test_extra_elements_and_text(document):
    refused(document, "")


@pytest.mark.parametrize(
    "cipher_text", ["%", "A", "AA=", "AAAA=", "=AAA", "A-_A", "AAAA\u00e9", "QQ==QQ==", "\x85AAA"]
)
def test_base64_garbage(cipher_text):
    refused(Document(cipher_text=cipher_text), "not base64")
    refused(Document(cipher_text="A" * 100_000 + cipher_text), "not base64")


def test_base64_garbage_in_the_key():
    refused(Document(wrapped="A%AA"), "not base64")


@pytest.mark.parametrize(
    "attributes",
    ['Encoding="http://www.w3.org/2000/09/xmldsig#base64"', f'Type="{XENC11}EXI"', 'Type="urn:x-gzip"'],
)
def test_a_type_or_encoding_that_asks_for_more(attributes):
    refused(Document(attributes=attributes), "Type or Encoding")


@pytest.mark.parametrize(
    "media_type",
    ["pdf", "a/b&#13;&#10;X: y", "a/b; n=&quot;&#233;&quot;", "a/b; c=1; c=2", "a/" + "b" * 9000],
)
def test_a_media_type_that_is_none(media_type):
    refused(Document(attributes=f'MimeType="{media_type}"'), "is not a media type")


# Size.


def test_a_huge_attribute():
    refused(Document(attributes=f'Id="{"A" * 70_000}"'), "octets before the CipherValue")
    refused(Document(attributes=f'Id="{"A" * 10_000_000}"'), "octets before the CipherValue")


def test_a_huge_attribute_on_the_cipher_value_or_after():
    text = base64.b64encode(gcm(KEY, PLAIN)).decode()
    for name in ("xenc:CipherValue", "x"):
        huge = f'<{name} a="{"A" * 10_000_000}">{text}</{name}>'
        refused(Document(cipher_data=huge), "octets before the CipherValue")
    refused(Document(after=f'<x a="{"A" * 10_000_000}"/>'), "single piece of markup")


def test_thousands_of_attributes():
    attributes = " ".join(f'a{number}="1"' for number in range(100_000))
    refused(Document(attributes=attributes), "octets before the CipherValue")


def test_a_comment_without_end():
    refused(Document(before="<!--" + "A" * 10_000_000), "octets before the CipherValue")
    refused(Document(cipher_text="AAAA<!--" + "A" * 10_000_000), "single piece of markup")


def test_a_huge_key():
    refused(Document(wrapped="A" * 1_000_000), "octets before the CipherValue")


def test_a_head_full_of_elements():
    refused(Document(method_content="<x/>" * 100_000), "octets before the CipherValue")


def test_deep_nesting():
    refused(Document(method_content="<x>" * 30 + "</x>" * 30), "nested deeper")
    refused(b"<a>" * 10_000, "no xenc:EncryptedData")


def test_white_space_without_end_is_bounded_by_the_size():
    refused(Document(cipher_text=" " * 200_000), "larger than is allowed", max_size=100_000)


def test_white_space_after_the_document_without_end():
    refused(Document().octets() + b" " * 10_000_000, "single piece of markup")


def test_a_document_larger_than_allowed():
    document = Document(plain=os.urandom(30_000)).octets()
    assert decrypted(document, max_size=len(document))[1].size == 30_000
    refused(document, "larger than is allowed", max_size=len(document) - 1)


def test_a_huge_attribute_takes_no_memory():
    head = f'<xenc:EncryptedData xmlns:xenc="{XENC}" Id="'.encode()
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate)
    with measured_peak() as peak:
        decryptor.feed(head)
        with pytest.raises(DecryptionRefused):
            feed_all(decryptor, [b"A" * 10_000] * 10_000)
    assert peak.octets < 1024 * 1024


def test_a_huge_tag_octet_by_octet_costs_no_square():
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate)
    started = time.process_time()
    octets = f'<xenc:EncryptedData xmlns:xenc="{XENC}" Id="'.encode() + b"A" * 200_000
    with pytest.raises(DecryptionRefused):
        feed_all(decryptor, in_pieces(octets, 1))
    assert time.process_time() - started < 3


def test_names_that_are_hard_to_split():
    key = receiver().wrap(KEY)
    for name in (
        "=" + " " * 30_000,
        '="' + "\\" * 30_000,
        "=" * 30_000,
        "=#" + "1" * 29_999,
        "=a\\," * 8_000,
    ):
        started = time.process_time()
        keys = encrypted_key(key, f"<ds:KeyName>{name}</ds:KeyName>")
        assert decrypted(Document(encrypted_keys=keys).octets())[0] == PLAIN
        assert time.process_time() - started < 2


# Anything at all.


@given(position=st.integers(0, 10_000), octet=st.integers(0, 255), piece=st.integers(1, 5000))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_octet_anywhere_is_refused_or_changes_no_plain_octet(position, octet, piece):
    document = bytearray(Document().octets())
    document[position % len(document)] = octet
    try:
        outcome, _ = decrypted(in_pieces(bytes(document), piece))
    except DecryptionRefused as refusal:
        outcome = str(refusal)
    assert outcome in {PLAIN, DecryptionRefused.TEXT}


@given(st.binary(max_size=2000))
@settings(deadline=None, max_examples=200)
def test_random_octets_are_refused(octets):
    refused(octets, "")
    refused(
        Document(cipher_text="")
        .octets()
        .replace(b"<xenc:CipherValue></", b"<xenc:CipherValue>" + octets + b"</"),
        "",
    )
