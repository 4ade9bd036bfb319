# SPDX-License-Identifier: EUPL-1.2

"""Request bodies with the files of a handover: streamed, with their length known before, and never whole with a file
that is damaged.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from adapter.delivery import ContentDamaged, ContentUnavailable, HandoverFile, StepFailed, Temporary
from adapter.net import HttpClient
from adapter.sinks.connection import Answer, ask

JSON: Final = "application/json"
XML: Final = "application/xml"
_OCTETS: Final = "application/octet-stream"

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?")
# As browsers write names: in UTF-8, and these encoded (WHATWG HTML, multipart/form-data encoding algorithm).
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})

Piece = bytes | HandoverFile


class Body:
    """A body to be sent once, made of octets and files. `aclose` gives back what it holds open.

    `headers` are those of the request. `is_whole`: every file was read to its end, and is what was stored. Before that
    the last chunk is held back, so the other side never takes a damaged file for whole. `failure`: why a file could not
    be read.
    """

    def __init__(self, content_type: str, pieces: Sequence[Piece]) -> None:
        length = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)
        self.headers: Mapping[str, str] = {"Content-Type": content_type, "Content-Length": str(length)}
        self.is_whole = False
        self.failure: ContentDamaged | ContentUnavailable | None = None
        self._chunks = self._checked(pieces)
        self._reading = asyncio.Lock()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        async with self._reading:
            return await anext(self._chunks)

    async def aclose(self) -> None:
        """End the reading; waits for the chunk that is being read."""
        async with self._reading:
            await self._chunks.aclose()

    async def _checked(self, pieces: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
        held: bytes | None = None
        try:
            async with aclosing(_read(pieces)) as chunks:
                async for chunk in chunks:
                    if held is not None:
                        yield held
                    held = chunk
        except (ContentDamaged, ContentUnavailable) as failure:
            self.failure = failure
            raise
        self.is_whole = True
        if held is not None:
            yield held


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a field, or a file where it has a `filename`."""

    name: str
    content: Piece
    content_type: str | None = None
    filename: str | None = None


def multipart(parts: Sequence[Part]) -> Body:
    """A body of multipart/form-data (RFC 7578) with these parts in this order."""
    boundary = secrets.token_hex(16)  # random, so that nobody can have put it into a file
    pieces: list[Piece] = []
    for part in parts:
        pieces += [_head(boundary, part), part.content, b"\r\n"]
    return Body(f"multipart/form-data; boundary={boundary}", [*pieces, f"--{boundary}--\r\n".encode()])


async def post(http: HttpClient, url: str, body: Body, headers: Mapping[str, str], what: str) -> Answer:
    """Send a body by POST, and read the answer; `what` is what a problem is said to be with.

    Raises:
        StepFailed: there is no answer, or one of success before everything was sent.
        ContentDamaged: a file is not what was stored.
        ContentUnavailable: a file cannot be read now.

    """
    async with aclosing(body):
        try:
            answer = await ask(http, "POST", url, headers={**headers, **body.headers}, data=body)
        except StepFailed:
            if body.failure is not None:
                raise body.failure from None
            raise
    if body.failure is not None:
        raise body.failure
    if answer.is_success and not body.is_whole:
        reason = (
            f"{what}: HTTP {answer.status} before everything was sent; it has to be read before that answer"
        )
        raise StepFailed(Temporary(reason), undone=False)
    return answer


def media_type(text: str | None) -> str:
    """The content type as it was received, when it can stand in a header; else that of any octets."""
    return text if text is not None and _MEDIA_TYPE.fullmatch(text) else _OCTETS


def _head(boundary: str, part: Part) -> bytes:
    disposition = f'form-data; name="{part.name.translate(_ESCAPES)}"'
    if part.filename is not None:
        disposition += f'; filename="{part.filename.translate(_ESCAPES)}"'
    lines = [f"--{boundary}", f"Content-Disposition: {disposition}"]
    if part.content_type is not None:
        lines.append(f"Content-Type: {part.content_type}")
    return "\r\n".join([*lines, "", ""]).encode(errors="replace")


async def _read(pieces: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with aclosing(piece.open()) as chunks:
            async for chunk in chunks:
                yield chunk
