# SPDX-License-Identifier: EUPL-1.2

"""Hardened XML parsing: the one door through which XML from outside comes in.

The document is read twice. The first pass builds nothing: it only counts, and stops at a document type
declaration, at too deep nesting or at too much of anything, before an entity could be expanded or memory be
taken. The second pass builds the tree, with comments and white space kept, so that signatures can be verified
on it.
"""

from collections.abc import Mapping
from typing import TypedDict, cast

from lxml import etree

DEFAULT_MAX_BYTES = 10 * 1024 * 1024
DEFAULT_MAX_DEPTH = 200
MAX_ATTRIBUTES = 200

MAX_NODES = 500_000
"""Elements, attributes, namespace declarations, comments and processing instructions: each takes up to 216 octets of
memory for as few as 4 of the document."""

MAX_NAMESPACE_WORK = 200_000_000
"""The sum over all elements of the square of the namespaces that are declared for it: what inclusive canonicalisation
takes, of which libxml2 does 300 million in a second."""


class _ParserOptions(TypedDict):
    resolve_entities: bool
    no_network: bool
    load_dtd: bool
    dtd_validation: bool
    attribute_defaults: bool
    huge_tree: bool
    recover: bool


_HARDENED = _ParserOptions(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    attribute_defaults=False,
    huge_tree=False,
    recover=False,
)


class XmlRefused(ValueError):
    """The bytes are not well-formed XML, or are XML that is refused whatever it says."""


class _Guard:
    """A parser target that keeps no content and raises on what is refused."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth
        self._nodes = 0
        self._declared = [0]
        self._work = 0

    def doctype(self, _name: str | None, _public_id: str | None, _system: str | None) -> None:
        raise XmlRefused("a document type declaration (DTD) is refused; send the XML without <!DOCTYPE>")

    def start(
        self, _tag: str, attributes: Mapping[str, str], namespaces: Mapping[str | None, str] | None = None
    ) -> None:
        if len(self._declared) > self._max_depth:
            raise XmlRefused(f"the XML is nested deeper than {self._max_depth} elements")
        if len(attributes) > MAX_ATTRIBUTES:
            raise XmlRefused(f"an element has {len(attributes)} attributes; at most {MAX_ATTRIBUTES} allowed")
        declarations = len(namespaces or ())
        self._count(1 + len(attributes) + declarations)
        self._declared.append(self._declared[-1] + declarations)
        self._work += self._declared[-1] ** 2
        if self._work > MAX_NAMESPACE_WORK:
            raise XmlRefused("too many namespaces are declared for too many elements")

    def end(self, _tag: str) -> None:
        self._declared.pop()

    def comment(self, _text: str) -> None:
        self._count(1)

    def pi(self, _target: str, _data: str | None = None) -> None:
        self._count(1)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise XmlRefused(f"the XML has more than {MAX_NODES} elements, attributes and comments together")

    def close(self) -> None:
        """Nothing is kept."""


def parse_xml(
    data: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES, max_depth: int = DEFAULT_MAX_DEPTH
) -> etree._Element:
    """Parse an XML document from an untrusted source and return its root element.

    No DTD (refused whatever is in it), hence no entities but the five predefined ones; no network;
    bounded size in bytes, depth in elements, attributes per element, nodes, and namespaces. Comments,
    processing instructions and white space stay in the tree.

    Raises XmlRefused.
    """
    if len(data) > max_bytes:
        raise XmlRefused(f"the XML is {len(data)} bytes; at most {max_bytes} are read")
    try:
        # A parser is cheap and holds state (its error log), so each document gets its own.
        # lxml asks of a target only the methods that it has; the type of a target has all of them.
        guard = cast("etree.ParserTarget[None]", _Guard(max_depth))
        etree.fromstring(data, etree.XMLParser(target=guard, **_HARDENED))
        root = etree.fromstring(data, etree.XMLParser(**_HARDENED))
    except etree.XMLSyntaxError as error:
        raise XmlRefused(f"not well-formed XML: {error.msg}") from error
    if root.getroottree().docinfo.doctype:
        raise XmlRefused("a document type declaration (DTD) is refused")
    return root
