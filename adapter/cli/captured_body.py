# SPDX-License-Identifier: EUPL-1.2

"""A whole HTTP body in a file, with its headers before it or only its parts, as logs, proxies and stores keep them.

Payloads can be large: they are read in chunks, as often as somebody asks for them, and are never in memory whole.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from adapter.ebms import (
    ContentType,
    ContentTypeProblem,
    Event,
    MimeProblem,
    MultipartParser,
    PartBegin,
    PartData,
    PartHeaders,
    PartProblem,
    parse_content_type,
)

HEAD: Final = 64 * 1024
"""Octets within which the headers of a body must end."""

KEPT: Final = 4 * 1024 * 1024
"""Octets of a part that are kept in memory: a SOAP part is smaller."""

_CHUNK: Final = 256 * 1024
_START_LINE: Final = re.compile(r"(?:[A-Z]+ \S+ )?HTTP/[0-9.]+(?: .*)?")
_HEADER: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*)")
_HASHES: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})


class BodyProblem(ValueError):
    """A captured body that cannot be read; the text says why."""


@dataclass(slots=True)
class CapturedPart:
    """One part: its headers, size in octets and SHA-256 (hex); `octets` are its first ones, at most KEPT."""

    headers: PartHeaders
    size: int = 0
    problem: str | None = None
    octets: bytearray = field(default_factory=bytearray)
    sha256: str = ""

    @property
    def content_id(self) -> str:
        """The Content-ID, '' where there is none."""
        return self.headers.content_id or ""

    @property
    def media_type(self) -> str:
        """The media type; the text as it is where it cannot be read."""
        try:
            return self.headers.content_type.media_type
        except ContentTypeProblem:
            return self.headers.get("Content-Type") or ""


@dataclass(frozen=True, slots=True)
class CapturedBody:
    """A body in a file; it starts at octet `start`. `headers` are those before it, in their order."""

    path: Path
    start: int
    headers: tuple[tuple[str, str], ...]
    content_type: ContentType

    def plain(self) -> bytes:
        """The body of a message that is not multipart, at most KEPT octets. Raises BodyProblem."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(KEPT + 1)
        if len(data) > KEPT:
            raise BodyProblem(f"the body has more than {KEPT} octets and is not multipart")
        return data

    def parts(self) -> list[CapturedPart]:
        """Every part, in order. Raises BodyProblem where the body cannot be split."""
        parts: list[CapturedPart] = []
        digest = hashlib.sha256()
        for event in self._events():
            match event:
                case PartBegin(headers):
                    parts.append(CapturedPart(headers))
                    digest = hashlib.sha256()
                case PartData(data):
                    parts[-1].size += len(data)
                    parts[-1].octets += data[: KEPT - len(parts[-1].octets)]
                    digest.update(data)
                case PartProblem(reason):
                    parts[-1].problem = reason
                case _:
                    parts[-1].sha256 = digest.hexdigest()
        return parts

    def root(self, parts: list[CapturedPart]) -> CapturedPart:
        """The SOAP part: the one that `start` names, else the first (PKG-02). Raises BodyProblem."""
        if not parts:
            raise BodyProblem("the body has no parts")
        start = self.content_type.parameters.get("start", "").strip().removeprefix("<").removesuffix(">")
        return next((part for part in parts if start and part.content_id == start), parts[0])

    def digest(self, content_id: str, algorithm: str) -> bytes:
        """The digest of a part, by the URI of the algorithm. Raises KeyError for an unknown part or algorithm."""
        name = algorithm.rpartition("#")[2]
        if name not in _HASHES:
            raise KeyError(algorithm)
        digest = hashlib.new(name, usedforsecurity=False)
        for chunk in self._part(content_id):
            digest.update(chunk)
        return digest.digest()

    def read(self, content_id: str, limit: int) -> bytes:
        """The octets of a part. Raises KeyError for an unknown one, ValueError for one of more than `limit` octets."""
        data = bytearray()
        for chunk in self._part(content_id):
            data += chunk
            if len(data) > limit:
                raise ValueError(f"payload {content_id} has more than {limit} octets")
        return bytes(data)

    def _part(self, content_id: str) -> Iterator[bytes]:
        """The octets of the one part with this Content-ID. Raises KeyError where there is not one sound part."""
        found, within = 0, False
        for event in self._events():
            match event:
                case PartBegin(headers):
                    within = headers.content_id == content_id
                    found += within
                case PartData(data) if within:
                    yield data
                case PartProblem() if within:
                    raise KeyError(content_id)
                case _:
                    pass
        if found != 1:
            raise KeyError(content_id)

    def _events(self) -> Iterator[Event]:
        boundary = self.content_type.parameters.get("boundary", "")
        try:
            parser = MultipartParser(boundary.encode("latin-1", "replace"))
            with self.path.open("rb") as file:
                file.seek(self.start)
                while chunk := file.read(_CHUNK):
                    yield from parser.feed(chunk)
            yield from parser.close()
        except MimeProblem as problem:
            raise BodyProblem(str(problem)) from problem


def open_body(path: Path) -> CapturedBody | None:
    """The HTTP body in a file; None where the file does not start as one.

    Known are: headers (after a request or status line, or without), an empty line, and the body; and a multipart body
    by itself, which starts with its boundary. Raises BodyProblem for headers that cannot be used.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"--"):
        boundary = head.split(b"\n", 1)[0].strip()[2:].decode("latin-1")
        return CapturedBody(path, 0, (), ContentType("multipart/related", {"boundary": boundary}))
    ends = [(at, at + len(gap)) for gap in (b"\r\n\r\n", b"\n\n") if (at := head.find(gap)) >= 0]
    if not ends:
        return None
    end, start = min(ends)
    headers = _headers(head[:end].decode("latin-1"))
    if headers is None:
        return None
    return CapturedBody(path, start, headers, _content_type(headers))


def _headers(text: str) -> tuple[tuple[str, str], ...] | None:
    """The headers in a text; None where it holds anything else."""
    lines = re.sub(r"\r?\n[ \t]+", " ", text).splitlines()
    if lines and _START_LINE.fullmatch(lines[0]):
        del lines[0]
    matches = [_HEADER.fullmatch(line) for line in lines]
    if not matches or not all(matches):
        return None
    return tuple((match[1], match[2].strip()) for match in matches if match is not None)


def _content_type(headers: tuple[tuple[str, str], ...]) -> ContentType:
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding", "identity").lower() not in {"identity", ""}:
        raise BodyProblem("the body was saved in chunks (Transfer-Encoding); save it decoded")
    if "content-type" not in named:
        raise BodyProblem("there is no Content-Type among the headers; keep it when you save a body")
    try:
        return parse_content_type(named["content-type"])
    except ContentTypeProblem as problem:
        raise BodyProblem(str(problem)) from problem
