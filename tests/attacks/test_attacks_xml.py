# SPDX-License-Identifier: EUPL-1.2

"""Attacks with XML, by name, beside those of tests/cpa/test_cpa_xml.py: on every reader of what others wrote."""

from collections.abc import Callable

import pytest
from lxml import etree

from adapter.ebms import SoapFault, read_envelope
from adapter.verzoek import (
    NotificationProblem,
    VerzoekberichtProblem,
    read_notification,
    read_verzoekbericht,
)
from cpa import CpaError, XmlRefused, parse_cpa, parse_xml
from tests.memory import measured_peak

READERS: list[tuple[Callable[[bytes], object], type[Exception]]] = [
    (parse_xml, XmlRefused),
    (read_envelope, SoapFault),
    (parse_cpa, CpaError),
    (read_notification, NotificationProblem),
    (read_verzoekbericht, VerzoekberichtProblem),
]

MANY_ATTRIBUTES = b"<b" + b"".join(b' a%d="1"' % number for number in range(150)) + b"/>"
SUBSET = '<!ENTITY x "y">'


def declarations(number: int, prefix: str = "n") -> str:
    return " ".join(f'xmlns:{prefix}{each}="urn:x:{each}"' for each in range(number))


def entities(levels: int, width: int) -> str:
    return '<!ENTITY l0 "ha">' + "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * width}">' for n in range(1, levels)
    )


ATTACKS: dict[str, bytes] = {
    "billion laughs": f"<!DOCTYPE a [{entities(20, 10)}]><a>&l19;</a>".encode(),
    "quadratic blow-up": f'<!DOCTYPE a [<!ENTITY x "{"x" * 100_000}">]><a>{"&x;" * 100_000}</a>'.encode(),
    "entities in attributes": f'<!DOCTYPE a [{entities(20, 10)}]><a b="&l19;"/>'.encode(),
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a/>',
    "external DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
    "attributes by default": b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
    "DTD in UTF-16 without a mark": f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [{SUBSET}]><a/>'.encode(
        "utf-16-le"
    ),
    "DTD in UTF-32": f"<!DOCTYPE a [{SUBSET}]><a/>".encode("utf-32"),
    "DTD in UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-',
    "DTD in EBCDIC": f'<?xml version="1.0" encoding="cp037"?><!DOCTYPE a [{SUBSET}]><a/>'.encode("cp037"),
    "encoding that nobody has": b'<?xml version="1.0" encoding="base64"?><a/>',
    "NUL": b"<a>\0</a>",
    "depth bomb": b"<a>" * 100_000 + b"</a>" * 100_000,
    "flood of attributes": b"<a " + b" ".join(b'a%d="1"' % n for n in range(100_000)) + b"/>",
    "flood of namespaces": f"<a {declarations(100_000)}/>".encode(),
    "flood of namespaces on the way down": "".join(
        f"<a {declarations(500, f'n{level}x')}>" for level in range(150)
    ).encode()
    + b"</a>" * 150,
    "flood of elements": b"<a>" + b"<b/>" * 2_400_000 + b"</a>",
    "flood of comments": b"<a>" + b"<!---->" * 1_400_000 + b"</a>",
    "flood of processing instructions": b"<a>" + b"<?p?>" * 2_000_000 + b"</a>",
    "flood of attributes on many elements": b"<a>" + MANY_ATTRIBUTES * 7_000 + b"</a>",
    "huge text": b"<a>" + b"x" * (10 * 2**20 + 1) + b"</a>",
    "huge attribute": b'<a b="' + b"x" * (10 * 2**20 - 100) + b'"/>',
    "huge name": b"<" + b"a" * 5_000_000 + b"/>",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("read", "refusal"), READERS, ids=lambda each: getattr(each, "__name__", ""))
def test_an_attack_with_xml_is_refused(
    attack: str, read: Callable[[bytes], object], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        read(ATTACKS[attack])


@pytest.mark.parametrize(
    "attack", [name for name in ATTACKS if name.startswith(("flood", "huge", "quadratic"))]
)
def test_an_attack_with_xml_takes_no_memory(attack: str) -> None:
    """Of Python's own; what libxml2 has is bounded by the nodes that are counted."""
    octets = ATTACKS[attack]
    with measured_peak() as peak, pytest.raises(XmlRefused):
        parse_xml(octets)
    assert peak.octets < 64 * 2**20


def test_namespaces_that_would_take_minutes_to_canonicalise_are_refused() -> None:
    """Inclusive canonicalisation goes by the square of the namespaces in scope, per element: half a minute here."""
    attack = f"<a {declarations(1_000)}>{'<b/>' * 9_000}</a>".encode()
    with pytest.raises(XmlRefused, match="namespaces"):
        parse_xml(attack)


def test_as_many_namespaces_and_elements_as_anybody_has_are_read_and_canonicalised() -> None:
    root = parse_xml(f"<a {declarations(60)}>{'<b/>' * 50_000}</a>".encode())
    assert etree.tostring(root, method="c14n").startswith(b"<a ")


@pytest.mark.parametrize(
    "reference",
    [
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>',
        '<b xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="u http://127.0.0.1:9/x"/>',
        '<b xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="file:///etc/passwd" xlink:show="embed"/>',
        '<?xml-stylesheet href="http://127.0.0.1:9/x.xsl"?>',
        '<b xml:base="file:///etc/"/>',
    ],
    ids=["XInclude", "schemaLocation", "XLink", "stylesheet", "xml:base"],
)
def test_nothing_that_a_document_points_at_is_fetched(reference: str) -> None:
    """It stays what it is: the tree that is read is the document, and no more."""
    root = parse_xml(f"<a>{reference}</a>".encode())
    assert "root:" not in etree.tostring(root, encoding="unicode")
    assert len(root) == 1
    assert not len(root[0])
    assert not (root[0].text or "").strip().startswith("root")
