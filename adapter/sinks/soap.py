# SPDX-License-Identifier: EUPL-1.2

"""SOAP over HTTP as sinks speak it: the envelope of a request, streamed where it holds a file, and the answer."""

import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lxml import etree

from adapter.delivery import HandoverFile, SinkProblem
from adapter.net import HttpClient, NetProblem, phrase_of
from adapter.sinks.connection import Answer
from cpa import XmlRefused, parse_xml

ANSWER: Final = 256 * 1024
"""Largest answer that is read, in octets: one holds a confirmation, a number or a fault."""

_DEPTH: Final = 50

_PIECE: Final = 48 * 1024
"""Octets of a file that become base64 at a time; a multiple of three, so that only the last piece is padded."""

_NO_ACCESS: Final = frozenset({401, 403, 407})
_NOT_THERE: Final = frozenset({502, 503, 504})


class SoapVersion(StrEnum):
    """The versions of SOAP."""

    V1_1 = "1.1"
    V1_2 = "1.2"

    @property
    def namespace(self) -> str:
        """The namespace of its envelope."""
        return _NAMESPACES[self]

    def headers(self, action: str) -> dict[str, str]:
        """The HTTP headers of a request for an action (SOAP 1.1 section 6.1.1, SOAP 1.2 part 2 section 6.5)."""
        if self is SoapVersion.V1_1:
            return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        # Servers that were made for 1.1 first go on looking for the old header.
        media_type = f'application/soap+xml; charset=utf-8; action="{action}"'
        return {"Content-Type": media_type, "SOAPAction": f'"{action}"'}


_NAMESPACES: Final = {
    SoapVersion.V1_1: "http://schemas.xmlsoap.org/soap/envelope/",
    SoapVersion.V1_2: "http://www.w3.org/2003/05/soap-envelope",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in an envelope that is being built, where something else comes when it is written.

    `mark` stands there meanwhile; it is random, so that no text of an applicant can be it.
    """

    mark: str

    @classmethod
    def make(cls) -> "Place":
        """A new one."""
        return cls(secrets.token_hex(24))

    def around(self, written: bytes) -> tuple[bytes, bytes]:
        """What comes before and after it in what was written."""
        head, _, tail = written.partition(self.mark.encode())
        return head, tail


def envelope(version: SoapVersion, headers: Sequence[etree._Element], body: etree._Element) -> bytes:
    """An envelope as it is written; without a Header element where there are no headers.

    No namespace is the default one, so that an element without namespace in the body keeps having none.
    """
    namespace = version.namespace
    root = etree.Element(f"{{{namespace}}}Envelope", nsmap={"soap": namespace})
    if headers:
        etree.SubElement(root, f"{{{namespace}}}Header").extend(headers)
    etree.SubElement(root, f"{{{namespace}}}Body").append(body)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A request body with the content of a file in it as base64: never in memory whole, and of a known length."""

    head: bytes = field(repr=False)
    file: HandoverFile
    tail: bytes = field(repr=False)

    @classmethod
    def of(cls, written: bytes, place: Place, file: HandoverFile) -> "FileRequest":
        """What is written, with the file in a place."""
        head, tail = place.around(written)
        return cls(head, file, tail)

    @property
    def length(self) -> int:
        """Its length in octets."""
        return len(self.head) + 4 * -(-self.file.size // 3) + len(self.tail)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it. ContentDamaged and ContentUnavailable, from reading the file, pass through."""
        yield self.head
        rest = bytearray()
        async with aclosing(self.file.open()) as chunks:
            async for chunk in chunks:
                rest += chunk
                while len(rest) >= _PIECE:
                    yield base64.b64encode(rest[:_PIECE])
                    del rest[:_PIECE]
        yield base64.b64encode(rest) + self.tail


def body_of(answer: Answer) -> etree._Element | None:
    """The first element in the Body of an answer of either version; None where the answer is no SOAP.

    Raises XmlRefused for XML that is not read: too large, not well-formed, or with a DTD.
    """
    if not answer.body.strip():
        return None
    root = parse_xml(answer.body, max_bytes=ANSWER, max_depth=_DEPTH)
    for namespace in _NAMESPACES.values():
        if root.tag == f"{{{namespace}}}Envelope":
            body = root.find(f"{{{namespace}}}Body")
            return None if body is None else next(body.iterchildren("*"), None)
    return None


def is_fault(element: etree._Element) -> bool:
    """Whether an element of a Body is a Fault."""
    return element.tag in {f"{{{namespace}}}Fault" for namespace in _NAMESPACES.values()}


def read_body(answer: Answer) -> etree._Element | None:
    """As `body_of`, and None for XML that is refused too: what then counts is the HTTP status."""
    try:
        return body_of(answer)
    except XmlRefused:
        return None


async def probe(http: HttpClient, urls: Mapping[str, str], headers: Mapping[str, str] | None = None) -> None:
    """Ask each address, by the name of its option, for its description.

    Any answer says that a server is there; SinkProblem where there is none, or one that does not let us in.
    """
    problems = []
    for option, url in urls.items():
        try:
            async with http.request("GET", url if "?" in url else f"{url}?wsdl", headers=headers) as response:
                status = response.status
        except NetProblem as problem:
            problems.append(f"{option}: {problem}")
            continue
        if status in _NO_ACCESS:
            problems.append(
                f"{option}: {url} answers {status} {phrase_of(status)}: it does not know our certificate or password"
            )
        elif status in _NOT_THERE:
            problems.append(
                f"{option}: {url} answers {status} {phrase_of(status)}: nothing works behind it now"
            )
    if problems:
        raise SinkProblem(*problems)
