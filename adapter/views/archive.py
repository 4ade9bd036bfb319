# SPDX-License-Identifier: EUPL-1.2

"""A ZIP that is given out while it is made: nothing of it is in memory whole, however large it becomes.

Beside what it is made of it has a `manifest.json`, with size and SHA-256 of everything, and `SHA256SUMS`, by which
`sha256sum --check` says whether all of it is as it was.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from adapter.observe import get_logger
from adapter.store import Content, Spool, SpoolDamaged
from adapter.views.texts import json_octets

log = get_logger(__name__)

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"

_LARGE: Final = 2**30
"""Octets from which an entry is written with sizes of 64 bits (ZIP64), which old programs do not read."""

_MODE: Final = 0o100644 << 16
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: its path, and its octets, the content of the spool that it is, or why it is not there."""

    path: str
    octets: bytes = b""
    content: Content | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Flaw:
    """An entry that is not what was stored, or not there at all."""

    path: str
    size: int | None
    sha256: str | None
    problem: str


class _Outlet:
    """What a ZIP is written to: it keeps what was written until that is taken. It cannot go back."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def write(self, octets: bytes, /) -> int:
        """Keep what the ZIP has now."""
        self._octets += octets
        return len(octets)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._octets = bytes(self._octets), bytearray()
        return taken


async def archive(
    entries: AsyncGenerator[Entry, None], spool: Spool, about: dict[str, Any], now: datetime
) -> AsyncGenerator[bytes, None]:
    """The octets of a ZIP with these entries, a piece at a time.

    What retention removed, and what is not what was stored, is named in the manifest with its reason (and left out, as
    far as that is known before it is written).

    Args:
        entries: what is in it, in this order; no path twice.
        spool: where contents are.
        about: what the manifest says besides.
        now: when it is made.

    Raises:
        SpoolUnavailable: a content cannot be read now; what was given out is no archive.

    """
    outlet = _Outlet()
    writer = _Writer(outlet, now)
    async with aclosing(entries):
        async for entry in entries:
            if entry.problem is not None:
                writer.flaw(entry.path, None, entry.problem)
            elif entry.content is None:
                await asyncio.to_thread(writer.add, entry.path, entry.octets)
                yield outlet.take()
            else:
                async with aclosing(_copy(writer, outlet, entry.path, entry.content, spool)) as pieces:
                    async for piece in pieces:
                        yield piece
    manifest = {
        **about,
        "files": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in writer.written],
        "problems": [
            {"path": one.path, "size": one.size, "sha256": one.sha256, "problem": one.problem}
            for one in writer.flaws
        ],
    }
    writer.add(MANIFEST, json_octets(manifest))
    sums = "".join(f"{one.sha256}  {one.path}\n" for one in writer.written)
    writer.add(SUMS, sums.encode())
    writer.close()
    yield outlet.take()


async def _copy(
    writer: "_Writer", outlet: _Outlet, path: str, content: Content, spool: Spool
) -> AsyncGenerator[bytes, None]:
    """A content as an entry; what is wrong with it is noted."""
    try:
        await spool.require(content)
    except SpoolDamaged as problem:
        writer.flaw(path, content, str(problem))
        return
    with writer.begin(path, content.size) as target:
        try:
            async with aclosing(spool.open(content)) as chunks:
                async for chunk in chunks:
                    target.write(chunk)
                    yield outlet.take()
        except SpoolDamaged as problem:
            writer.flaw(path, content, str(problem))
    yield outlet.take()


class _Writer:
    """Writes entries, and notes what it wrote."""

    def __init__(self, outlet: _Outlet, now: datetime) -> None:
        self._zip = ZipFile(outlet, "w")
        self._made = max(now.timetuple()[:6], _EARLIEST)
        self.written: list[_Written] = []
        self.flaws: list[_Flaw] = []

    def add(self, path: str, octets: bytes) -> None:
        """Write a small entry, compressed."""
        self._zip.writestr(self._info(path, ZIP_DEFLATED), octets)
        self.written.append(_Written(path, len(octets), hashlib.sha256(octets).hexdigest()))

    def begin(self, path: str, size: int) -> "_Target":
        """An entry to write to, in a context; stored as it is, since most of what is large is compressed already."""
        opened = self._zip.open(self._info(path, ZIP_STORED), "w", force_zip64=size >= _LARGE)
        return _Target(self, path, opened)

    def flaw(self, path: str, content: Content | None, problem: str) -> None:
        """Note that something is not, or not whole, in the archive."""
        log.warning("an archive has not all that it should", action="archive.flaw", path=path, reason=problem)
        size, sha256 = (content.size, content.sha256) if content is not None else (None, None)
        self.flaws.append(_Flaw(path, size, sha256, problem))

    def close(self) -> None:
        """Write the directory of the archive."""
        self._zip.close()

    def _info(self, path: str, compression: int) -> ZipInfo:
        info = ZipInfo(path, self._made)
        info.compress_type = compression
        info.external_attr = _MODE
        return info


class _Target:
    """An entry that is being written."""

    def __init__(self, writer: _Writer, path: str, opened: IO[bytes]) -> None:
        self._writer = writer
        self._path = path
        self._opened = opened
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, octets: bytes) -> None:
        """Write the next octets."""
        self._opened.write(octets)
        self._digest.update(octets)
        self._size += len(octets)

    def __enter__(self) -> "_Target":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        self._writer.written.append(_Written(self._path, self._size, self._digest.hexdigest()))
