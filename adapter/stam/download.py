# SPDX-License-Identifier: EUPL-1.2

"""Downloading one file into the spool: continued where it broke off, and kept only when it is what was announced.

A download is continued with a range (RFC 9110 14), on the condition that the file is still the same: `If-Range` with a
strong ETag, or a Last-Modified that is strong. Where the server gives neither, or gives the whole file instead, or
another range than was asked for, it begins again. A file is only whole when its size is that of the server.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from adapter.net import ConnectionLost, Response, TimedOut
from adapter.stam.asking import Asker, Request, media_type
from adapter.stam.integrity import Expected, Mismatch, Tally
from adapter.stam.problems import FetchProblem
from adapter.stam.progress import Progress
from adapter.store import Content, Spool, SpoolWriter

MAX_CONTINUATIONS: Final = 20
"""How often one attempt goes on after a break; each must have brought something."""

MAX_STARTS: Final = 2
"""How often one attempt begins at the first octet."""

_WHOLE: Final = frozenset({HTTPStatus.OK})
_PART: Final = frozenset(
    {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
)
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes \*/(\d{1,18})", re.IGNORECASE)
_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e]*"')


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is durable in the spool, with the media type the server gave it."""

    content: Content
    content_type: str | None


class _StartAgain(Exception):
    """What there is cannot be continued; the message says why."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch: where, what it must be, and how it is asked for. `what` names it for people."""

    asker: Asker
    href: str
    what: str
    expected: Expected
    progress: Progress
    may_come_later: bool = False
    may_be_page: bool = False

    async def into(self, spool: Spool) -> Downloaded:
        """Fetch it, and make it durable.

        Raises:
            FetchProblem: it cannot be fetched, or is not what was announced; nothing of it is kept.
            OSError: the spool cannot be written to.
            SpoolUnavailable: the same.

        """
        reasons: list[str] = []
        while len(reasons) < MAX_STARTS:
            async with spool.writer() as writer:
                try:
                    return await self._whole(writer)
                except _StartAgain as again:
                    reasons.append(str(again))
        raise FetchProblem(f"{self.what}: {reasons[-1]}, time after time", temporary=True)

    async def _whole(self, writer: SpoolWriter) -> Downloaded:
        """Fetch it from the first octet to the last, in as many parts as it takes."""
        async with self._ask({}, _WHOLE) as response:
            file = self._described(response)
            broken = await self._take(response, file, writer)
        continuations = 0
        while broken is not None or (file.total is not None and writer.size < file.total):
            validator = file.validator
            if continuations == MAX_CONTINUATIONS or validator is None or not writer.size:
                raise broken or self._problem(f"{writer.size} of {file.total} bytes came")
            continuations += 1
            self.progress.continued(writer.size, file.total, broken.reason if broken else "it came in part")
            before = writer.size
            broken = await self._part(file, validator, writer)
            if broken is not None and writer.size == before:
                raise broken
        return await self._keep(file, writer)

    async def _part(self, file: "_File", validator: str, writer: SpoolWriter) -> FetchProblem | None:
        """Fetch what is missing, or the first part of that; the problem it broke off by.

        Raises _StartAgain where the answer is not about the same file, or not from where it was broken off.
        """
        headers = {"Range": f"bytes={writer.size}-", "If-Range": validator}
        try:
            async with self._ask(headers, _PART) as response:
                if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    file.check_end(response.headers, writer.size)
                    return None
                end = file.check_part(response, writer.size)
                broken = await self._take(response, file, writer)
        except FetchProblem as problem:
            if _broke_off(problem):
                return problem  # the caller sees that nothing came
            raise
        if broken is None and writer.size != end:
            raise _StartAgain("a part came that is not as long as it says")
        return broken

    async def _take(self, response: Response, file: "_File", writer: SpoolWriter) -> FetchProblem | None:
        """Write the body of an answer; the problem it broke off by, None when it came to its end."""
        chunks = response.iter_chunks()
        while True:
            try:
                chunk = await anext(chunks, None)
            except (ConnectionLost, TimedOut) as problem:
                return self._problem(str(problem))
            if chunk is None:
                return None
            file.tally.add(chunk)
            await writer.write(chunk)
            self.progress.received(len(chunk), writer.size, file.total)

    async def _keep(self, file: "_File", writer: SpoolWriter) -> Downloaded:
        if file.total is not None and writer.size != file.total:
            raise self._problem(f"{writer.size} of {file.total} bytes came")
        with self._kept_only_when_right():
            file.tally.check(writer.size)
        return Downloaded(await writer.commit(), file.content_type)

    def _described(self, response: Response) -> "_File":
        """The file as this answer describes it, which must not be another than was announced."""
        file = _File.of(response, self.expected)
        if file.total is not None:
            with self._kept_only_when_right():
                self.expected.check_size(file.total)
        return file

    @contextmanager
    def _kept_only_when_right(self) -> Iterator[None]:
        try:
            yield
        except Mismatch as mismatch:
            raise self._problem(f"it is not kept, as {mismatch}") from mismatch

    @asynccontextmanager
    async def _ask(self, headers: Mapping[str, str], accepted: frozenset[int]) -> AsyncIterator[Response]:
        request = Request(
            "GET",
            self.href,
            self.what,
            {"Accept": "*/*", **headers},
            accepted=accepted,
            may_come_later=self.may_come_later,
            may_be_page=self.may_be_page,
        )
        async with self.asker.ask(request) as response:
            yield response

    def _problem(self, reason: str) -> FetchProblem:
        return FetchProblem(f"{self.what}: {reason}", temporary=True)


