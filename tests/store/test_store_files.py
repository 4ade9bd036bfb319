# SPDX-License-Identifier: EUPL-1.2

"""What is of files alone: syncing, full disks, and what a crash leaves in a directory."""

import errno
import io
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import (
    Content,
    Database,
    FileSpool,
    NewMessage,
    NewPayload,
    SpoolDamaged,
    SpoolUnavailable,
    insert_message,
    remove_leftovers,
)
from tests.spooled import known_spool_keys
from tests.store.spools import put

BIG = os.urandom(700_000)


@pytest.fixture
def spool(tmp_path: Path) -> FileSpool:
    return FileSpool(tmp_path / "spool", inline_limit=1000)


def files(spool: FileSpool) -> list[Path]:
    return [path for path in spool._root.rglob("*") if path.is_file()]


async def test_nobody_else_can_read_a_file(spool: FileSpool) -> None:
    path = spool.path_of(await put(spool, BIG))
    assert path is not None
    assert path.stat().st_mode & 0o077 == 0
    assert spool.path_of(Content(2, "", inline=b"hi")) is None


async def test_the_file_and_its_directories_are_synced_before_commit_returns(
    spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    content = await put(spool, BIG)
    assert content.key is not None
    assert synced == [f"{content.key}.part", "spool", content.key[:2]]


async def test_a_full_disk_is_an_error_and_leaves_nothing(
    spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await put(spool, BIG)
    assert files(spool) == []


async def test_leftovers_of_a_crash_are_swept(
    spool: FileSpool,
    db: Database,
    now: datetime,
    new_message: Callable[..., NewMessage],
) -> None:
    known, unknown = await put(spool, BIG), await put(spool, BIG)
    (spool._incoming / "cafe.part").write_bytes(b"half")
    await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(known),))
    assert await db.read(known_spool_keys) == {known.key}
    async with spool.writer() as writer:
        await writer.write(BIG)
        assert await remove_leftovers(db, spool, await spool.names()) == 2
        await writer.commit()
    await spool.verify(known)
    with pytest.raises(SpoolDamaged, match="is gone"):
        await spool.read(unknown)


async def test_a_short_write_is_continued(spool: FileSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stingy(io.FileIO):
        def write(self, data: "memoryview | bytes") -> int:  # type: ignore[override]
            return super().write(data[:1000])

    monkeypatch.setattr("adapter.store.files.FileIO", Stingy)
    content = await put(spool, BIG)
    await spool.verify(content)


async def test_unfinished_files_are_found_but_for_those_being_written(
    spool: FileSpool, now: datetime
) -> None:
    stale = spool._incoming / f"{'a' * 32}.part"
    stale.write_bytes(b"half")
    async with spool.writer() as writer:
        await writer.write(BIG)
        pages = [page async for page in spool.stored(now + timedelta(days=9999))]
    assert [one.place for page in pages for one in page] == [str(stale)]
    await spool.remove(pages[0])
    assert files(spool) == []


async def test_a_directory_that_is_not_mounted_any_more_is_said(spool: FileSpool) -> None:
    spool._root.rename(spool._root.with_name("elsewhere"))
    with pytest.raises(SpoolUnavailable, match="mount it"):
        await spool.reach()
