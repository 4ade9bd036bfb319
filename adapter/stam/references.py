# SPDX-License-Identifier: EUPL-1.2

"""The verzoekreferenties: the JSON document of links to everything that belongs to a verzoek, read as a bag
of links.

Its schema is not public; DSO-LV's style is HAL. So every object with an `href` is a link, wherever it
stands, and its relation is the name under which it stands. Which relation means what is configuration.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from adapter.stam.integrity import Expected

MAX_LINKS = 2000
MAX_DEPTH = 32

DEFAULT_VERZOEK = ("verzoek", "verzoekXML", "verzoekbericht", "stam", "stamXML", "xml", "samenvatting")
DEFAULT_PDF = ("pdf", "verzoekPDF", "publiceerbarePDF", "publiceerbaarPDF", "publiceerbareVersie")
DEFAULT_DOCUMENT = ("document", "documenten", "bijlage", "bijlagen")

_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;="  # reserved ones and the percent sign stay as they are (RFC 3986 2.2)
_IGNORED = frozenset({"self", "curies", "next", "prev", "previous", "first", "last", "profile", "search"})
_ID_KEYS = ("documentId", "documentid", "document_id", "id", "identificatie", "uuid")
_NAME_KEYS = ("bestandsnaam", "title", "titel", "name", "naam", "filename")
_TYPE_KEYS = ("type", "mediaType", "mediatype", "contentType")


class ReferencesProblem(ValueError):
    """The references cannot be used; the message is the reason for the operator."""

    @property
    def reason(self) -> str:
        """What is wrong."""
        return str(self)


class LinkKind(StrEnum):
    """What a link leads to."""

    VERZOEK = "verzoek"
    PDF = "pdf"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class LinkRules:
    """The relation names of each kind of link; compared without case, punctuation and CURIE prefix.

    A relation that is in none of the lists is taken for a document: losing an attachment is worse than
    keeping one file too many.
    """

    verzoek: tuple[str, ...] = DEFAULT_VERZOEK
    pdf: tuple[str, ...] = DEFAULT_PDF
    document: tuple[str, ...] = DEFAULT_DOCUMENT

    def kind_of(self, rel: str) -> LinkKind:
        """The kind that a relation name stands for."""
        name = _plain(rel)
        for kind, names in ((LinkKind.VERZOEK, self.verzoek), (LinkKind.PDF, self.pdf)):
            if name in {_plain(each) for each in names}:
                return kind
        return LinkKind.DOCUMENT


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it was found: `href` absolute; the other properties only where the document gives them."""

    rel: str
    href: str
    document_id: str | None = None
    name: str | None = None
    type: str | None = None
    expected: Expected = field(default_factory=Expected)

    @property
    def address(self) -> str:
        """`href` with what is expected of the file: that is how it is stored, and what is fetched."""
        return self.expected.on(self.href)


@dataclass(frozen=True, slots=True)
class References:
    """The links of one verzoek. `verzoek` is None when the STAM XML is not among them (yet)."""

    verzoek: Link | None
    pdf: Link | None
    documents: tuple[Link, ...] = ()

    @property
    def links(self) -> tuple[Link, ...]:
        """All links: the STAM XML first, then the PDF, then the documents in their order."""
        return tuple(link for link in (self.verzoek, self.pdf, *self.documents) if link is not None)


def last_segment(href: str) -> str:
    """The last segment of the path of an address, percent-decoded: where a documentId stands in DSO-LV's
    addresses.
    """
    return unquote(urlsplit(href).path.rstrip("/").rpartition("/")[2])


