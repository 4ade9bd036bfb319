# SPDX-License-Identifier: EUPL-1.2

"""Reading an xenc:EncryptedData document piece by piece, so that its CipherValue is never in memory whole.

What stands before the text of that CipherValue (the head) becomes a small tree, bounded in size; the text is handed
on as it comes; after it nothing is allowed but the end tags. expat does the parsing because it, unlike lxml, gives
long text in pieces. Document types, and with them entities, comments and processing instructions are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

# The reason not to use expat is what it does with document types, and these are refused where they begin.
from xml.parsers import expat

from adapter.ebms.algorithms import XENC_NS
from adapter.ebms.encryption_methods import DecryptionRefused

MAX_HEAD: Final = 64 * 1024
"""Most octets before the CipherValue of the data: methods, certificates and wrapped keys."""

MAX_DEPTH: Final = 12
"""Deepest nesting of elements in the head."""

_MAX_SILENT: Final = 4 * MAX_HEAD
_PIECE: Final = 64 * 1024
_SMALL_PIECE: Final = 8 * 1024
_ENCODINGS: Final = frozenset({None, "utf-8", "us-ascii"})
_WHITE_SPACE: Final = " \t\r\n"


def xenc(name: str) -> str:
    """`name` in the XML Encryption namespace, as lxml writes it."""
    return f"{{{XENC_NS}}}{name}"


@dataclass(slots=True)
class Node:
    """An element of the head: its name as lxml writes it, attributes, text without that of children, children."""

    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)


class CipherSink(Protocol):
    """Who takes what is read."""

    def begin(self, encrypted_data: Node) -> None:
        """The head is complete; the CipherValue that begins now has no text in it yet."""

    def text(self, characters: str) -> None:
        """More of the text of the CipherValue of the data."""


class _Place(Enum):
    HEAD = auto()
    CIPHER_VALUE = auto()
    TAIL = auto()


_PATH: Final = (xenc("EncryptedData"), xenc("CipherData"), xenc("CipherValue"))


class EncryptedDataReader:
    """A push parser for one document: any number of `feed`, then `finish`, or an error and nothing more."""

    def __init__(self, sink: CipherSink) -> None:
        self._sink = sink
        self._place = _Place.HEAD
        self._open: list[Node] = []
        self._held = b""
        self._fed = 0
        self._fed_at_last_event = 0
        self._parser = self._make_parser()

    def feed(self, data: bytes) -> None:
        """Read on. Raises DecryptionRefused, as does what the sink does."""
        held = self._held + data if self._held else data
        if len(held) < _SMALL_PIECE:
            # expat starts each unfinished token anew, so that octets one by one would cost a square.
            self._held = held
            return
        self._held = b""
        for piece in slices(held):
            self._parse(piece)

    def finish(self) -> None:
        """The document has ended. Raises DecryptionRefused where that is too early."""
        self._parse(self._held, final=True)
        if self._place is not _Place.TAIL:
            raise DecryptionRefused("the document has no CipherValue")

    def _make_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8", namespace_separator="}")
        parser.buffer_text = True
        parser.buffer_size = _PIECE
        parser.XmlDeclHandler = self._declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_doctype
        parser.CommentHandler = _refuse_comment
        parser.ProcessingInstructionHandler = _refuse_comment
        return parser

    def _parse(self, data: bytes, *, final: bool = False) -> None:
        # expat reads UTF-16 even where it was told that the document is in UTF-8, which has no zero octets.
        if not self._fed and b"\0" in data[:4]:
            raise DecryptionRefused("the document starts with zero octets: it is no XML in UTF-8")
        self._fed += len(data)
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise DecryptionRefused(f"not well-formed XML: {error}") from error
        if self._place is _Place.HEAD and self._fed > MAX_HEAD + _PIECE:
            raise DecryptionRefused(f"there are more than {MAX_HEAD} octets before the CipherValue")
        # A tag or comment without an end would be kept by expat for as long as it lasts.
        if self._fed - self._fed_at_last_event > _MAX_SILENT:
            raise DecryptionRefused(f"a single piece of markup is longer than {_MAX_SILENT} octets")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._event()
        if (encoding.lower() if encoding else None) not in _ENCODINGS:
            raise DecryptionRefused(f"the document is in {str(encoding)[:40]!r}; only UTF-8 is read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._event()
        name = "{" + name if "}" in name else name
        if self._place is not _Place.HEAD:
            where = "inside" if self._place is _Place.CIPHER_VALUE else "after"
            raise DecryptionRefused(f"there is an element {where} the CipherValue: {name[:100]}")
        if name == xenc("CipherReference"):
            raise DecryptionRefused("there is a CipherReference: data elsewhere is not fetched")
        if not self._open and name != _PATH[0]:
            raise DecryptionRefused(f"the document is no xenc:EncryptedData but {name[:100]}")
        if len(self._open) >= MAX_DEPTH:
            raise DecryptionRefused(f"elements are nested deeper than {MAX_DEPTH}")
        if self._parser.CurrentByteIndex > MAX_HEAD:
            raise DecryptionRefused(f"there are more than {MAX_HEAD} octets before the CipherValue")
        node = Node(name, attributes)
        if self._open:
            self._open[-1].children.append(node)
        self._open.append(node)
        if tuple(each.name for each in self._open) == _PATH:
            self._place = _Place.CIPHER_VALUE
            self._sink.begin(self._open[0])

    def _end(self, _name: str) -> None:
        self._event()
        self._open.pop()
        if self._place is _Place.CIPHER_VALUE:
            self._place = _Place.TAIL

    def _text(self, characters: str) -> None:
        self._event()
        if self._place is _Place.CIPHER_VALUE:
            self._sink.text(characters)
        elif self._place is _Place.HEAD:
            self._open[-1].text.append(characters)
        elif characters.strip(_WHITE_SPACE):
            raise DecryptionRefused("there is text after the CipherValue")

    def _event(self) -> None:
        self._fed_at_last_event = self._fed


def slices(data: bytes) -> Iterator[bytes]:
    """The octets in pieces that are small enough to keep several copies of."""
    if len(data) <= _PIECE:
        yield data
        return
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        yield bytes(view[start : start + _PIECE])


def _refuse_doctype(*_declared: object) -> None:
    raise DecryptionRefused("a document type declaration (DTD) is refused")


def _refuse_comment(*_content: object) -> None:
    raise DecryptionRefused("there is a comment or processing instruction in the document")