@dataclass(slots=True)
class _File:
    """The file as its first answer described it: all parts must be of that. The total may come with a part only."""

    total: int | None
    validator: str | None
    content_type: str | None
    tally: Tally

    @classmethod
    def of(cls, response: Response, expected: Expected) -> "_File":
        headers = response.headers
        length = headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        return cls(total, _validator(headers), media_type(headers), Tally(expected, headers))

    def check_part(self, response: Response, begin: int) -> int:
        """Look whether an answer goes on from `begin` in the same file, and return where it ends."""
        if response.status == HTTPStatus.OK:
            raise _StartAgain("the file changed while it was fetched, or cannot be fetched in part")
        given = response.headers.get("Content-Range", "")
        found = _RANGE.fullmatch(given.strip())
        if found is None or int(found[1]) != begin or int(found[2]) < begin:
            raise _StartAgain(f"asked for the rest from byte {begin}, and got {given[:100]!r}")
        end = int(found[2]) + 1
        total = None if found[3] == "*" else int(found[3])
        self._learn(total, f"and then got {given[:100]!r}")
        _require(self.total is None or end <= self.total, f"got {given[:100]!r}, which ends behind the file")
        etag = response.headers.get("ETag")
        if etag is not None and self.validator is not None and self.validator.startswith('"'):
            _require(etag == self.validator, "the file changed while it was fetched")
        return end

    def check_end(self, headers: Mapping[str, str], size: int) -> None:
        """Look whether nothing is behind what there is, as the server says of a range behind the end."""
        found = _UNSATISFIED.fullmatch(headers.get("Content-Range", "").strip())
        _require(found is not None and int(found[1]) == size, f"the server has nothing behind byte {size}")
        self._learn(size, "and then it ended there")

    def _learn(self, total: int | None, otherwise: str) -> None:
        if total is None:
            return
        _require(self.total in {None, total}, f"the file had {self.total} bytes, {otherwise}")
        self.total = total


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise _StartAgain(otherwise)


def _validator(headers: Mapping[str, str]) -> str | None:
    """What identifies the octets of this very version: a strong ETag, or else a strong Last-Modified (RFC 9110 8.8)."""
    if headers.get("Accept-Ranges", "").strip().lower() == "none":
        return None
    etag = headers.get("ETag", "")
    if _STRONG_ETAG.fullmatch(etag):
        return etag
    modified, date = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        # Within one second it may have been changed again: then it does not tell versions apart.
        is_strong = parsedate_to_datetime(date) - parsedate_to_datetime(modified) >= timedelta(seconds=1)
    except (ValueError, TypeError, OverflowError):
        return None
    return modified if is_strong and not etag else None


def _broke_off(problem: FetchProblem) -> bool:
    return isinstance(problem.__cause__, ConnectionLost | TimedOut)
