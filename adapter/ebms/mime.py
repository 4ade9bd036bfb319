# SPDX-License-Identifier: EUPL-1.2

"""A streaming reader of multipart bodies: octets go in, parts come out, nothing is kept.

The reader does no I/O and holds a bounded number of octets, whatever the sizes of parts and chunks. It finds
the exact octets of a part: the line break before a boundary belongs to the boundary, every other octet to the
part (RFC 2046 5.1.1). A broken part is an event, so that the message can still be answered; a body that has
no usable structure, or that exceeds a bound, is an exception.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

from adapter.ebms.content_type import ContentType, ContentTypeProblem, parse_content_type
from adapter.ebms.names import CID
from adapter.ebms.transfer_encoding import Decoder, TransferProblem, decoder_for

MAX_BOUNDARY: Final = 200
"""RFC 2046 allows 70 octets; some senders use more."""

MAX_PADDING: Final = 256
"""White space accepted between a boundary and its line end, in octets."""

_CR: Final = 13
_AFTER_BOUNDARY: Final = (b"", b"-", b" ", b"\t", b"\r", b"\n")
_HEADER_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_ONCE = ("content-id", "content-type", "content-transfer-encoding")


class MimeProblem(ValueError):
    """A body that cannot be split into parts, or that exceeds a bound."""


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """Bounds of one multipart body.

    parts         most parts, the SOAP part included
    header_bytes  most octets of the headers of one part
    header_lines  most header lines of one part, folded lines counted each
    around_bytes  most octets before the first boundary, and most after the last
    """

    parts: int = 100
    header_bytes: int = 16 * 1024
    header_lines: int = 100
    around_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """The headers of one part.

    `fields` has names and values in their order, unfolded, names as received; `raw` has the octets as
    received, the empty line excluded, for evidence.
    """

    fields: tuple[tuple[str, str], ...]
    raw: bytes

    def get(self, name: str) -> str | None:
        """The first value of header `name`, in any case; None where there is none."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    @property
    def content_id(self) -> str | None:
        """The Content-ID without angle brackets (PKG-06); None where there is none."""
        value = self.get("Content-ID")
        return strip_brackets(value) or None if value is not None else None

    @property
    def content_type(self) -> ContentType:
        """The media type; text/plain where there is none (RFC 2045 5.2). Raises ContentTypeProblem."""
        value = self.get("Content-Type")
        return ContentType("text/plain") if value is None else parse_content_type(value)

    @property
    def transfer_encoding(self) -> str:
        """The Content-Transfer-Encoding in lower case; 7bit where there is none (RFC 2045 6.1)."""
        return (self.get("Content-Transfer-Encoding") or "7bit").strip(' \t"').lower()


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts; its headers are complete."""

    headers: PartHeaders


@dataclass(frozen=True, slots=True)
class PartData:
    """The next octets of the part, transfer decoded; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartProblem:
    """The part is broken: at most once in a part, and no PartData follows it in that part."""

    reason: str


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartProblem | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()
    FAILED = auto()


class _Line(Enum):
    """What stands after a line break, two hyphens and the boundary."""

    ORDINARY = auto()
    UNDECIDED = auto()
    SEPARATOR = auto()
    CLOSING = auto()


