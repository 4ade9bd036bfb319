# SPDX-License-Identifier: EUPL-1.2

"""The spool in a bucket of an S3-compatible object store, for daemons on many hosts.

A content is the object `<prefix>/<first two of the key>/<key>`: uploaded in parts while it comes in, and there, whole
and durable, only when the store answered to the completion of the upload, which `commit` waits for. It is read in
ranges. So memory holds two parts of each upload and one range of each download, however large the content is; and no
request goes on for longer than a minute, whoever waits for it.

What a crash leaves behind is an object that no row names, which retention finds, and an unfinished upload, which the
bucket must end by a lifecycle rule: no list of objects shows it.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import obstore
from obstore.store import S3Store

from adapter.store.buckets import PART, TROUBLE, BucketPlace, abandon, tidied
from adapter.store.problems import SpoolUnavailable, StoreProblem
from adapter.store.spool import (
    INLINE_LIMIT,
    Content,
    Spool,
    SpoolNames,
    SpoolWriter,
    Stored,
    check_key,
    check_size,
    slices,
    to_the_end,
)

RANGE: Final = 2 * 1024 * 1024
"""Octets that are read in one request."""

UPLOADS: Final = 32
"""How many uploads there may be at a time; each holds at most two parts in memory."""

_PAGE: Final = 500
_WAIT: Final = 30.0
_OWN = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}")


class ObjectSpool(Spool):
    """The objects of a store below one prefix of a bucket, which `store` is set to.

    `where` is what to call it to people. The prefix belongs to one database: what its rows do not name is removed.
    """

    def __init__(self, store: S3Store, where: BucketPlace, inline_limit: int = INLINE_LIMIT):
        super().__init__(inline_limit)
        self._store = store
        self._where = where
        self._place = where.place
        self._uploads = asyncio.Semaphore(UPLOADS)

    def writer(self) -> "ObjectWriter":
        """Make a writer for one content; use it in `async with`, which discards what was not committed."""
        return ObjectWriter(self, self._inline_limit)

    def place_of(self, key: str) -> str:
        """The URL of an object."""
        return f"{self._place}/{path_of(key)}"

    async def delete_keys(self, keys: Collection[str]) -> None:
        """Delete the objects with these keys, which no row names any more."""
        await self._delete([path_of(key) for key in keys])

    async def names(self) -> SpoolNames:
        """Nothing: listing a bucket takes longer than a start may. Retention looks through it every hour."""
        return SpoolNames()

    async def stored(self, written_before: datetime) -> AsyncGenerator[tuple[Stored, ...], None]:
        """The objects that were written before a moment."""
        with self._translated():
            async for page in obstore.list(self._store, chunk_size=_PAGE):
                yield tuple(
                    Stored(meta["path"], f"{self._place}/{meta['path']}")
                    for meta in page
                    if meta["last_modified"] < written_before and _OWN.fullmatch(meta["path"])
                )

    async def remove(self, stored: Collection[Stored]) -> None:
        """Remove objects; one that is not there is removed already."""
        await self._delete([one.path for one in stored])

    async def reach(self) -> None:
        """Look whether the bucket is there and shows us what is in it."""
        with self._translated():
            await obstore.list(self._store, "nothing").collect_async()

    async def size(self) -> None:
        """Not known: a bucket would have to be listed for it, which takes long and is paid for."""

    async def free(self) -> None:
        """Not known: an object store has no disk that could be looked at."""

    async def probe(self) -> str | None:
        """Prove that the bucket can be used: write an object, read it, and delete it again.

        Returns: what is not as it should be all the same.

        Raises:
            SpoolUnavailable: it cannot be used; the text says the fix.

        """
        path, octets = path_of(secrets.token_hex(16)), b"probe"
        with self._translated():
            written = await obstore.put_async(self._store, path, octets)
        try:
            await self.reach()
            with self._translated():
                read = bytes(await obstore.get_range_async(self._store, path, start=0, length=len(octets)))
        finally:
            await self._delete([path])
        if read != octets:
            raise SpoolUnavailable(
                f"{self._place} gives back something else than was written; {self._where.way}"
            )
        if written["version"] is not None:
            return (
                "the bucket keeps versions, so what retention removes is still there: suspend versioning, or let "
                "noncurrent versions expire"
            )
        return None

    async def _read(self, content: Content, key: str) -> AsyncGenerator[bytes, None]:
        check_size(content, self.place_of(key), await self._size_of(key))
        for start, end in _ranges(content.size):
            with self._translated():
                piece = await obstore.get_range_async(self._store, path_of(key), start=start, end=end)
            for chunk in slices(bytes(piece)):
                yield chunk

    def _read_blocking(self, content: Content, key: str) -> Iterator[bytes]:
        check_size(content, self.place_of(key), self._size_blocking(key))
        for start, end in _ranges(content.size):
            with self._translated():
                piece = obstore.get_range(self._store, path_of(key), start=start, end=end)
            yield from slices(bytes(piece))

    async def _size_of(self, key: str) -> int | None:
        try:
            with self._translated():
                return (await obstore.head_async(self._store, path_of(key)))["size"]
        except _Missing:
            await self.reach()  # in a bucket that is not there nothing is, and nothing is lost
            return None

    def _size_blocking(self, key: str) -> int | None:
        try:
            with self._translated():
                return obstore.head(self._store, path_of(key))["size"]
        except _Missing:
            with self._translated():
                obstore.list(self._store, "nothing").collect()
            return None

    async def _delete(self, paths: list[str]) -> None:
        if paths:
            with self._translated():
                await obstore.delete_async(self._store, paths)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise what the library raises as SpoolUnavailable, or _Missing, with the fix."""
        try:
            yield
        except FileNotFoundError as error:
            raise _Missing(self._where.explained(error)) from error
        except TROUBLE as error:
            raise SpoolUnavailable(self._where.explained(error)) from error


