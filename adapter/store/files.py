# SPDX-License-Identifier: EUPL-1.2

"""The spool as files, on a disk of its host or on a shared file system.

A content is written as `incoming/<random>.part`, fsynced, renamed to `<first two of the key>/<key>`, and the directory
fsynced, all before `commit` returns. What a crash leaves behind is a file that no row names (`leftovers`).
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator, Collection, Iterator
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final

from adapter.store.problems import SpoolDamaged, SpoolUnavailable, StoreProblem
from adapter.store.spool import (
    CHUNK,
    INLINE_LIMIT,
    KEY,
    Content,
    Spool,
    SpoolNames,
    SpoolWriter,
    Stored,
    check_key,
    check_size,
    to_the_end,
)

_PAGE: Final = 500
_SHARD = re.compile(r"[0-9a-f]{2}")
_INCOMING = "incoming"


class FileSpool(Spool):
    """The files of a store; several processes can share them, also of several hosts over a shared file system."""

    def __init__(self, root: Path, inline_limit: int = INLINE_LIMIT):
        super().__init__(inline_limit)
        self._root = root
        self._incoming = root / _INCOMING
        self._being_written: set[Path] = set()
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def writer(self) -> "FileWriter":
        """Make a writer for one content; use it in `async with`, which discards what was not committed."""
        return FileWriter(self, self._inline_limit)

    def path_of(self, content: Content) -> Path | None:
        """Where the file of a content is; None when it has none."""
        return None if content.key is None else self._path(content.key)

    def place_of(self, key: str) -> str:
        """The path of a file."""
        return str(self._path(key))

    async def delete_keys(self, keys: Collection[str]) -> None:
        """Delete the files with these keys, which no row names any more."""
        await asyncio.to_thread(_unlink, [self._path(key) for key in keys])

    async def names(self) -> SpoolNames:
        """The files that are there now; only while nobody writes, all of them are known to be old."""
        return await asyncio.to_thread(self._names)

    async def stored(self, written_before: datetime) -> AsyncGenerator[tuple[Stored, ...], None]:
        """The files that were written before a moment; unfinished ones too, but not those being written here."""
        for shard in await asyncio.to_thread(self._shards):
            files = await asyncio.to_thread(self._files_in, shard, written_before.timestamp())
            for start in range(0, len(files), _PAGE):
                yield tuple(
                    Stored(f"{shard.name}/{path.name}", str(path)) for path in files[start : start + _PAGE]
                )

    async def remove(self, stored: Collection[Stored]) -> None:
        """Remove files; one that is not there is removed already."""
        await asyncio.to_thread(_unlink, [self._root / one.path for one in stored])

    async def reach(self) -> None:
        """Look whether the directory is there: what it is mounted from may not be."""
        if not await asyncio.to_thread(self._incoming.is_dir):
            raise SpoolUnavailable(f"{self._root} is not the directory of the spool any more; mount it")

    async def size(self) -> int:
        """How many octets the files have; one that goes while it is looked at does not count."""
        return await asyncio.to_thread(_size_below, self._root)

    async def free(self) -> int:
        """How many octets are free on the disk."""
        return (await asyncio.to_thread(shutil.disk_usage, self._root)).free

    async def _read(self, content: Content, key: str) -> AsyncGenerator[bytes, None]:
        file = await asyncio.to_thread(_open_for_reading, self._path(key), content)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
        finally:
            file.close()

    def _read_blocking(self, content: Content, key: str) -> Iterator[bytes]:
        with _open_for_reading(self._path(key), content) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    async def _size_of(self, key: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(key).stat)).st_size
        except FileNotFoundError:
            return None

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)[:2] / key

    def _shards(self) -> tuple[Path, ...]:
        return self._incoming, *sorted(path for path in self._root.iterdir() if _SHARD.fullmatch(path.name))

    def _files_in(self, shard: Path, written_before: float) -> tuple[Path, ...]:
        own = (path for path in shard.iterdir() if KEY.fullmatch(path.name.removesuffix(".part")))
        return tuple(
            path for path in own if path not in self._being_written and _is_older(path, written_before)
        )

    def _names(self) -> SpoolNames:
        # the names are enough, and there may be very many: a path for each takes ten times as long
        shards = (entry.path for entry in os.scandir(self._root) if _SHARD.fullmatch(entry.name))
        keys = tuple(name for shard in shards for name in os.listdir(shard) if KEY.fullmatch(name))  # noqa: PTH208
        parts = (part for part in self._incoming.glob("*.part") if part not in self._being_written)
        return SpoolNames(keys, tuple(Stored(f"{_INCOMING}/{part.name}", str(part)) for part in parts))

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


class FileWriter(SpoolWriter):
    """Writes one content to a file."""

    def __init__(self, spool: FileSpool, inline_limit: int):
        super().__init__(inline_limit)
        self._spool = spool
        self._file: tuple[Path, FileIO] | None = None

    async def _append(self, data: bytes) -> None:
        await to_the_end(asyncio.to_thread(self._append_blocking, data))

    async def _publish(self) -> None:
        if self._file is None:
            raise StoreProblem("a content of the spool has no file")
        await to_the_end(asyncio.to_thread(self._spool._publish, *self._file, self._key))

    async def _abandon(self) -> None:
        if self._file is not None:
            await to_the_end(asyncio.to_thread(self._spool._abandon, *self._file))

    def _append_blocking(self, data: bytes) -> None:
        self._digest.update(data)
        if self._file is None:
            self._file = self._spool._create(self._key)
        view = memoryview(data)
        while view:
            view = view[self._file[1].write(view) :]


def _open_for_reading(path: Path, content: Content) -> FileIO:
    try:
        file = FileIO(path, "rb")
    except FileNotFoundError:
        check_size(content, str(path), None)
        raise
    try:
        check_size(content, str(path), os.fstat(file.fileno()).st_size)
    except SpoolDamaged:
        file.close()
        raise
    return file


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:  # renamed or removed by its daemon meanwhile
        return False


def _size_below(directory: Path) -> int:
    total = 0
    for entry in os.scandir(directory):
        try:
            total += _size_below(Path(entry.path)) if entry.is_dir() else entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


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
