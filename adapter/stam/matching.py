# SPDX-License-Identifier: EUPL-1.2

"""Which link leads to which document of the verzoek, and what each file is called in a delivery.

The references know addresses and the verzoekbericht knows documents; what they share is the documentId,
which a link has as a property, or as the last segment of its address.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapter.delivery import unique_names
from adapter.stam.references import Link, References, last_segment
from adapter.store import FileKind, NewFile
from adapter.verzoek import Document

VERZOEK_PATH = "verzoek.xml"
PDF_PATH = "verzoek.pdf"
ATTACHMENTS = "bijlagen"


@dataclass(frozen=True, slots=True)
class Match:
    """The links with the document each leads to: None where the verzoekbericht does not name it.

    Links stand in the order of the verzoekbericht, the others after them. `missing` are the documents that no
    link leads to.
    """

    links: tuple[tuple[Link, Document | None], ...]
    missing: tuple[Document, ...]


def match_documents(documents: Sequence[Document], links: Sequence[Link]) -> Match:
    """Match links with documents, each at most once."""
    wanted = {document.document_id for document in documents}
    found: dict[str, Link] = {}
    matched: set[str] = set()
    # The surest sign first, for all links: a property of one must not lose to the address of another.
    for sign in (_own_id, _id_in_address, _own_name):
        for link in links:
            document_id = sign(link)
            if document_id in wanted and document_id not in found and link.href not in matched:
                found[document_id] = link
                matched.add(link.href)
    named = tuple((found[each.document_id], each) for each in documents if each.document_id in found)
    others = sorted((link for link in links if link.href not in matched), key=_id_in_address)
    missing = tuple(document for document in documents if document.document_id not in found)
    return Match((*named, *((link, None) for link in others)), missing)


def files_of(references: References, match: Match) -> tuple[NewFile, ...]:
    """The files of a verzoek, the STAM XML first, with their paths: safe, and distinct without regard to
    case.

    Names follow from the verzoekbericht and from nothing that changes between two fetches, so that the same
    verzoek gets the same paths whenever it is fetched.
    """
    fixed = (
        (references.verzoek, FileKind.VERZOEK, VERZOEK_PATH),
        (references.pdf, FileKind.PDF, PDF_PATH),
    )
    files = [NewFile(kind, link.address, path) for link, kind, path in fixed if link is not None]
    names = unique_names([_name(link, document) for link, document in match.links])
    for (link, document), name in zip(match.links, names, strict=True):
        files.append(_attachment(link, document, f"{ATTACHMENTS}/{name}"))
    return tuple(files)


def _own_id(link: Link) -> str:
    return link.document_id or ""


def _id_in_address(link: Link) -> str:
    return last_segment(link.href)


def _own_name(link: Link) -> str:
    return link.name or ""


def _name(link: Link, document: Document | None) -> str:
    if document is not None:
        return document.bestandsnaam or document.document_id
    return link.name or _id_in_address(link)


def _attachment(link: Link, document: Document | None, path: str) -> NewFile:
    if document is None:
        return NewFile(FileKind.DOCUMENT, link.address, path, bestandsnaam=link.name)
    return NewFile(
        FileKind.DOCUMENT,
        link.address,
        path,
        bestandsnaam=document.bestandsnaam,
        document_id=document.document_id,
        vertrouwelijk=document.vertrouwelijk,
    )