class _Missing(SpoolUnavailable):
    """There is no such object, or no such bucket."""


class ObjectWriter(SpoolWriter):
    """Uploads one content, in parts once it has more than one."""

    def __init__(self, spool: ObjectSpool, inline_limit: int):
        super().__init__(inline_limit)
        self._spool = spool
        self._upload: obstore.AsyncWritableFile | None = None
        self._closing = False

    async def _append(self, data: bytes) -> None:
        await asyncio.to_thread(self._digest.update, data)
        if self._upload is None:
            self._upload = await self._begin()
        for chunk in slices(data):
            with self._spool._translated():
                await self._upload.write(chunk)

    async def _publish(self) -> None:
        if self._upload is None:
            raise StoreProblem("a content of the spool has no object")
        self._closing = True
        with self._spool._translated():
            await to_the_end(self._upload.close())
        self._spool._uploads.release()

    async def _abandon(self) -> None:
        if self._upload is None:
            return
        try:
            await tidied(self._remove(self._upload), self._spool.place_of(self._key), "spool.upload_left")
        finally:
            self._spool._uploads.release()

    async def _remove(self, upload: "obstore.AsyncWritableFile") -> None:
        if self._closing:  # it may have been completed, though nobody could tell us
            await self._spool.delete_keys([self._key])
        else:
            await abandon(upload)

    async def _begin(self) -> "obstore.AsyncWritableFile":
        try:
            async with asyncio.timeout(_WAIT):
                await self._spool._uploads.acquire()
        except TimeoutError as error:
            raise SpoolUnavailable(
                f"{UPLOADS} uploads to {self._spool._place} are under way, and none ends"
            ) from error
        return obstore.open_writer_async(
            self._spool._store, path_of(self._key), buffer_size=PART, max_concurrency=1
        )


def path_of(key: str) -> str:
    """The path of an object below the prefix; as that of a file below the spool."""
    return f"{check_key(key)[:2]}/{key}"


def _ranges(size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, RANGE):
        yield start, min(start + RANGE, size)