def read_references(data: bytes, base_url: str, rules: LinkRules | None = None) -> References:
    """Read the references document that was fetched from `base_url`.

    Raises ReferencesProblem when it is not JSON, too deep, or has more than MAX_LINKS links.
    """
    rules = rules or LinkRules()
    links = _distinct(_absolute(link, base_url) for link in _walk_all(_parse(data)))
    of_kind: dict[LinkKind, list[Link]] = {kind: [] for kind in LinkKind}
    for link in links:
        kind = rules.kind_of(link.rel)
        # One STAM XML and one PDF for each verzoek; what else claims to be one is kept as a document.
        is_extra = kind is not LinkKind.DOCUMENT and of_kind[kind]
        of_kind[LinkKind.DOCUMENT if is_extra else kind].append(link)
    return References(
        verzoek=next(iter(of_kind[LinkKind.VERZOEK]), None),
        pdf=next(iter(of_kind[LinkKind.PDF]), None),
        documents=tuple(of_kind[LinkKind.DOCUMENT]),
    )


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise ReferencesProblem(f"the references are not readable JSON: {problem}") from problem


def _walk_all(document: Any) -> Iterator[Link]:
    for count, link in enumerate(_walk(document, rel="", depth=0), start=1):
        if count > MAX_LINKS:
            raise ReferencesProblem(f"the references have more than {MAX_LINKS} links")
        yield link


def _walk(node: Any, rel: str, depth: int) -> Iterator[Link]:
    if depth > MAX_DEPTH:
        raise ReferencesProblem(f"the references are nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, rel, depth + 1)
    elif isinstance(node, dict):
        if isinstance(node.get("href"), str):
            yield from _link(node, rel)
        elif rel and _is_only_self(node):
            # An embedded HAL resource that links to nothing but itself is the thing to fetch.
            yield _described({**node, "href": node["_links"]["self"]["href"]}, rel)
        else:
            yield from _walk_members(node, rel, depth)


def _walk_members(node: Mapping[str, Any], rel: str, depth: int) -> Iterator[Link]:
    for key, value in node.items():
        is_container = key in {"_links", "_embedded", "links"}
        yield from _walk(value, rel if is_container else key, depth + 1)


def _link(node: Mapping[str, Any], rel: str) -> Iterator[Link]:
    own_rel = node.get("rel")
    rel = own_rel if isinstance(own_rel, str) and own_rel else rel
    if _plain(rel) not in _IGNORED and node.get("templated") is not True:
        yield _described(node, rel)


def _is_only_self(node: Mapping[str, Any]) -> bool:
    links = node.get("_links")
    if not isinstance(links, dict) or set(links) != {"self"}:
        return False
    return isinstance(links["self"], dict) and isinstance(links["self"].get("href"), str)


def _described(node: Mapping[str, Any], rel: str) -> Link:
    media_type = _first_text(node, _TYPE_KEYS)
    return Link(
        rel=rel,
        href=node["href"],
        document_id=_first_text(node, _ID_KEYS),
        name=_first_text(node, _NAME_KEYS),
        type=media_type if media_type and "/" in media_type else None,
        expected=Expected.of_link(node),
    )


def _first_text(node: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((node[key] for key in keys if isinstance(node.get(key), str) and node[key]), None)


def _absolute(link: Link, base_url: str) -> Link:
    try:
        # What must not stand in a request line (spaces, line breaks, letters beyond ASCII) is encoded.
        href = quote(urldefrag(urljoin(base_url, link.href)).url, safe=_URL_CHARACTERS)
    except ValueError as problem:
        raise ReferencesProblem(f"the link {link.href[:200]!r} is not a URL: {problem}") from problem
    return replace(link, href=href)


def _distinct(links: Iterator[Link]) -> tuple[Link, ...]:
    """Each address once, as it was named first."""
    by_href: dict[str, Link] = {}
    for link in links:
        by_href.setdefault(link.href, link)
    return tuple(by_href.values())


def _plain(rel: str) -> str:
    """A relation name without prefix, punctuation and case: `dso:publiceerbare-pdf` = `publiceerbarePDF`."""
    name = re.split("[:/#]", rel.rstrip(":/#"))[-1]
    return "".join(letter for letter in name.lower() if letter.isalnum())
