# SPDX-License-Identifier: EUPL-1.2

"""What every spool promises: files and objects alike."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapter.store import (
    Content,
    Database,
    FileKind,
    Flow,
    NewDelivery,
    NewFile,
    NewMessage,
    NewPayload,
    Origin,
    SpoolDamaged,
    StoreProblem,
    create_delivery,
    find_orphans,
    insert_message,
    spooled_octets,
    spooled_per_authority,
)
from tests.spooled import known_spool_keys
from tests.store.spools import LARGE, SpoolHouse, put

BIG = os.urandom(700_000)
LARGER = BIG * 17


async def test_nothing_is_kept_of_what_was_not_written(spools: SpoolHouse) -> None:
    async with spools.spool.writer() as writer:
        assert writer.size == 0
    assert spools.files() == spools.leftovers() == []


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_small_content_travels_inline(spools: SpoolHouse, size: int) -> None:
    content = await put(spools.spool, BIG[:size])
    assert content == Content(size, hashlib.sha256(BIG[:size]).hexdigest(), inline=BIG[:size])
    assert await spools.spool.read(content) == b"".join(spools.spool.chunks(content)) == BIG[:size]
    assert await spools.spool.stored_size(content) == size
    assert spools.files() == []


@pytest.mark.parametrize("size", [1001, 256 * 1024, 256 * 1024 + 1, len(BIG), LARGE])
async def test_a_large_content_is_kept_under_its_key(spools: SpoolHouse, size: int) -> None:
    content = await put(spools.spool, LARGER[:size])
    assert (content.size, content.inline) == (size, None)
    assert content.sha256 == hashlib.sha256(LARGER[:size]).hexdigest()
    assert [path.name for path in spools.files()] == [content.key]
    assert await spools.spool.stored_size(content) == size
    assert await spools.spool.read(content) == LARGER[:size]
    await spools.spool.verify(content)
    assert spools.leftovers() == []


async def test_what_is_given_at_once_is_kept_as_what_comes_in_pieces(spools: SpoolHouse) -> None:
    content = await put(spools.spool, LARGER, len(LARGER))
    assert await spools.spool.read(content) == LARGER


async def test_a_large_content_is_read_in_chunks(spools: SpoolHouse) -> None:
    content = await put(spools.spool, LARGER)
    sizes = [len(chunk) async for chunk in spools.spool.open(content)]
    assert max(sizes) <= 256 * 1024
    assert sum(sizes) == len(LARGER)


async def test_a_thread_reads_the_same(spools: SpoolHouse) -> None:
    content = await put(spools.spool, LARGER)
    chunks = await asyncio.to_thread(lambda: list(spools.spool.chunks(content)))
    assert b"".join(chunks) == LARGER
    assert max(map(len, chunks)) <= 256 * 1024


async def test_what_is_not_committed_is_discarded(spools: SpoolHouse) -> None:
    async with spools.spool.writer() as writer:
        await writer.write(LARGER)
        assert len(spools.leftovers()) >= 1
    assert spools.files() == spools.leftovers() == []


async def test_a_cancelled_writer_leaves_nothing(spools: SpoolHouse) -> None:
    started = asyncio.Event()

    async def receive() -> None:
        async with spools.spool.writer() as writer:
            await writer.write(LARGER)
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(receive())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spools.files() == spools.leftovers() == []


async def test_a_writer_takes_nothing_after_commit(spools: SpoolHouse) -> None:
    writer = spools.spool.writer()
    await writer.commit()
    with pytest.raises(StoreProblem):
        await writer.write(b"more")


async def test_what_is_in_the_spool_is_counted_for_each_authority(
    spools: SpoolHouse, db: Database, now: datetime, new_message: Callable[..., NewMessage]
) -> None:
    small, big, fetched = [await put(spools.spool, BIG[:size]) for size in (500, 200_000, 300_000)]
    one, other = new_message(authority="one"), new_message(authority="other")
    await db.write(insert_message, one, None, now, payloads=(NewPayload(small), NewPayload(big)))
    await db.write(insert_message, other, None, now, payloads=(NewPayload(small),))
    delivery = NewDelivery(
        authority="one",
        sink="archief",
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        verzoeknummer="2023073100048",
        files=(NewFile(FileKind.PDF, content=fetched),),
    )
    await db.write(create_delivery, delivery, None, now)
    assert await db.read(spooled_per_authority) == {"one": 500_000}


async def test_many_contents_are_written_at_a_time(spools: SpoolHouse) -> None:
    contents = await asyncio.gather(*(put(spools.spool, BIG[number:]) for number in range(50)))
    for number, content in enumerate(contents):
        assert await spools.spool.read(content) == BIG[number:]


async def test_a_content_that_is_gone_is_damaged(spools: SpoolHouse) -> None:
    content = await put(spools.spool, BIG)
    spools.file(content).unlink()
    assert await spools.spool.stored_size(content) is None
    for reads in (
        spools.spool.read,
        spools.spool.verify,
        spools.spool.require,
        lambda one: asyncio.to_thread(list, spools.spool.chunks(one)),
    ):
        with pytest.raises(SpoolDamaged, match="is gone"):
            await reads(content)


async def test_a_content_that_was_changed_is_not_read_to_its_end(spools: SpoolHouse) -> None:
    content = await put(spools.spool, BIG)
    with spools.file(content).open("r+b") as file:
        file.write(b"X" * 10)
    got: list[bytes] = []
    with pytest.raises(SpoolDamaged, match="digest"):
        got.extend([chunk async for chunk in spools.spool.open(content)])
    assert sum(map(len, got)) < len(BIG)
    with pytest.raises(SpoolDamaged, match="digest"):
        await spools.spool.verify(content)
    with pytest.raises(SpoolDamaged, match="digest"):
        await asyncio.to_thread(list, spools.spool.chunks(content))


async def test_an_inline_content_that_was_changed_is_not_given_out(spools: SpoolHouse) -> None:
    content = await put(spools.spool, b"klein")
    changed = Content(content.size, content.sha256, inline=b"groot")
    with pytest.raises(SpoolDamaged, match="digest"):
        await spools.spool.read(changed)


@pytest.mark.parametrize("size", [0, 10, len(BIG) - 1])
async def test_a_torn_content_is_noticed(spools: SpoolHouse, size: int) -> None:
    content = await put(spools.spool, BIG)
    os.truncate(spools.file(content), size)
    assert await spools.spool.stored_size(content) == size
    for reads in (spools.spool.read, spools.spool.require):
        with pytest.raises(SpoolDamaged, match=f"{size} octets"):
            await reads(content)


async def test_what_retention_removed_cannot_be_read(spools: SpoolHouse) -> None:
    with pytest.raises(SpoolDamaged, match="removed"):
        await spools.spool.read(Content(5, "ab" * 32))


async def test_a_key_that_leaves_the_spool_is_refused(spools: SpoolHouse) -> None:
    outside = Content(1, "", key="../../etc/passwd")
    for use in (spools.spool.read, spools.spool.delete, spools.spool.stored_size):
        with pytest.raises(StoreProblem, match="no key"):
            await use(outside)


async def test_a_deleted_content_is_gone(spools: SpoolHouse) -> None:
    content = await put(spools.spool, BIG)
    await spools.spool.delete(content)
    await spools.spool.delete(content)
    assert spools.files() == []


async def test_contents_are_deleted_by_their_keys(spools: SpoolHouse) -> None:
    kept, *going = [await put(spools.spool, BIG) for _ in range(3)]
    await spools.spool.delete_keys([one.key for one in going if one.key is not None])
    await spools.spool.delete_keys([])
    assert [path.name for path in spools.files()] == [kept.key]


async def test_orphans_older_than_a_day_are_found_and_no_others(
    spools: SpoolHouse, db: Database, new_message: Callable[..., NewMessage]
) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    named, young, old = [await put(spools.spool, BIG) for _ in range(3)]
    await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(named),))
    for content in (named, young, old):
        spools.age(content, now - (timedelta(hours=1) if content is young else 2 * day))
    note = spools.file(old).parent.parent / "README"
    note.write_text("not ours")
    found = [one async for some in find_orphans(db, spools.spool, now) for one in some]
    assert [one.key for one in found] == [old.key]
    assert found[0].place.endswith(f"/{found[0].path}")
    await spools.spool.remove(found)
    await spools.spool.remove(found)
    assert [some async for some in find_orphans(db, spools.spool, now)] == []
    assert {path.name for path in spools.files()} - {"README"} == {named.key, young.key}
    assert note.exists()


async def test_all_pages_of_a_spool_with_many_contents_are_looked_through(
    spools: SpoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("files", "objects"):
        monkeypatch.setattr(f"adapter.store.{module}._PAGE", 2)
    contents = [await put(spools.spool, BIG[:2000]) for _ in range(7)]
    later = datetime.now(UTC) + timedelta(days=1)
    pages = [page async for page in spools.spool.stored(later)]
    assert max(map(len, pages)) <= 2
    assert {one.key for page in pages for one in page} == {content.key for content in contents}


async def test_the_rows_tell_how_much_the_spool_holds(
    spools: SpoolHouse, db: Database, now: datetime, new_message: Callable[..., NewMessage]
) -> None:
    contents = [await put(spools.spool, BIG), await put(spools.spool, b"klein")]
    payloads = tuple(NewPayload(content, f"p{number}") for number, content in enumerate(contents))
    assert await db.read(spooled_octets) == 0
    await db.write(insert_message, new_message(), None, now, payloads=payloads)
    assert await db.read(spooled_octets) == len(BIG)
    assert await db.read(known_spool_keys) == {contents[0].key}
    assert await spools.spool.size() in {len(BIG), None}


async def test_a_spool_that_is_there_can_be_reached(spools: SpoolHouse) -> None:
    await spools.spool.reach()
