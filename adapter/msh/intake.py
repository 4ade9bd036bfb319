# SPDX-License-Identifier: EUPL-1.2

"""Taking in the body of a request: the SOAP part into memory, every payload part into the spool, chunk by chunk.

Steps 2 to 6 of the receiving algorithm. Memory does not grow with the payload, nothing is decoded twice, and what
was spooled for a message that is not accepted is thrown away by `IncomingMessage.discard`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

from aiohttp import ClientError, web

from adapter.ebms import (
    ContentType,
    ContentTypeProblem,
    Event,
    FaultCode,
    MimeProblem,
    MultipartParser,
    PartBegin,
    PartData,
    PartHeaders,
    PartProblem,
    ReceivedPart,
    SoapFault,
    parse_content_type,
)
from adapter.store import Content, Headers, Spool, SpoolWriter

MAX_ENVELOPE: Final = 4 * 1024 * 1024
"""Most octets of a SOAP part: a Manifest of a hundred payloads and a signature over them need a fraction."""

SLOWEST: Final = 1024
"""Octets per second that a body must come with, after a start of `read_timeout`: one now and then is no sending."""

_OVERHEAD: Final = 1024 * 1024


class BodyTooLarge(Exception):
    """The body is larger than any agreement allows: HTTP 413 (TRN-19)."""


class BodyTooSlow(Exception):
    """The peer stopped sending in the middle of a body, or nearly so: HTTP 408 (TRN-22)."""


class BodyBroken(Exception):
    """The body ended before its end, or is not the HTTP it says it is: HTTP 400, if anybody still listens."""


class UnsupportedType(Exception):
    """The body is neither multipart/related nor text/xml, or compressed: HTTP 415."""


@dataclass(frozen=True, slots=True)
class IncomingPart:
    """A payload part as it lies in the spool; `content` is None where it could not be decoded."""

    content_id: str
    content_type: str
    headers: Headers
    name: str | None
    content: Content | None
    problem: str | None = None

    def as_received(self) -> ReceivedPart:
        """What the rules look at."""
        size = self.content.size if self.content is not None else 0
        return ReceivedPart(self.content_id, self.content_type, size, self.problem)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A whole body, taken in: evidence as received, and the envelope still unread."""

    http_headers: Headers
    content_type: str
    envelope: bytes
    envelope_headers: Headers = ()
    parts: tuple[IncomingPart, ...] = ()

    @property
    def body_digest(self) -> str:
        """SHA-256 (hex) over the decoded octets of all parts: the same for the same message in another wrapping."""
        digest = hashlib.sha256(hashlib.sha256(self.envelope).digest())
        for part in self.parts:
            digest.update(f"\n{part.content_id} {part.content.sha256 if part.content else '-'}".encode())
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """The octets of envelope and payloads, decoded."""
        return len(self.envelope) + sum(part.content.size for part in self.parts if part.content)

    async def discard(self, spool: Spool) -> None:
        """Throw away what was spooled; for a message that is not kept."""
        for part in self.parts:
            if part.content is not None:
                await spool.delete(part.content)


