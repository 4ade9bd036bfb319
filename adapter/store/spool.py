"""The spool: what was received, on disk before anything is said about it.

Small contents travel inline into the database. A large one is a file: written as `incoming/<random>.part`,
fsynced, renamed to `<first two of the key>/<key>`, and the directory fsynced, all before `commit` returns.
What a crash leaves behind is a file that no row names; `sweep` removes those.
"""

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from sqlalchemy import Connection, select, union

from adapter.store.problems import SpoolDamaged, StoreProblem
from adapter.store.schema import delivery_file, payload

CHUNK = 256 * 1024
"""How many octets are read or written at a time."""

_KEY = re.compile(r"[0-9a-f]{32}")
_SHARD = re.compile(r"[0-9a-f]{2}")
_INCOMING = "incoming"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Content:
    """Octets that are kept: how many, their SHA-256 in hexadecimal, and where they are.

    Exactly one of `inline` (the octets themselves) and `key` (of a file of the spool) is given; neither, once
    retention removed them.
    """

    size: int
    sha256: str
    inline: bytes | None = field(default=None, repr=False)
    key: str | None = None

    @property
    def is_removed(self) -> bool:
        """Whether retention removed the octets; size and digest are what is left."""
        return self.inline is None and self.key is None


class Spool:
    """The files of a store; several processes can share them, also of several hosts over a shared file system."""

    def __init__(self, root: Path, inline_limit: int = 64 * 1024):
        self._root = root
        self._inline_limit = inline_limit
        self._incoming = root / _INCOMING
        self._being_written: set[Path] = set()
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def writer(self) -> "SpoolWriter":
        """Make a writer for one content; use it in `async with`, which discards what was not committed."""
        return SpoolWriter(self, self._inline_limit)

    def path_of(self, content: Content) -> Path | None:
        """Where the file of a content is; None when it is inline."""
        if content.key is None:
            return None
        if not _KEY.fullmatch(content.key):
            raise StoreProblem(f"{content.key!r} is no key of the spool")
        return self._root / content.key[:2] / content.key

    async def open(self, content: Content) -> AsyncIterator[bytes]:
        """Read a content in chunks of at most 256 KiB.

        Raises:
            SpoolDamaged: the file is gone, or has another size than was written; or retention removed it.

        """
        if content.is_removed:
            raise SpoolDamaged(
                "the content was removed when its time to be kept had passed; it cannot be restored"
            )
        path = self.path_of(content)
        if path is None:
            if content.inline:
                yield content.inline
            return
        file = await asyncio.to_thread(_open_for_reading, path, content)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
        finally:
            file.close()

    async def read(self, content: Content) -> bytes:
        """Read a whole content into memory; only for what is known to be small."""
        return b"".join([chunk async for chunk in self.open(content)])

    async def verify(self, content: Content) -> None:
        """Digest a content again.

        Raises:
            SpoolDamaged: it is not what was written.

        """
        digest = hashlib.sha256()
        async for chunk in self.open(content):
            await asyncio.to_thread(digest.update, chunk)
        if digest.hexdigest() != content.sha256:
            raise SpoolDamaged(
                f"{self.path_of(content) or 'an inline content'} has another digest than written"
            )

    async def delete(self, content: Content) -> None:
        """Remove the file of a content, if it has one that is still there."""
        path = self.path_of(content)
        if path is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, known_keys: Collection[str], older_than: timedelta | None = None) -> int:
        """Remove what no row names and what was never finished; return how many files.

        Only at start, before anything is received: a content is in the spool before its row is in the store.
        Where other daemons use the spool too, only what was written more than `older_than` ago, which must be
        longer than any request takes.
        """
        written_before = None if older_than is None else time.time() - older_than.total_seconds()
        return await asyncio.to_thread(self._sweep, frozenset(known_keys), written_before)

    async def shards(self) -> tuple[Path, ...]:
        """The directories with files, to be looked through one by one."""
        return await asyncio.to_thread(self._shards)

    async def files_in(self, shard: Path, written_before: datetime) -> tuple[Path, ...]:
        """The files of a directory that were written before a moment, whoever names them; unfinished ones too."""
        return await asyncio.to_thread(self._files_in, shard, written_before.timestamp())

    async def remove(self, paths: Collection[Path]) -> None:
        """Remove files; one that is not there is removed already."""
        await asyncio.to_thread(_unlink, tuple(paths))

    async def delete_keys(self, keys: Collection[str]) -> None:
        """Delete the files with these keys, which no row names any more."""
        paths = (self.path_of(Content(0, "", key=key)) for key in keys)
        await self.remove([path for path in paths if path is not None])

    def _shards(self) -> tuple[Path, ...]:
        return self._incoming, *sorted(path for path in self._root.iterdir() if _SHARD.fullmatch(path.name))

    def _files_in(self, shard: Path, written_before: float) -> tuple[Path, ...]:
        own = (path for path in shard.iterdir() if _KEY.fullmatch(path.name.removesuffix(".part")))
        return tuple(
            path for path in own if path not in self._being_written and _is_older(path, written_before)
        )

    def _sweep(self, known: frozenset[str], written_before: float | None) -> int:
        leftovers = [part for part in self._incoming.glob("*.part") if part not in self._being_written]
        for shard in self._root.iterdir():
            if shard.is_dir() and re.fullmatch(r"[0-9a-f]{2}", shard.name):
                leftovers += [
                    path for path in shard.iterdir() if _KEY.fullmatch(path.name) and path.name not in known
                ]
        if written_before is not None:
            leftovers = [path for path in leftovers if _is_older(path, written_before)]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def _create(self, key: str) -> tuple[Path, FileIO]:
        part = self._incoming / f"{key}.part"
        self._being_written.add(part)
        return part, FileIO(part, "xb", opener=_private)

    def _publish(self, part: Path, file: FileIO, key: str) -> None:
        """Make a written file durable under its key."""
        os.fsync(file.fileno())
        file.close()
        shard = self._root / key[:2]
        try:
            shard.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            _fsync_directory(self._root)
        part.rename(shard / key)
        _fsync_directory(shard)
        self._being_written.discard(part)

    def _abandon(self, part: Path, file: FileIO) -> None:
        file.close()
        part.unlink(missing_ok=True)
        self._being_written.discard(part)


