# SPDX-License-Identifier: EUPL-1.2

"""Encrypting and decrypting payloads, with libxmlsec1 as judge in both directions."""

import base64
import os
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapter.ebms.encryption import (
    LEGACY_ENCRYPTION,
    MAX_PLAIN_SIZE,
    STRICT_ENCRYPTION,
    DecryptionRefused,
    EncryptionPlan,
    EncryptionProblem,
    PayloadDecryptor,
    decrypt_payload,
    encrypt_payload,
    encrypted_size,
)
from tests.ebms.encrypted import (
    CBC,
    DS,
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
    in_pieces,
    judge_decrypts,
    judge_encrypts,
    plan,
    receiver,
    x509_data,
)
from tests.memory import measured_peak

DATA_METHODS = [*GCM.values(), *CBC.values()]
KEY_METHODS = [OAEP_OLD, OAEP_NEW, PKCS1]
X, D = f"{{{XENC}}}", f"{{{DS}}}"
PLAIN = b"%PDF-1.7 plain octets"


def encrypt(plain, size=1000, **wishes):
    return b"".join(encrypt_payload(in_pieces(plain, size), plan(**wishes)))


# What is sent.


def test_the_document_has_the_shape_that_peers_know():
    root = etree.fromstring(encrypt(PLAIN, part_id="p2", policy=STRICT_ENCRYPTION))
    assert root.tag == X + "EncryptedData"
    assert dict(root.attrib) == {"Id": "p2", "MimeType": "application/pdf"}
    assert [child.tag for child in root] == [X + "EncryptionMethod", D + "KeyInfo", X + "CipherData"]
    assert root[0].get("Algorithm") == GCM[256]
    (key,) = root[1]
    assert [child.tag for child in key] == [X + "EncryptionMethod", D + "KeyInfo", X + "CipherData"]
    assert key[0].get("Algorithm") == OAEP_OLD
    assert len(key[0]) == 0
    assert key.findtext(f"{D}KeyInfo/{D}X509Data/{D}X509Certificate") == receiver().base64
    assert len(base64.b64decode(root.findtext(f"{X}CipherData/{X}CipherValue"))) == 12 + len(PLAIN) + 16


def test_the_newer_oaep_names_its_digest_and_its_mask():
    method = etree.fromstring(encrypt(PLAIN, key_method=OAEP_NEW)).find(
        f".//{X}EncryptedKey/{X}EncryptionMethod"
    )
    assert [(child.tag, child.get("Algorithm")) for child in method] == [
        (D + "DigestMethod", XENC + "sha256"),
        (f"{{{XENC11}}}MGF", XENC11 + "mgf1sha256"),
    ]


def test_the_type_that_some_peers_expect_is_added_on_request():
    assert etree.fromstring(encrypt(PLAIN, element_type=True)).get("Type") == XENC + "Element"
    assert etree.fromstring(encrypt(PLAIN)).get("Type") is None


@pytest.mark.parametrize(
    ("part_id", "name"),
    [
        ("p2", "p2"),
        ("p2.4f0e@loket.example", "p2.4f0e_loket.example"),
        ("1:a", "_1_a"),
        ("", "_"),
        ("é", "_"),
    ],
)
def test_a_content_id_becomes_an_xml_name(part_id, name):
    assert etree.fromstring(encrypt(PLAIN, part_id=part_id)).get("Id") == name


def test_the_media_type_is_escaped_and_comes_back_with_its_parameters():
    media_type = 'text/xml; charset="UTF-8"; name="<&\'>"'
    assert decrypted(encrypt(PLAIN, media_type=media_type))[1].media_type == media_type


def test_each_time_there_is_a_new_key_and_a_new_initialisation_vector():
    texts = re.findall(rb"CipherValue>([^<]+)<", encrypt(PLAIN) + encrypt(PLAIN))
    assert len(set(texts)) == 4


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"data_method": CBC[256]}, "data cannot be encrypted"),
        ({"data_method": "urn:x-none"}, "data cannot be encrypted"),
        ({"data_method": TRIPLEDES, "policy": LEGACY_ENCRYPTION}, "data cannot be encrypted"),
        ({"key_method": PKCS1}, "keys cannot be encrypted"),
        ({"media_type": "pdf"}, "not a media type"),
        ({"media_type": "text/xml;\r\n charset=UTF-8"}, "not a media type"),
        ({"media_type": 'text/xml; name="é"'}, "not a media type"),
    ],
)
def test_what_cannot_be_asked_for(wishes, reason):
    with pytest.raises(EncryptionProblem, match=reason):
        plan(**{"policy": STRICT_ENCRYPTION} | wishes)


def test_a_certificate_without_rsa_key_cannot_be_encrypted_for(ec_signer):
    with pytest.raises(EncryptionProblem, match="no RSA key"):
        EncryptionPlan(ec_signer.certificate, "text/xml")


