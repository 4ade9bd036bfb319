import asyncio
import errno
import hashlib
import io
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import (
    Content,
    Database,
    NewMessage,
    NewPayload,
    Spool,
    SpoolDamaged,
    StoreProblem,
    insert_message,
    known_spool_keys,
)

BIG = os.urandom(700_000)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", inline_limit=1000)


def files(spool: Spool) -> list[Path]:
    return [path for path in spool._root.rglob("*") if path.is_file()]


async def put(spool: Spool, data: bytes, chunk: int = 50_000) -> Content:
    async with spool.writer() as writer:
        for start in range(0, len(data), chunk):
            await writer.write(data[start : start + chunk])
        return await writer.commit()


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_small_content_travels_inline(spool: Spool, size: int) -> None:
    content = await put(spool, BIG[:size])
    assert content == Content(size, hashlib.sha256(BIG[:size]).hexdigest(), inline=BIG[:size])
    assert await spool.read(content) == BIG[:size]
    assert spool.path_of(content) is None
    assert files(spool) == []


@pytest.mark.parametrize("size", [1001, 256 * 1024, 256 * 1024 + 1, len(BIG)])
async def test_a_large_content_is_a_file(spool: Spool, size: int) -> None:
    content = await put(spool, BIG[:size])
    assert (content.size, content.inline) == (size, None)
    assert content.sha256 == hashlib.sha256(BIG[:size]).hexdigest()
    path = spool.path_of(content)
    assert files(spool) == [path]
    assert path is not None
    assert path.stat().st_mode & 0o077 == 0
    assert await spool.read(content) == BIG[:size]
    await spool.verify(content)


async def test_a_large_content_is_read_in_chunks(spool: Spool) -> None:
    content = await put(spool, BIG)
    sizes = [len(chunk) async for chunk in spool.open(content)]
    assert max(sizes) <= 256 * 1024
    assert sum(sizes) == len(BIG)


async def test_the_file_and_its_directories_are_synced_before_commit_returns(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
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


async def test_what_is_not_committed_is_discarded(spool: Spool) -> None:
    async with spool.writer() as writer:
        await writer.write(BIG)
        assert len(files(spool)) == 1
    assert files(spool) == []


async def test_a_cancelled_writer_leaves_nothing(spool: Spool) -> None:
    started = asyncio.Event()

    async def receive() -> None:
        async with spool.writer() as writer:
            await writer.write(BIG)
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(receive())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(spool) == []


async def test_a_full_disk_is_an_error_and_leaves_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await put(spool, BIG)
    assert files(spool) == []


async def test_a_writer_takes_nothing_after_commit(spool: Spool) -> None:
    writer = spool.writer()
    await writer.commit()
    with pytest.raises(StoreProblem):
        await writer.write(b"more")


async def test_leftovers_of_a_crash_are_swept(
    spool: Spool,
    db: Database,
    now: datetime,
    new_message: Callable[..., NewMessage],
) -> None:
    known, unknown = await put(spool, BIG), await put(spool, BIG)
    (spool._incoming / "cafe.part").write_bytes(b"half")
    await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(known),))
    keys = await db.read(known_spool_keys)
    assert keys == {known.key}
    async with spool.writer() as writer:
        await writer.write(BIG)
        assert await spool.sweep(keys) == 2
        await writer.commit()
    await spool.verify(known)
    with pytest.raises(SpoolDamaged, match="is gone"):
        await spool.read(unknown)


async def test_a_changed_file_is_noticed(spool: Spool) -> None:
    content = await put(spool, BIG)
    path = spool.path_of(content)
    assert path is not None
    with path.open("r+b") as file:
        file.write(b"X" * 10)
    with pytest.raises(SpoolDamaged, match="digest"):
        await spool.verify(content)


async def test_a_torn_file_is_noticed(spool: Spool) -> None:
    content = await put(spool, BIG)
    path = spool.path_of(content)
    assert path is not None
    os.truncate(path, 10)
    with pytest.raises(SpoolDamaged, match="10 octets"):
        await spool.read(content)


async def test_a_key_that_leaves_the_spool_is_refused(spool: Spool) -> None:
    with pytest.raises(StoreProblem, match="no key"):
        spool.path_of(Content(1, "", key="../../etc/passwd"))


async def test_a_deleted_content_is_gone(spool: Spool) -> None:
    content = await put(spool, BIG)
    await spool.delete(content)
    await spool.delete(content)
    assert files(spool) == []


async def test_a_short_write_is_continued(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stingy(io.FileIO):
        def write(self, data: "memoryview | bytes") -> int:  # type: ignore[override]
            return super().write(data[:1000])

    monkeypatch.setattr("adapter.store.spool.FileIO", Stingy)
    content = await put(spool, BIG)
    await spool.verify(content)


async def test_in_a_shared_spool_only_what_is_old_is_swept(spool: Spool, tmp_path: Path) -> None:
    day = timedelta(days=1)
    contents = []
    for _ in range(2):
        async with spool.writer() as writer:
            await writer.write(bytes(300_000))
            contents.append(await writer.commit())
    old, young = (spool.path_of(content) for content in contents)
    assert old is not None
    assert young is not None
    moment = time.time() - 2 * day.total_seconds()
    os.utime(old, (moment, moment))
    assert await spool.sweep((), day) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert await spool.sweep(()) == 1
