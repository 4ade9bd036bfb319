# SPDX-License-Identifier: EUPL-1.2

"""The spool: what was received, durable before anything is said about it.

Small contents travel inline into the database. Large ones are kept under a random key: as files (`files`) or in a
bucket of an object store (`objects`), behind the one interface that stands here. What is read to its end is what was
written: the last octets are only given out when all of them have the digest that was noted.
"""

import asyncio
import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from adapter.observe import get_logger
from adapter.store.problems import SpoolDamaged, SpoolUnavailable, StoreProblem

log = get_logger(__name__)

CHUNK: Final = 256 * 1024
"""How many octets are given out at a time, at most."""

INLINE_LIMIT: Final = 64 * 1024
"""Octets up to which a content travels into the database."""

KEY: Final = re.compile(r"[0-9a-f]{32}")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Content:
    """Octets that are kept: how many, their SHA-256 in hexadecimal, and where they are.

    Exactly one of `inline` (the octets themselves) and `key` (in the spool) is given; neither, once retention
    removed them.
    """

    size: int
    sha256: str
    inline: bytes | None = field(default=None, repr=False)
    key: str | None = None

    @property
    def is_removed(self) -> bool:
        """Whether retention removed the octets; size and digest are what is left."""
        return self.inline is None and self.key is None