def test_a_short_rsa_key_is_not_encrypted_for():
    with pytest.raises(EncryptionProblem, match="1024 bits"):
        EncryptionPlan(receiver("short", 1024).certificate, "text/xml")


def test_a_size_that_gcm_cannot_encrypt_is_a_problem():
    assert encrypted_size(MAX_PLAIN_SIZE, plan()) > MAX_PLAIN_SIZE
    for size in (-1, MAX_PLAIN_SIZE + 1):
        with pytest.raises(EncryptionProblem, match="cannot be encrypted"):
            encrypted_size(size, plan())


def test_a_payload_that_turns_out_larger_than_gcm_can_encrypt_is_broken_off(monkeypatch):
    monkeypatch.setattr("adapter.ebms.encrypting.MAX_PLAIN_SIZE", 9)
    with pytest.raises(EncryptionProblem, match="larger than 9"):
        encrypt(b"0123456789", size=5)


def test_an_error_of_the_source_passes_through():
    def broken():
        yield PLAIN
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(encrypt_payload(broken(), plan()))


# The judge.


@pytest.mark.parametrize("key_method", KEY_METHODS)
@pytest.mark.parametrize("method", DATA_METHODS)
def test_the_judge_decrypts_what_we_encrypt(method, key_method):
    for size in (0, 1, 15, 16, 17, 100_000):
        plain = os.urandom(size)
        document = encrypt(plain, data_method=method, key_method=key_method)
        assert judge_decrypts(document, receiver()) == plain


@pytest.mark.parametrize("key_method", KEY_METHODS)
@pytest.mark.parametrize("method", [*DATA_METHODS, TRIPLEDES])
def test_we_decrypt_what_the_judge_encrypts(method, key_method):
    for size in (1, 15, 16, 17, 100_000):
        plain = os.urandom(size)
        document = judge_encrypts(plain, receiver(), method, key_method)
        found, payload = decrypted(document, policy=LEGACY_ENCRYPTION)
        assert found == plain
        assert payload.media_type == "text/xml"
        assert payload.size == size
        assert (payload.data_method, payload.key_method) == (method, key_method)
        assert payload.authenticated is (method in GCM.values())


