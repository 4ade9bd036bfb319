# SPDX-License-Identifier: EUPL-1.2

"""Both kinds of spool as a test sees them: what is in them, and what can happen to it."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adapter.store import Content, FileSpool, Spool
from adapter.store.objects import ObjectSpool
from tests.s3 import Bucket

LARGE = 11 * 1024 * 1024 + 7
"""Octets that are three parts of an upload."""


async def put(spool: Spool, data: bytes, chunk: int = 50_000) -> Content:
    async with spool.writer() as writer:
        for start in range(0, len(data), chunk):
            await writer.write(data[start : start + chunk])
        return await writer.commit()


class SpoolHouse(ABC):
    """A spool with what it stands on."""

    spool: Spool

    @abstractmethod
    def files(self) -> list[Path]:
        """Every content that is kept, as the file that it is in the end."""

    @abstractmethod
    def leftovers(self) -> list[Path]:
        """What is there of contents that were not finished."""

    def file(self, content: Content) -> Path:
        assert content.key is not None
        (found,) = [path for path in self.files() if path.name == content.key]
        return found

    def age(self, content: Content, moment: datetime) -> None:
        """Make it as if a content had been written at a moment."""
        os.utime(self.file(content), (moment.timestamp(), moment.timestamp()))


@dataclass
class FileHouse(SpoolHouse):
    spool: FileSpool

    def files(self) -> list[Path]:
        return [path for path in self.spool._root.glob("??/*") if path.is_file()]

    def leftovers(self) -> list[Path]:
        return list(self.spool._incoming.iterdir())


@dataclass
class ObjectHouse(SpoolHouse):
    spool: ObjectSpool
    bucket: Bucket

    def files(self) -> list[Path]:
        return self.bucket.objects()

    def leftovers(self) -> list[Path]:
        return self.bucket.uploads()
