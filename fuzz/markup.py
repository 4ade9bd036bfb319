# SPDX-License-Identifier: EUPL-1.2

"""Changing XML as a tree: elements go, come twice, move and get the names, texts and attributes of others."""

import random
from copy import deepcopy
from typing import Final

from lxml import etree

from adapter.ebms.names import DS_NS, SOAP_NS
from cpa import XmlRefused, parse_xml

_TEXTS: Final = (
    "", " ", "0", "-1", "00", "true", "NaN", "1e999", "9" * 40, "9999-12-31T24:00:00Z", "0001-01-01T00:00:00+14:00",
    "P9999999999D", "PT0S", "AAAA", "AA=", "cid:", "cid:p1@them", "cid:%70%31@them", "#m1", "http://localhost/",
    "é\u202e", "a\nb", "52.0 5.0 " * 5, "urn:osb:oin:00000001001100415000", "\U0001f4a9",
)  # fmt: skip
_NAMESPACES: Final = ("relative", "urn:x", SOAP_NS, DS_NS)


def mutate(data: bytes, max_size: int, seed: int) -> bytes | None:
    """Another document that differs in one to three places; None where `data` is no XML, or the other is too large."""
    chance = random.Random(seed)  # noqa: S311 - variety, no secret
    try:
        root = parse_xml(data)
    except XmlRefused:
        return None
    for _ in range(chance.randint(1, 3)):
        _change(root, chance)
    octets = etree.tostring(root, xml_declaration=chance.random() < 0.5, encoding="UTF-8")
    return octets if len(octets) <= max_size else None


def _change(root: etree._Element, chance: random.Random) -> None:
    elements = list(root.iterdescendants(etree.Element))
    if elements:
        change = chance.choice((_change_place, _change_words))
        change(chance.choice(elements), chance.choice(elements), chance)


def _change_place(element: etree._Element, other: etree._Element, chance: random.Random) -> None:
    parent = element.getparent()
    assert parent is not None
    match chance.choice(("drop", "double", "empty", "move", "wrap", "comment")):
        case "drop":
            parent.remove(element)
        case "double":
            parent.insert(chance.randint(0, len(parent)), deepcopy(element))
        case "empty":
            for child in element:
                element.remove(child)
        case "move" if element is not other and element not in other.iterancestors():
            other.append(element)
        case "wrap":
            etree.SubElement(parent, element.tag).append(element)
        case _:
            element.insert(0, etree.Comment("c"))


def _change_words(element: etree._Element, other: etree._Element, chance: random.Random) -> None:
    match chance.choice(("rename", "swap", "text", "tail", "set", "unset", "namespace")):
        case "rename":
            element.tag = other.tag
        case "swap":
            element.text, other.text = other.text, element.text
        case "text":
            element.text = chance.choice(_TEXTS)
        case "tail":
            element.tail = chance.choice(_TEXTS)
        case "namespace":
            element.tag = f"{{{chance.choice(_NAMESPACES)}}}{etree.QName(element).localname}"
        case "unset" if element.keys():
            del element.attrib[chance.choice(element.keys())]
        case _:
            names = [*element.keys(), *other.keys()] or ["a"]
            element.set(chance.choice(names), chance.choice([*other.values(), *_TEXTS]))