@dataclass(frozen=True, slots=True)
class Intake:
    """Reads bodies into a spool.

    `max_body`: octets of the largest body any agreement allows; `read_timeout`: seconds without a single octet
    after which a peer is given up, and by which a body may come later than at SLOWEST.
    """

    spool: Spool
    max_body: Callable[[], int]
    read_timeout: float

    async def take(self, request: web.BaseRequest) -> IncomingMessage:
        """Read the body of a request.

        Raises SoapFault, UnsupportedType, BodyTooLarge, BodyTooSlow or BodyBroken; nothing is then left in the spool.
        """
        content_type = _content_type(request)
        if request.content_length is not None and request.content_length > self.max_body() + _OVERHEAD:
            raise BodyTooLarge(f"the body announces {request.content_length} octets")
        headers = tuple((name, value) for name, value in request.headers.items())
        if not content_type.is_multipart:
            envelope = await self._read_plain(request)
            return IncomingMessage(headers, request.headers["Content-Type"], envelope)
        reading = _MultipartReading(self.spool, content_type)
        try:
            async for chunk in self._chunks(request):
                await reading.feed(chunk)
            return await reading.finish(headers, request.headers["Content-Type"])
        except BaseException:  # a cancelled request must not leave files behind either
            await reading.discard()
            raise

    async def _read_plain(self, request: web.BaseRequest) -> bytes:
        body = bytearray()
        async for chunk in self._chunks(request):
            body += chunk
            if len(body) > MAX_ENVELOPE:
                raise _envelope_too_large()
        return bytes(body)

    async def _chunks(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        total = 0
        now = asyncio.get_running_loop().time
        started = now()
        while True:
            latest = started + total / SLOWEST + self.read_timeout
            try:
                async with asyncio.timeout_at(min(latest, now() + self.read_timeout)):
                    chunk = await request.content.readany()
            except TimeoutError as error:
                raise BodyTooSlow(f"{total} octets came in {now() - started:.1f} s, and then none") from error
            except (web.RequestPayloadError, ClientError, ConnectionError) as error:
                raise BodyBroken(f"the body broke off after {total} octets: {error}") from error
            if not chunk:
                return
            total += len(chunk)
            if total > self.max_body() + _OVERHEAD:
                raise BodyTooLarge(f"the body has more than {self.max_body()} octets")
            yield chunk


@dataclass(slots=True)
class _Part:
    """A part while it is read: the SOAP part gathers octets, any other writes to the spool."""

    headers: PartHeaders
    writer: SpoolWriter | None
    octets: bytearray = field(default_factory=bytearray)
    problem: str | None = None
    content: Content | None = None

    @property
    def is_root(self) -> bool:
        return self.writer is None

    async def write(self, data: bytes) -> None:
        if self.writer is not None:
            await self.writer.write(data)
            return
        self.octets += data
        if len(self.octets) > MAX_ENVELOPE:
            raise _envelope_too_large()


class _MultipartReading:
    """One multipart body on its way in."""

    def __init__(self, spool: Spool, content_type: ContentType) -> None:
        boundary = content_type.parameters.get("boundary", "")
        start = content_type.parameters.get("start")
        self._spool = spool
        self._start = start.strip().removeprefix("<").removesuffix(">") if start else None
        self._parts: list[_Part] = []
        try:
            self._parser = MultipartParser(boundary.encode("latin-1", "replace"))
        except MimeProblem as problem:
            raise _mime_fault(problem) from problem

    async def feed(self, data: bytes) -> None:
        """Take in the next octets of the body."""
        try:
            events = self._parser.feed(data)
        except MimeProblem as problem:
            raise _mime_fault(problem) from problem
        await self._handle(events)

    async def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case PartBegin(headers):
                    self._parts.append(
                        _Part(headers, None if self._is_root(headers) else self._spool.writer())
                    )
                case PartData(octets):
                    await self._parts[-1].write(octets)
                case PartProblem(reason):
                    self._parts[-1].problem = reason
                case _:
                    await self._close(self._parts[-1])

    async def finish(self, http_headers: Headers, content_type: str) -> IncomingMessage:
        """The whole message, after the last octet."""
        try:
            events = self._parser.close()
        except MimeProblem as problem:
            raise _mime_fault(problem) from problem
        await self._handle(events)
        root = await self._root()
        _check_root(root)
        payloads = [part for part in self._parts if part is not root]
        counts = [part.headers.content_id for part in self._parts]
        parts = tuple(_incoming(part, twice=counts.count(part.headers.content_id) > 1) for part in payloads)
        return IncomingMessage(http_headers, content_type, bytes(root.octets), root.headers.fields, parts)

    async def discard(self) -> None:
        """Throw away what was spooled so far."""
        for part in self._parts:
            if part.content is not None:
                await self._spool.delete(part.content)
            elif part.writer is not None:
                await part.writer.discard()

    def _is_root(self, headers: PartHeaders) -> bool:
        if any(part.is_root for part in self._parts):
            return False
        return headers.content_id == self._start if self._start is not None else not self._parts

    async def _root(self) -> _Part:
        """The SOAP part: the one that `start` names, else the first (PKG-02)."""
        for part in self._parts:
            if part.is_root:
                return part
        if not self._parts:
            raise SoapFault(FaultCode.CLIENT, "mime", "The message has no SOAP part")
        first = self._parts[0]
        if first.content is not None:
            if first.content.size > MAX_ENVELOPE:
                raise _envelope_too_large()
            first.octets += await self._spool.read(first.content)
            await self._spool.delete(first.content)
            first.content = None
        first.writer = None
        return first

    async def _close(self, part: _Part) -> None:
        if part.writer is None:
            return
        if part.problem is not None:
            await part.writer.discard()
        else:
            part.content = await part.writer.commit()


def _content_type(request: web.BaseRequest) -> ContentType:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedType(f"the Content-Encoding is {encoding[:100]!r}; a message is sent as it is")
    value = request.headers.get("Content-Type", "")
    try:
        content_type = parse_content_type(value)
    except ContentTypeProblem as problem:
        raise UnsupportedType(str(problem)) from problem
    if content_type.media_type == "text/xml":
        _check_charset(content_type)
    elif content_type.media_type != "multipart/related":
        raise UnsupportedType(f"the Content-Type is {content_type.media_type}")
    return content_type


def _check_root(root: _Part) -> None:
    try:
        content_type = root.headers.content_type
    except ContentTypeProblem as problem:
        raise SoapFault(FaultCode.CLIENT, "mime", "The SOAP part is not text/xml", str(problem)) from problem
    if root.problem is not None:
        raise SoapFault(FaultCode.CLIENT, "mime", "The SOAP part cannot be decoded", root.problem)
    if content_type.media_type != "text/xml":
        raise SoapFault(
            FaultCode.CLIENT,
            "mime",
            "The SOAP part is not text/xml",
            f"the SOAP part is {content_type.media_type}",
        )
    _check_charset(content_type)


def _check_charset(content_type: ContentType) -> None:
    charset = content_type.parameters.get("charset", "utf-8")
    if charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise SoapFault(FaultCode.CLIENT, "charset", "Only UTF-8 is supported", f"the charset is {charset!r}")


def _incoming(part: _Part, *, twice: bool) -> IncomingPart:
    content_id = part.headers.content_id
    problem = part.problem
    if content_id is None:
        problem = problem or "the part has no Content-ID"
    elif twice:
        problem = problem or f"the Content-ID {content_id} occurs more than once"
    try:
        content_type = part.headers.content_type
        media_type, name = content_type.media_type, _file_name(part.headers)
    except ContentTypeProblem as wrong:
        media_type, name, problem = "application/octet-stream", None, problem or str(wrong)
    return IncomingPart(content_id or "", media_type, part.headers.fields, name, part.content, problem)


def _file_name(headers: PartHeaders) -> str | None:
    """The file name that the sender gave, if any: from Content-Disposition, else from Content-Type."""
    message = Message()
    for name in ("Content-Disposition", "Content-Type"):
        value = headers.get(name)
        if value is not None:
            message[name] = value
    return message.get_filename()


def _mime_fault(problem: MimeProblem) -> SoapFault:
    return SoapFault(FaultCode.CLIENT, "mime", "The multipart body cannot be read", str(problem))


def _envelope_too_large() -> SoapFault:
    return SoapFault(
        FaultCode.CLIENT,
        "envelope_size",
        "The SOAP part is too large",
        f"the SOAP part exceeds {MAX_ENVELOPE} octets",
    )