class SpoolWriter:
    """Takes one content; it exists only once `commit` returned."""

    def __init__(self, spool: Spool, inline_limit: int):
        self._spool = spool
        self._inline_limit = inline_limit
        self._key = secrets.token_hex(16)
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._file: tuple[Path, FileIO] | None = None
        self._ended = False

    @property
    def size(self) -> int:
        """How many octets were written so far."""
        return self._size

    async def write(self, data: bytes) -> None:
        """Add octets; what was given is kept in order, in memory up to 256 KiB, then on disk.

        Raises:
            OSError: they cannot be written, for example because the disk is full.

        """
        self._check_open()
        self._buffer += data
        self._size += len(data)
        threshold = CHUNK if self._file else max(CHUNK, self._inline_limit + 1)
        if len(self._buffer) >= threshold:
            await self._flush()

    async def commit(self) -> Content:
        """Make everything durable, and say what it is.

        Raises:
            OSError: it cannot be made durable; nothing remains.

        """
        self._check_open()
        if self._size <= self._inline_limit and self._file is None:
            self._ended = True
            data = bytes(self._buffer)
            return Content(len(data), hashlib.sha256(data).hexdigest(), inline=data)
        await self._flush()
        if self._file is None:
            raise StoreProblem("a content of the spool has no file")
        await _to_the_end(self._spool._publish, *self._file, self._key)
        self._ended = True
        return Content(self._size, self._digest.hexdigest(), key=self._key)

    async def discard(self) -> None:
        """Forget everything that was written; nothing happens after `commit`."""
        if self._ended:
            return
        self._ended = True
        self._buffer.clear()
        if self._file is not None:
            await _to_the_end(self._spool._abandon, *self._file)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.discard()

    async def _flush(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        await _to_the_end(self._append, data)

    def _append(self, data: bytes) -> None:
        self._digest.update(data)
        if self._file is None:
            self._file = self._spool._create(self._key)
        view = memoryview(data)
        while view:
            view = view[self._file[1].write(view) :]

    def _check_open(self) -> None:
        if self._ended:
            raise StoreProblem("this content was already committed or discarded")


def known_spool_keys(conn: Connection) -> frozenset[str]:
    """The keys of all spool files that a row names."""
    query = union(
        select(payload.c.spool_key).where(payload.c.spool_key.is_not(None)),
        select(delivery_file.c.spool_key).where(delivery_file.c.spool_key.is_not(None)),
    )
    return frozenset(conn.execute(query).scalars())


async def _to_the_end(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function in a thread to its end, also when cancelled: no thread may use what we let go."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise


def _open_for_reading(path: Path, content: Content) -> FileIO:
    try:
        file = FileIO(path, "rb")
    except FileNotFoundError as error:
        raise SpoolDamaged(f"{path} is gone; restore it from a backup") from error
    if (size := os.fstat(file.fileno()).st_size) != content.size:
        file.close()
        raise SpoolDamaged(f"{path} has {size} octets instead of {content.size}; restore it from a backup")
    return file


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:  # renamed or removed by its daemon meanwhile
        return False


def _unlink(paths: Collection[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
