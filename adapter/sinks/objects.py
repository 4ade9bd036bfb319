# SPDX-License-Identifier: EUPL-1.2

"""The requests of the s3 sink, one method each, so that a test can fail any one of them."""

import re
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from adapter.delivery import Permanent, StepFailed, Temporary
from adapter.store.buckets import PART, TROUBLE, BucketPlace, abandon, code_of, tidied
from adapter.store.spool import to_the_end

if TYPE_CHECKING:
    from obstore import Attributes

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.+-]+=\"?[\w.+-]+\"?)*", re.ASCII)

_NEVER: Final = frozenset({"EntityTooLarge", "KeyTooLongError", "MetadataTooLarge", "NotImplemented"})
"""Codes of refusals that are about the request itself."""


class Objects:
    """The objects below one prefix of a bucket, which `store` is set to; `where` is what to call it to people.

    Every method raises StepFailed, with the fix, when the store does not do what it is asked.
    """

    def __init__(self, store: S3Store, where: BucketPlace) -> None:
        self._store = store
        self.where = where

    async def sizes(self, key: str) -> dict[str, int]:
        """The sizes of the objects in `<key>/`, by their paths in it."""
        with self._translated():
            found = await obstore.list(self._store, key).collect_async()
        return {meta["path"].removeprefix(f"{key}/"): meta["size"] for meta in found}

    async def upload(
        self, path: str, content: AsyncGenerator[bytes, None], sha256: str, content_type: str | None
    ) -> None:
        """Put an object, in parts of which two at most are in memory; it is there when all of `content` was read and
        stored, and nothing of it is when that fails.

        What `content` raises passes.
        """
        attributes: Attributes = {"sha256": sha256}
        # what came from outside becomes a header only when it is what it should be
        if content_type is not None and _MEDIA_TYPE.fullmatch(content_type):
            attributes["Content-Type"] = content_type
        upload = obstore.open_writer_async(
            self._store, path, attributes=attributes, buffer_size=PART, max_concurrency=1
        )
        try:
            async with aclosing(content):
                async for chunk in content:
                    with self._translated():
                        await upload.write(chunk)
        except BaseException:
            await tidied(abandon(upload), f"{self.where.place}/{path}", "sink.upload_left")
            raise
        with self._translated():
            await to_the_end(upload.close())

    async def create(self, path: str, content: bytes, content_type: str) -> bool:
        """Put an object where there is none, in one request; whether there was none."""
        try:
            with self._translated():
                await obstore.put_async(
                    self._store, path, content, attributes={"Content-Type": content_type}, mode="create"
                )
        except _ExistsAlready:
            return False
        return True

    async def read(self, path: str, limit: int) -> bytes | None:
        """The content of an object, when it has `limit` octets at most, else b""; None when there is no such object."""
        try:
            with self._translated():
                found = await obstore.get_async(self._store, path)
                return bytes(await found.bytes_async()) if found.meta["size"] <= limit else b""
        except _Missing:
            await self.sizes("nothing")  # in a bucket that is not there nothing is
            return None

    async def delete(self, paths: Collection[str]) -> None:
        """Delete objects; one that is not there is deleted already."""
        with self._translated():
            await obstore.delete_async(self._store, list(paths))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except AlreadyExistsError as error:
            raise _ExistsAlready(Temporary(self.where.explained(error)), undone=True) from error
        except FileNotFoundError as error:
            raise _Missing(Temporary(self.where.explained(error)), undone=True) from error
        except TROUBLE as error:
            reason = self.where.explained(error)
            never = code_of(error) in _NEVER
            raise StepFailed(Permanent(reason) if never else Temporary(reason), undone=never) from error


class _ExistsAlready(StepFailed):
    """There is such an object."""


class _Missing(StepFailed):
    """There is no such object, or no such bucket."""
