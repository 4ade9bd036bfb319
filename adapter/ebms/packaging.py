# SPDX-License-Identifier: EUPL-1.2

"""The HTTP body of an outgoing ebMS message: a plain SOAP part, or multipart/related with payloads.

A body is described first and read later: its exact length follows from the sizes of the payloads, so that a
request of any size has a Content-Length and passes through in fixed memory. The same envelope always gives
the same octets, boundary included, so that a retry resends what was sent before.
"""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote as percent_encode

from adapter.ebms.content_type import ContentTypeProblem, format_content_type, parse_content_type
from adapter.ebms.names import SOAP_ACTION

SOAP_CONTENT_TYPE: Final = "text/xml; charset=UTF-8"
"""The type of the SOAP part, which is also that of a message without payloads (PKG-03)."""

_CONTENT_ID = re.compile(r"[!-;=?-~]{1,512}")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_UNSAFE_IN_NAME = re.compile(r'[^ -~]|["\\/:*?<>|;%]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class PackagingProblem(ValueError):
    """A message that cannot be packaged as asked, or a payload that is not what was announced."""


PayloadChunks = Callable[[], AsyncIterable[bytes] | Iterable[bytes]]
"""Opens a payload from its start; called once for each time the body is read."""


@dataclass(frozen=True, slots=True)
class OutgoingPayload:
    """One payload container of an outgoing message.

    `content_id` is without angle brackets, `size` is in octets, `name` is a file name that the receiver
    may see (in Content-Disposition), `chunks` opens the octets.
    """

    content_id: str
    content_type: str
    size: int
    name: str | None
    chunks: PayloadChunks


@dataclass(frozen=True, slots=True)
class _Piece:
    """Fixed octets, or a payload at its place in the body."""

    octets: bytes = b""
    payload: OutgoingPayload | None = None

    @property
    def size(self) -> int:
        return self.payload.size if self.payload else len(self.octets)


@dataclass(frozen=True, slots=True)
class OutgoingBody:
    """What goes into one HTTP request or response: its headers and, on demand, its octets.

    `headers` are SOAPAction, Content-Type and Content-Length and no others (TRN-05, TRN-07, TRN-18).
    """

    headers: tuple[tuple[str, str], ...]
    content_length: int
    pieces: tuple[_Piece, ...]

    async def stream(self) -> AsyncIterator[bytes]:
        """The octets of the body, in chunks as the payloads give them; may be read more than once.

        Raises PackagingProblem when a payload is longer or shorter than its announced size; then the
        request must be broken off, as its Content-Length cannot come true.
        """
        for piece in self.pieces:
            if piece.payload is None:
                yield piece.octets
                continue
            left = piece.payload.size
            opened = piece.payload.chunks()
            if isinstance(opened, AsyncIterable):
                async for chunk in opened:
                    left = _take(piece.payload, left, chunk)
                    yield chunk
            else:
                for chunk in opened:
                    left = _take(piece.payload, left, chunk)
                    yield chunk
            _check_complete(piece.payload, left)

    def stream_sync(self) -> Iterator[bytes]:
        """As `stream`, for payloads that all open as an ordinary iterable."""
        for piece in self.pieces:
            if piece.payload is None:
                yield piece.octets
                continue
            left = piece.payload.size
            opened = piece.payload.chunks()
            if isinstance(opened, AsyncIterable):
                raise PackagingProblem(
                    f"payload {piece.payload.content_id!r} can only be read asynchronously"
                )
            for chunk in opened:
                left = _take(piece.payload, left, chunk)
                yield chunk
            _check_complete(piece.payload, left)


def package_message(
    envelope: bytes,
    payloads: Sequence[OutgoingPayload] = (),
    *,
    start: str = "soap-part",
    multipart: bool | None = None,
    boundary: str | None = None,
    transfer_encoding: bool = True,
) -> OutgoingBody:
    """Describe the body of a message (EB 2.1; PKG-01 to PKG-09).

    envelope           the SOAP part, UTF-8, as signed
    start              Content-ID of the SOAP part, without angle brackets
    multipart          None: multipart/related when there are payloads, plain text/xml when not;
                       True: always multipart/related; False is only possible without payloads
    boundary           None: derived from the envelope, hence the same for each attempt
    transfer_encoding  whether parts say `Content-Transfer-Encoding: binary`

    Raises PackagingProblem for content ids that are unusable or not unique, unusable media types or
    boundaries, negative sizes, and payloads where `multipart` is False.
    """
    if multipart is False and payloads:
        raise PackagingProblem("a message with payloads cannot be a plain text/xml body")
    if not payloads and not multipart:
        return _body(SOAP_CONTENT_TYPE, (_Piece(envelope),))
    _check_parts(start, payloads)
    separator = _boundary_of(envelope) if boundary is None else boundary
    if not _BOUNDARY.fullmatch(separator):
        raise PackagingProblem(f"{separator!r} is not a usable MIME boundary")
    parameters = {"type": "text/xml", "boundary": separator, "start": f"<{start}>"}
    pieces = [_Piece(_part_head(separator, start, SOAP_CONTENT_TYPE, None, transfer_encoding) + envelope)]
    for payload in payloads:
        head = _part_head(
            separator, payload.content_id, payload.content_type, payload.name, transfer_encoding
        )
        pieces += [_Piece(b"\r\n" + head), _Piece(payload=payload)]
    pieces.append(_Piece(f"\r\n--{separator}--\r\n".encode("ascii")))
    return _body(format_content_type("multipart/related", parameters), tuple(pieces))


def content_disposition(name: str) -> str:
    """A Content-Disposition value for a file name of any origin (RFC 6266, RFC 5987).

    Quotes, path separators and everything that is not printable ASCII become `_` in `filename`; the
    name itself, without control characters, follows percent-encoded in `filename*` where that differs.
    """
    plain = _UNSAFE_IN_NAME.sub("_", name)[:200]
    value = f'attachment; filename="{plain}"'
    full = _CONTROL.sub("", name.encode("utf-8", "replace").decode("utf-8"))[:200]
    return value if full == plain else f"{value}; filename*=UTF-8''{percent_encode(full, safe='')}"


def _body(content_type: str, pieces: tuple[_Piece, ...]) -> OutgoingBody:
    length = sum(piece.size for piece in pieces)
    headers = (
        ("SOAPAction", SOAP_ACTION),
        ("Content-Type", content_type),
        ("Content-Length", str(length)),
    )
    return OutgoingBody(headers, length, pieces)


def _part_head(
    boundary: str, content_id: str, content_type: str, name: str | None, transfer_encoding: bool
) -> bytes:
    lines = [f"--{boundary}", f"Content-Type: {content_type}", f"Content-ID: <{content_id}>"]
    if transfer_encoding:
        lines.append("Content-Transfer-Encoding: binary")
    if name is not None:
        lines.append(f"Content-Disposition: {content_disposition(name)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _check_parts(start: str, payloads: Sequence[OutgoingPayload]) -> None:
    seen: set[str] = set()
    for content_id in (start, *(payload.content_id for payload in payloads)):
        if not _CONTENT_ID.fullmatch(content_id):
            raise PackagingProblem(f"{content_id!r} is not a usable Content-ID")
        if content_id in seen:
            raise PackagingProblem(f"Content-ID {content_id!r} is used twice in one message")
        seen.add(content_id)
    for payload in payloads:
        _check_media_type(payload.content_type)
        if payload.size < 0:
            raise PackagingProblem(f"payload {payload.content_id!r} has a negative size")


def _check_media_type(content_type: str) -> None:
    if not all(32 <= ord(char) < 127 for char in content_type):
        raise PackagingProblem(f"{content_type!r} cannot be written as a Content-Type")
    try:
        parsed = parse_content_type(content_type)
    except ContentTypeProblem as problem:
        raise PackagingProblem(str(problem)) from problem
    if parsed.is_multipart:
        raise PackagingProblem("a payload cannot be a multipart itself")


def _boundary_of(envelope: bytes) -> str:
    # Nobody can put this line into a payload beforehand: the envelope holds a random MessageId.
    return "=_part_" + hashlib.sha256(envelope).hexdigest()[:40]


def _take(payload: OutgoingPayload, left: int, chunk: bytes) -> int:
    if len(chunk) > left:
        raise PackagingProblem(f"payload {payload.content_id!r} is longer than its {payload.size} octets")
    return left - len(chunk)


def _check_complete(payload: OutgoingPayload, left: int) -> None:
    if left:
        raise PackagingProblem(
            f"payload {payload.content_id!r} ended {left} octets before its {payload.size} octets"
        )