@dataclass(frozen=True, slots=True)
class Stored:
    """Something that the spool holds, whoever names it: its path below the root, and where that is for people."""

    path: str
    place: str

    @property
    def key(self) -> str:
        """Under which a row would name it; what was never finished has a key that none does."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class SpoolNames:
    """What a spool holds at a moment: finished contents by their keys, and what was never finished."""

    keys: tuple[str, ...] = ()
    unfinished: tuple[Stored, ...] = ()


class Spool(ABC):
    """Where large contents are kept; several processes can share one, also of several hosts."""

    def __init__(self, inline_limit: int = INLINE_LIMIT):
        self._inline_limit = inline_limit

    @abstractmethod
    def writer(self) -> "SpoolWriter":
        """Make a writer for one content; use it in `async with`, which discards what was not committed."""

    @abstractmethod
    def place_of(self, key: str) -> str:
        """Where the content with a key is, for people.

        Raises:
            StoreProblem: it is no key of the spool.

        """

    async def open(self, content: Content) -> AsyncGenerator[bytes, None]:
        """Read a content in chunks of at most 256 KiB.

        Raises:
            SpoolDamaged: it is gone or not what was written, before its last octets are given out; or retention
                removed it.
            SpoolUnavailable: it cannot be read now.

        """
        proof = _Proof(content, self._describe(content))
        if content.key is None:
            proof.take(content.inline or b"")
        else:
            async with aclosing(self._read(content, content.key)) as chunks:
                async for chunk in chunks:
                    if held := proof.take(chunk):
                        yield held
        if last := proof.end():
            yield last

    def chunks(self, content: Content) -> Iterator[bytes]:
        """Read a content as `open` does, from a thread: it blocks."""
        proof = _Proof(content, self._describe(content))
        if content.key is None:
            proof.take(content.inline or b"")
        else:
            for chunk in self._read_blocking(content, content.key):
                if held := proof.take(chunk):
                    yield held
        if last := proof.end():
            yield last

    async def read(self, content: Content) -> bytes:
        """Read a whole content into memory; only for what is known to be small."""
        return b"".join([chunk async for chunk in self.open(content)])

    async def verify(self, content: Content) -> None:
        """Digest a content again.

        Raises:
            SpoolDamaged: it is not what was written.
            SpoolUnavailable: it cannot be read now.

        """
        async for _ in self.open(content):
            pass

    async def stored_size(self, content: Content) -> int | None:
        """How many octets are there of a content; None when it is gone.

        Raises:
            SpoolUnavailable: nobody can say now.

        """
        if content.key is None:
            return None if content.inline is None else len(content.inline)
        return await self._size_of(content.key)

    async def require(self, content: Content) -> None:
        """Look whether a content is there, with its size.

        Raises:
            SpoolDamaged: it is not.
            SpoolUnavailable: nobody can say now.

        """
        check_size(content, self._describe(content), await self.stored_size(content))

    async def delete(self, content: Content) -> None:
        """Remove a content that no row names.

        It is gone already, or cannot be removed now: then it is an orphan, which retention finds.
        """
        if content.key is None:
            return
        try:
            await self.delete_keys([content.key])
        except SpoolUnavailable as problem:
            log.warning(
                "a content that nobody needs stays in the spool until retention finds it",
                action="spool.not_deleted",
                place=self.place_of(content.key),
                reason=str(problem),
            )

    @abstractmethod
    async def delete_keys(self, keys: Collection[str]) -> None:
        """Delete the contents with these keys, which no row names any more. Raises SpoolUnavailable."""

    @abstractmethod
    async def names(self) -> SpoolNames:
        """What is there now; nothing where to find out takes longer than a start may: retention looks every hour."""

    @abstractmethod
    def stored(self, written_before: datetime) -> AsyncGenerator[tuple[Stored, ...], None]:
        """Everything that was written before a moment, whoever names it, a page at a time.

        Raises:
            SpoolUnavailable: it cannot be looked through now.

        """

    @abstractmethod
    async def remove(self, stored: Collection[Stored]) -> None:
        """Remove what was found; what is not there is removed already. Raises SpoolUnavailable."""

    @abstractmethod
    async def reach(self) -> None:
        """Look whether the spool can be reached. Raises SpoolUnavailable, with the fix."""

    @abstractmethod
    async def size(self) -> int | None:
        """How many octets it holds; None where only the rows can tell."""

    @abstractmethod
    async def free(self) -> int | None:
        """How many octets fit in yet; None where that is not known here."""

    @abstractmethod
    def _read(self, content: Content, key: str) -> AsyncGenerator[bytes, None]:
        """Read a content that is not inline, as it is."""

    @abstractmethod
    def _read_blocking(self, content: Content, key: str) -> Iterator[bytes]:
        """The same, from a thread."""

    @abstractmethod
    async def _size_of(self, key: str) -> int | None:
        """How many octets are there under a key; None when there is nothing."""

    def _describe(self, content: Content) -> str:
        if content.is_removed:
            raise SpoolDamaged(
                "the content was removed when its time to be kept had passed; it cannot be restored"
            )
        return "an inline content" if content.key is None else self.place_of(content.key)


class SpoolWriter(ABC):
    """Takes one content; it exists only once `commit` returned."""

    def __init__(self, inline_limit: int):
        self._inline_limit = inline_limit
        self._key = secrets.token_hex(16)
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._begun = False
        self._ended = False

    @property
    def size(self) -> int:
        """How many octets were written so far."""
        return self._size

    async def write(self, data: bytes) -> None:
        """Add octets; what was given is kept in order, in memory up to 256 KiB, then in the spool.

        Raises:
            OSError: they cannot be written, for example because the disk is full.
            SpoolUnavailable: the object store does not take them.

        """
        self._check_open()
        self._buffer += data
        self._size += len(data)
        threshold = CHUNK if self._begun else max(CHUNK, self._inline_limit + 1)
        if len(self._buffer) >= threshold:
            await self._flush()

    async def commit(self) -> Content:
        """Make everything durable, and say what it is.

        Raises:
            OSError: it cannot be made durable; nothing remains.
            SpoolUnavailable: the object store does not say that it is; what may remain is swept.

        """
        self._check_open()
        if self._size <= self._inline_limit and not self._begun:
            self._ended = True
            data = bytes(self._buffer)
            return Content(len(data), hashlib.sha256(data).hexdigest(), inline=data)
        await self._flush()
        await self._publish()
        self._ended = True
        return Content(self._size, self._digest.hexdigest(), key=self._key)

    async def discard(self) -> None:
        """Forget everything that was written; nothing happens after `commit`."""
        if self._ended:
            return
        self._ended = True
        self._buffer.clear()
        if self._begun:
            await self._abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.discard()

    @abstractmethod
    async def _append(self, data: bytes) -> None:
        """Digest and write octets."""

    @abstractmethod
    async def _publish(self) -> None:
        """Make what was written durable under its key."""

    @abstractmethod
    async def _abandon(self) -> None:
        """Remove what was written, as far as it got."""

    async def _flush(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        self._begun = True
        await self._append(data)

    def _check_open(self) -> None:
        if self._ended:
            raise StoreProblem("this content was already committed or discarded")


class _Proof:
    """Digests what is read, one chunk behind: the last one is given out when all are what was written."""

    def __init__(self, content: Content, place: str):
        self._content = content
        self._place = place
        self._digest = hashlib.sha256()
        self._held = b""

    def take(self, chunk: bytes) -> bytes:
        """Take the next chunk in, and give out the one before."""
        self._digest.update(chunk)
        held, self._held = self._held, chunk
        return held

    def end(self) -> bytes:
        """Give out the last chunk. Raises SpoolDamaged."""
        if self._digest.hexdigest() != self._content.sha256:
            raise SpoolDamaged(
                f"{self._place} has another digest than what was written; restore it from a backup"
            )
        return self._held


def check_key(key: str) -> str:
    """Return the key. Raises StoreProblem for what is none, and could lead out of the spool."""
    if not KEY.fullmatch(key):
        raise StoreProblem(f"{key!r} is no key of the spool")
    return key


def check_size(content: Content, place: str, size: int | None) -> None:
    """Compare what is there with what was written. Raises SpoolDamaged."""
    if size is None:
        raise SpoolDamaged(f"{place} is gone; restore it from a backup")
    if size != content.size:
        raise SpoolDamaged(f"{place} has {size} octets instead of {content.size}; restore it from a backup")


async def to_the_end(work: Awaitable[R]) -> R:
    """Await something to its end, also when cancelled: nobody may use what we let go."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise


def slices(data: bytes) -> Iterator[bytes]:
    """The octets in chunks as they are given out."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