@pytest.mark.parametrize("mask", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("digest", ["xmlenc#sha256", "xmldsig-more#sha384", "xmlenc#sha512"])
def test_we_decrypt_with_the_digest_and_the_mask_that_the_judge_was_told(digest, mask):
    content = (
        f'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/{digest}"/>'
        f'<x:MGF xmlns:x="{XENC11}" Algorithm="{XENC11}mgf1{mask}"/>'
    )
    assert decrypted(judge_encrypts(PLAIN, receiver(), GCM[128], OAEP_NEW, content))[0] == PLAIN


def test_we_decrypt_with_another_digest_in_the_older_oaep_as_the_judge_does():
    content = f'<ds:DigestMethod Algorithm="{XENC}sha256"/>'
    assert decrypted(judge_encrypts(PLAIN, receiver(), GCM[256], OAEP_OLD, content))[0] == PLAIN


def test_we_decrypt_with_the_label_that_the_judge_was_told():
    content = "<xenc:OAEPparams>bGFiZWw=</xenc:OAEPparams>"
    assert decrypted(judge_encrypts(PLAIN, receiver(), GCM[256], OAEP_OLD, content))[0] == PLAIN


# Sizes and pieces.


@given(
    plain=st.binary(max_size=70_000),
    method=st.sampled_from(DATA_METHODS),
    key_method=st.sampled_from(KEY_METHODS),
    plain_piece=st.integers(1, 70_000),
    piece=st.integers(1, 100_000),
)
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_any_size_in_any_pieces_comes_back(plain, method, key_method, plain_piece, piece):
    wishes = plan(data_method=method, key_method=key_method)
    document = b"".join(encrypt_payload(in_pieces(plain, max(plain_piece, len(plain) // 500)), wishes))
    assert len(document) == encrypted_size(len(plain), wishes)
    pieces = in_pieces(document, max(piece, len(document) // 500))
    found, payload = decrypted(pieces, policy=LEGACY_ENCRYPTION)
    assert found == plain
    assert payload.size == len(plain)


@given(size=st.integers(0, 200), method=st.sampled_from(DATA_METHODS))
@settings(deadline=None, max_examples=60)
def test_the_size_is_known_beforehand(size, method):
    assert len(encrypt(bytes(size), data_method=method)) == encrypted_size(size, plan(data_method=method))


@pytest.mark.parametrize("method", [GCM[256], CBC[256]])
def test_octet_by_octet(method):
    document = encrypt(PLAIN * 1000, data_method=method)
    assert decrypted(in_pieces(document, 1), policy=LEGACY_ENCRYPTION)[0] == PLAIN * 1000


def test_an_rsa_key_of_an_odd_size_is_counted_right():
    certificate = receiver("odd", 2049).certificate
    assert len(encrypt(PLAIN, certificate=certificate)) == encrypted_size(
        len(PLAIN), plan(certificate=certificate)
    )


@pytest.mark.parametrize("method", [GCM[256], CBC[256]])
def test_memory_does_not_grow_with_the_payload(method):
    block, count = os.urandom(64 * 1024), 512
    wishes = plan(data_method=method)
    list(
        decrypt_payload(
            encrypt_payload([block], wishes), receiver().key, receiver().certificate, policy=LEGACY_ENCRYPTION
        )
    )
    with measured_peak() as peak:
        document = encrypt_payload((block for _ in range(count)), wishes)
        stream = decrypt_payload(document, receiver().key, receiver().certificate, policy=LEGACY_ENCRYPTION)
        size = sum(len(plain) for plain in stream)
    assert size == count * len(block)
    assert peak.octets < 2 * 1024 * 1024


def test_one_large_chunk_is_handled_in_small_pieces():
    plain = os.urandom(3_000_000)
    document = b"".join(encrypt_payload([plain], plan()))
    assert max(map(len, encrypt_payload([plain], plan()))) < 100_000
    pieces = list(decrypt_payload([document], receiver().key, receiver().certificate))
    assert max(map(len, pieces)) < 100_000
    assert b"".join(pieces) == plain


# What is received.


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "&#13;\n", " ", "\t"])
def test_base64_in_lines_of_any_kind(line_end):
    document = Document(plain=os.urandom(50_000), data=None)
    text = re.search(
        rb"CipherData><xenc:CipherValue>([^<]+)</xenc:CipherValue></xenc:CipherData>\s*</xenc:EncryptedData",
        document.octets(),
    )
    lines = line_end.join(in_pieces(text[1].decode(), 76)) + line_end
    assert decrypted(Document(cipher_text=line_end + lines).octets())[0] == document.plain


def test_cdata_and_character_references_are_text():
    text = re.findall(rb"CipherValue>([^<]+)<", Document().octets())[-1].decode()
    wrapped = f"<![CDATA[{text[:8]}]]>&#x{ord(text[8]):x};{text[9:]}"
    assert decrypted(Document(cipher_text=wrapped).octets())[0] == PLAIN


def test_a_byte_order_mark_and_a_declaration_are_fine():
    document = Document(before='\ufeff<?xml version="1.0" encoding="utf-8"?>\n')
    assert decrypted(document.octets())[0] == PLAIN


def test_other_prefixes_and_a_default_namespace_are_fine():
    document = (
        Document().octets().replace(b"xenc:", b"").replace(b"xmlns:xenc", b"xmlns").replace(b"ds:", b"dsig:")
    )
    document = document.replace(b"xmlns:ds=", b"xmlns:dsig=").replace(b":xenc=", b"=")
    assert b"<EncryptedData xmlns=" in document
    assert decrypted(document)[0] == PLAIN


def test_a_missing_media_type_is_unknown():
    assert decrypted(Document(attributes="").octets())[1].media_type is None
    assert decrypted(Document(attributes='MimeType=" "').octets())[1].media_type is None


@pytest.mark.parametrize("kind", ["Element", "Content", ""])
def test_the_types_that_peers_send_are_read(kind):
    document = Document(attributes=f'Type="{XENC + kind if kind else ""}"')
    assert decrypted(document.octets())[0] == PLAIN


def test_a_key_size_that_is_right_is_fine():
    assert decrypted(Document(method_content="<xenc:KeySize> 256 </xenc:KeySize>").octets())[0] == PLAIN


def test_references_and_names_that_mean_nothing_here_are_left():
    references = '<xenc:ReferenceList><xenc:DataReference URI="#p2"/></xenc:ReferenceList>'
    more = references + "<xenc:CarriedKeyName>k</xenc:CarriedKeyName>"
    keys = "<ds:KeyName>k</ds:KeyName>" + encrypted_key(receiver().wrap(bytes(range(32))), more=more)
    assert decrypted(Document(encrypted_keys=keys).octets())[0] == PLAIN


def test_the_newer_oaep_without_more_means_sha1():
    wrapped = receiver().wrap(bytes(range(32)))
    assert decrypted(Document(key_method=OAEP_NEW, wrapped=wrapped).octets())[0] == PLAIN


def test_the_mask_of_the_older_oaep_is_sha1_whatever_the_digest():
    padding = OAEP(MGF1(hashes.SHA1()), hashes.SHA512(), None)
    wrapped = base64.b64encode(receiver().key.public_key().encrypt(bytes(range(32)), padding)).decode()
    content = f'<ds:DigestMethod Algorithm="{XENC}sha512"/>'
    assert decrypted(Document(wrapped=wrapped, key_method_content=content).octets())[0] == PLAIN


# For whom it is.

SERIAL = (
    "<ds:X509IssuerSerial><ds:X509IssuerName>{}</ds:X509IssuerName>"
    "<ds:X509SerialNumber>{}</ds:X509SerialNumber></ds:X509IssuerSerial>"
)
JAVA = 'CN=Voorbeeldstad, SERIALNUMBER=00000001001100415000, O="Gemeente, dienst & beheer", C=NL'
RFC4514 = r"CN=Voorbeeldstad,2.5.4.5=#13143030303030303031303031313030343135303030,O=Gemeente\, dienst & beheer,C=NL"
OPENSSL = r"C = NL, O = Gemeente\, dienst & beheer, serialNumber = 00000001001100415000, CN = Voorbeeldstad"


def hints_for(to, kind):
    """The ways to say for whom an EncryptedKey is."""
    identifier = base64.b64encode(to.key_identifier).decode()
    return {
        "certificate": x509_data(f"<ds:X509Certificate>\n{to.base64}\n</ds:X509Certificate>"),
        "serial": x509_data(SERIAL.format("CN=TSP CA", to.certificate.serial_number)),
        "identifier": x509_data(f"<ds:X509SKI>{identifier}</ds:X509SKI>"),
    }[kind]


def name_hint(name, *, tag="KeyName"):
    text = name.replace("&", "&amp;")
    hint = f"<ds:{tag}>{text}</ds:{tag}>"
    return hint if tag == "KeyName" else x509_data(hint)


@pytest.mark.parametrize("kind", ["certificate", "serial", "identifier"])
def test_the_key_for_our_certificate_is_picked_from_several(kind):
    other, key = receiver("other"), bytes(range(32))
    theirs = encrypted_key(other.wrap(key), hints_for(other, kind))
    ours = encrypted_key(receiver().wrap(key), hints_for(receiver(), kind))
    for keys in (theirs + ours, ours + theirs):
        assert decrypted(Document(encrypted_keys=keys).octets())[0] == PLAIN
        assert decrypted(Document(encrypted_keys=keys).octets(), other)[0] == PLAIN


@pytest.mark.parametrize("tag", ["KeyName", "X509SubjectName"])
@pytest.mark.parametrize("name", [JAVA, RFC4514, OPENSSL])
def test_the_key_is_picked_by_the_name_of_the_subject_however_it_is_spelled(name, tag):
    key = bytes(range(32))
    ours = encrypted_key(receiver().wrap(key), name_hint(name, tag=tag))
    theirs = encrypted_key(
        receiver("other").wrap(key), name_hint(name.replace("Voorbeeldstad", "other"), tag=tag)
    )
    assert decrypted(Document(encrypted_keys=theirs + ours).octets())[0] == PLAIN


@pytest.mark.parametrize("hints", ["", name_hint("a name of their own"), name_hint(JAVA), "<ds:KeyValue/>"])
def test_the_only_key_is_ours_unless_it_says_otherwise(hints):
    key = encrypted_key(receiver().wrap(bytes(range(32))), hints)
    assert decrypted(Document(encrypted_keys=key).octets())[0] == PLAIN


def test_a_chain_of_certificates_is_a_hint_for_each():
    certificates = "".join(
        f"<ds:X509Certificate>{each.base64}</ds:X509Certificate>" for each in (receiver("other"), receiver())
    )
    assert decrypted(Document(hints=x509_data(certificates)).octets())[0] == PLAIN


# The push interface.


def test_plain_octets_come_before_the_document_has_ended():
    document = Document(plain=os.urandom(300_000)).octets()
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate)
    early = b"".join(decryptor.feed(piece) for piece in in_pieces(document[:-20_000], 10_000))
    assert len(early) > 200_000
    late = decryptor.feed(document[-20_000:])
    last, payload = decryptor.finish()
    assert payload.size == 300_000 == len(early + late + last)


def test_after_a_refusal_all_is_refused_for_the_same_reason():
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate)
    reasons = set()
    for call in (
        lambda: decryptor.feed(b"<x>" + bytes(9000)),
        lambda: decryptor.feed(Document().octets()),
        decryptor.finish,
    ):
        with pytest.raises(DecryptionRefused) as caught:
            call()
        reasons.add(caught.value.reason)
    assert len(reasons) == 1


def test_a_payload_is_finished_once():
    decryptor = PayloadDecryptor(receiver().key, receiver().certificate)
    decryptor.feed(Document().octets())
    assert decryptor.finish()[1].size == len(PLAIN)
    with pytest.raises(DecryptionRefused):
        decryptor.finish()