class MultipartParser:
    """Splits one multipart body that is fed to it in chunks of any size."""

    def __init__(self, boundary: bytes, limits: MimeLimits | None = None) -> None:
        """Raises MimeProblem where `boundary` is empty or too long, ends with a space or has a line break."""
        if (
            not 0 < len(boundary) <= MAX_BOUNDARY
            or boundary[-1:].isspace()
            or re.search(rb"[\r\n]", boundary)
        ):
            raise MimeProblem("the multipart body has no usable boundary")
        self._limits = limits or MimeLimits()
        self._marker = b"\n--" + boundary
        self._state = _State.PREAMBLE
        # A boundary at the very start has no line break before it; one is put there, and never given out.
        self._buffer = bytearray(b"\n")
        self._borrowed = 1
        self._looked_at = 0
        self._line_start = 0
        self._header_lines = 0
        self._around = 0
        self._parts = 0
        self._decoder: Decoder | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Take the next octets and return what became known. Raises MimeProblem, then and ever after."""
        if self._state is _State.FAILED:
            raise MimeProblem("the multipart body was refused before")
        try:
            if self._state is _State.EPILOGUE:
                self._count_around(len(data))
                return []
            self._buffer += data
            return self._advance(at_end=False)
        except MimeProblem:
            self._fail()
            raise

    def close(self) -> list[Event]:
        """The body has ended. Raises MimeProblem when it ended before its closing boundary."""
        if self._state is _State.FAILED:
            raise MimeProblem("the multipart body was refused before")
        try:
            events = self._advance(at_end=True)
        except MimeProblem:
            self._fail()
            raise
        if self._state is not _State.EPILOGUE:
            self._fail()
            raise MimeProblem("the multipart body has no closing boundary: it is incomplete")
        return events

    def _fail(self) -> None:
        self._state = _State.FAILED
        self._buffer.clear()

    def _advance(self, *, at_end: bool) -> list[Event]:
        events: list[Event] = []
        moving = True
        while moving:
            if self._state is _State.HEADERS:
                moving = self._read_headers(events)
            elif self._state is _State.EPILOGUE:
                self._count_around(len(self._buffer))
                self._buffer.clear()
                moving = False
            else:
                moving = self._read_content(events, at_end)
        return events

    def _read_content(self, events: list[Event], at_end: bool) -> bool:
        """Give out content up to the next boundary line; whether there was one."""
        buffer, position = self._buffer, 0
        while (position := buffer.find(self._marker, position)) >= 0:
            kind, end = self._classify(position + len(self._marker), at_end)
            if kind is _Line.ORDINARY:
                position += 1
                continue
            has_cr = position > self._borrowed and buffer[position - 1] == _CR
            content_end = position - 1 if has_cr else position
            self._give_out(content_end, events)
            if kind is _Line.UNDECIDED:
                return False
            self._cross(kind, end - content_end, events)
            return True
        # The last octets may be the start of a boundary line, with the CR of its line break.
        self._give_out(max(0, len(buffer) - len(self._marker)), events)
        return False

    def _classify(self, position: int, at_end: bool) -> tuple[_Line, int]:
        """What the line is whose boundary ends at `position`, and where the line ends."""
        if bytes(self._buffer[position : position + 1]) not in _AFTER_BOUNDARY:
            return _Line.ORDINARY, 0
        rest = bytes(self._buffer[position : position + MAX_PADDING + 4])
        closing = rest.startswith(b"--")
        after = rest[2:] if closing else rest
        line_end = after.lstrip(b" \t")
        padding = len(after) - len(line_end)
        end = position + (2 if closing else 0) + padding
        if padding > MAX_PADDING:
            return _Line.ORDINARY, 0
        for line_break in (b"\r\n", b"\n"):
            if line_end.startswith(line_break):
                return (_Line.CLOSING if closing else _Line.SEPARATOR), end + len(line_break)
        if line_end in {b"", b"\r"} or rest == b"-":
            if not at_end:
                return _Line.UNDECIDED, 0
            if closing:
                return _Line.CLOSING, len(self._buffer)
        return _Line.ORDINARY, 0

    def _give_out(self, count: int, events: list[Event]) -> None:
        """Take the first `count` octets from the buffer as content."""
        if count == 0:
            return
        content = bytes(self._buffer[self._borrowed : count])
        del self._buffer[:count]
        self._borrowed = 0
        if self._state is _State.PREAMBLE:
            self._count_around(len(content))
        elif self._decoder is not None and content:
            self._decode(content, events)

    def _decode(self, content: bytes | None, events: list[Event]) -> None:
        """Hand content to the decoder of the part; None ends the part."""
        if self._decoder is None:
            return
        try:
            data = self._decoder.finish() if content is None else self._decoder.feed(content)
        except TransferProblem as problem:
            self._decoder = None
            events.append(PartProblem(str(problem)))
            return
        if data:
            events.append(PartData(data))

    def _cross(self, kind: _Line, end: int, events: list[Event]) -> None:
        """Pass a boundary line that ends at `end`."""
        del self._buffer[:end]
        self._borrowed = 0
        self._around = 0
        if self._state is _State.BODY:
            self._decode(None, events)
            self._decoder = None
            events.append(PartEnd())
        if kind is _Line.SEPARATOR:
            self._parts += 1
            if self._parts > self._limits.parts:
                raise MimeProblem(f"the multipart body has more than {self._limits.parts} parts")
            self._state = _State.HEADERS
            self._looked_at = self._line_start = self._header_lines = 0
        else:
            if self._parts == 0:
                raise MimeProblem("the multipart body has no parts")
            self._state = _State.EPILOGUE

    def _read_headers(self, events: list[Event]) -> bool:
        """Read header lines up to the empty one; whether it was there."""
        buffer, limits = self._buffer, self._limits
        while (end := buffer.find(b"\n", self._looked_at)) >= 0:
            line = bytes(buffer[self._line_start : end]).removesuffix(b"\r")
            if end > limits.header_bytes:
                break
            if not line:
                self._begin_part(bytes(buffer[: self._line_start]), events)
                # The line break of the empty line may be that of a boundary, when the part has no body.
                del buffer[:end]
                self._borrowed = 1
                return True
            if line.startswith(self._marker[1:]):
                raise MimeProblem("a boundary stands among the headers of a part")
            self._header_lines += 1
            if self._header_lines > limits.header_lines:
                raise MimeProblem(f"a part has more than {limits.header_lines} header lines")
            self._looked_at = self._line_start = end + 1
        self._looked_at = len(buffer)
        if len(buffer) > limits.header_bytes:
            raise MimeProblem(f"the headers of a part exceed {limits.header_bytes} octets")
        return False

    def _begin_part(self, raw: bytes, events: list[Event]) -> None:
        fields, problem = _parse_fields(raw)
        headers = PartHeaders(fields, raw)
        events.append(PartBegin(headers))
        self._state = _State.BODY
        try:
            problem = problem or _obstacle(headers)
            self._decoder = decoder_for(headers.transfer_encoding)
        except TransferProblem as unknown:
            problem = problem or str(unknown)
        if problem is not None:
            self._decoder = None
            events.append(PartProblem(problem))

    def _count_around(self, count: int) -> None:
        self._around += count
        if self._around > self._limits.around_bytes:
            raise MimeProblem(f"more than {self._limits.around_bytes} octets stand outside the parts")


def strip_brackets(value: str) -> str:
    """A Content-ID without white space and angle brackets around it; some senders leave the brackets out."""
    return value.strip(" \t\r\n").removeprefix("<").removesuffix(">").strip(" \t")


def content_id_of(url: str) -> str | None:
    """The Content-ID that a `cid:` URL names, percent-decoded once (RFC 2392); None for any other URL."""
    if url[: len(CID)].lower() != CID:
        return None
    return unquote(url[len(CID) :]) or None


def find_content_id(url: str, content_ids: Collection[str]) -> str | None:
    """Which of `content_ids` a `cid:` URL names; None for none of them, or another URL.

    The percent-decoded form comes first; then the form as written, since some senders copy a Content-ID
    with a percent sign into the URL without encoding it. Letters of another case do not match.
    """
    decoded = content_id_of(url)
    if decoded is None:
        return None
    return next((form for form in (decoded, url[len(CID) :]) if form in content_ids), None)


def _parse_fields(raw: bytes) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Header fields, unfolded, and what is wrong with them."""
    fields: list[tuple[str, list[str]]] = []
    problem: str | None = None
    for line in raw.removesuffix(b"\n").split(b"\n") if raw else ():
        text = _text(line)
        name = _HEADER_NAME.match(line)
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1][1].append(text.strip(" \t\r"))
        elif name is not None:
            fields.append((name[1].decode("ascii"), [_text(line[name.end() :]).strip(" \t\r")]))
        else:
            problem = problem or f"{text[:60]!r} is not a header line"
    return tuple((name, " ".join(values)) for name, values in fields), problem


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _obstacle(headers: PartHeaders) -> str | None:
    """Why a part with these headers cannot be used; None when it can."""
    names = [name.lower() for name, _ in headers.fields]
    twice = next((name for name in _ONCE if names.count(name) > 1), None)
    if twice is not None:
        return f"the part has header {twice} twice"
    try:
        nested = headers.content_type.is_multipart
    except ContentTypeProblem as problem:
        return str(problem)
    return "a multipart inside a part is refused" if nested else None
