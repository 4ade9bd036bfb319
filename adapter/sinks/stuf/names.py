# SPDX-License-Identifier: EUPL-1.2

"""The namespaces of StUF, and how elements in them are made (StUF 3.01, StUF-ZKN 3.10, StUF-BG 3.10, ZDS 1.2)."""

import re
from typing import Final

from lxml import etree

from adapter.sinks.naming import bounded

STUF: Final = "http://www.egem.nl/StUF/StUF0301"
ZKN: Final = "http://www.egem.nl/StUF/sector/zkn/0310"
BG: Final = "http://www.egem.nl/StUF/sector/bg/0310"
ZDS: Final = "http://www.stufstandaarden.nl/koppelvlak/zds0120"
XMIME: Final = "http://www.w3.org/2005/05/xmlmime"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

_PREFIXES: Final = {"StUF": STUF, "ZKN": ZKN, "BG": BG, "xmime": XMIME, "xsi": XSI}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def root(namespace: str, name: str) -> etree._Element:
    """The root of a message."""
    return etree.Element(f"{{{namespace}}}{name}", nsmap=dict(_PREFIXES))


def add(
    parent: etree._Element, namespace: str, name: str, text: str | None = None, **attributes: str
) -> etree._Element:
    """A new last child; the attributes are those of StUF, such as `entiteittype`."""
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    for key, value in attributes.items():
        element.set(f"{{{STUF}}}{key}", clean(value))
    if text is not None:
        element.text = clean(text)
    return element


def add_known(parent: etree._Element, namespace: str, name: str, text: str | None, limit: int) -> None:
    """A new last child with a text, cut to its longest; none where nothing is known."""
    if text:
        add(parent, namespace, name, bounded(text, limit))


def add_whole(parent: etree._Element, namespace: str, name: str, text: str | None, limit: int) -> None:
    """A new last child with a text that means something else when it is cut; none where it does not fit."""
    if text and len(text) <= limit:
        add(parent, namespace, name, text)
