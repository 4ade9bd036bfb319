# SPDX-License-Identifier: EUPL-1.2

import os
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy import update as sql_update

from adapter.store import (
    Content,
    Database,
    DeliveryState,
    Direction,
    Event,
    FileKind,
    Flow,
    JobKind,
    MessageKind,
    MessageState,
    NewDelivery,
    NewFile,
    NewJob,
    NewMessage,
    NewPayload,
    Origin,
    Periods,
    Purgeable,
    Purged,
    PurgeRun,
    Reception,
    RetentionPolicy,
    Spool,
    accept,
    add_event,
    claim_jobs,
    complete_delivery,
    create_delivery,
    delivery_files,
    events_for,
    find_deliveries,
    find_messages,
    find_purgeable,
    insert_message,
    mark_mailbox_processed,
    message_payloads,
    park_job,
    purge,
    purge_by_moment,
    record_file,
    record_references,
    remove_jobs,
    set_delivery_state,
    set_message_state,
    skip_delivery,
    verify_contents,
)
from adapter.store.schema import metadata
from tests.store.conftest import only_sqlite
from tests.store.spools import SpoolHouse, put

DAY = timedelta(days=1)
POLICY = RetentionPolicy(Periods(30 * DAY, 400 * DAY, 500 * DAY))
MARKER = b"BSN-999990019-"
SECRET = MARKER * 20

Make = Callable[..., NewMessage]


async def purged(
    db: Database, now: datetime, policy: RetentionPolicy = POLICY, spool: Spool | None = None
) -> dict[str, int]:
    """Purge all there is, as the daemon does, in batches of three."""
    counts: dict[str, int] = {}
    run = PurgeRun(policy, now)

    async def take(one: Purged) -> None:
        for what, count in one.counts.items():
            counts[what] = counts.get(what, 0) + count
        if spool is not None:
            await spool.delete_keys(one.keys)

    for what in Purgeable:
        if what is Purgeable.MESSAGE_IDS:
            await take(await db.write(purge_by_moment, what, run))
        after: Any = None
        while True:
            found = await db.read(find_purgeable, what, run, after)
            for start in range(0, len(found.ids), 3):
                await take(await db.write(purge, what, found.ids[start : start + 3], run))
            after = found.go_on
            if after is None:
                break
    return {what: count for what, count in counts.items() if count}


def rows(conn: Connection) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }


def inline(data: bytes = SECRET) -> NewPayload:
    return NewPayload(Content(len(data), "ab" * 32, data), "p1", "text/xml")


def to(message: int | None, **changes: Any) -> NewDelivery:
    values: dict[str, Any] = {
        "authority": "voorbeeldstad",
        "sink": "archief",
        "flow": Flow.MESSAGE,
        "origin": Origin.NOTIFICATION,
        "message": message,
        "name": "m1",
    }
    return NewDelivery(**(values | changes))


async def delivered(
    db: Database, message: int | None, now: datetime, *, keep: bool = False, **changes: Any
) -> int:
    row = await db.write(create_delivery, to(message, **changes), None, now)
    await db.write(complete_delivery, row, DeliveryState.READY, now, keep=keep)
    return row


async def finished(db: Database, reception: Reception, now: datetime) -> int:
    """A received message that was delivered."""
    taken = await db.write(accept, reception, now)
    assert hasattr(taken, "response")
    assert taken.message is not None
    await db.write(remove_jobs, (JobKind.ROUTE,), taken.message)
    await delivered(db, taken.message, now)
    return taken.message


async def is_removed(db: Database, message: int) -> bool:
    return all(payload.content.is_removed for payload in await db.read(message_payloads, message))


async def test_the_octets_go_first_and_sizes_and_digests_stay(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    row = await finished(db, reception(payloads=(inline(),)), now)
    assert await purged(db, now + 29 * DAY) == {"message_ids": 1}
    assert not await is_removed(db, row)
    assert await purged(db, now + 31 * DAY) == {"payloads": 1}
    (payload,) = await db.read(message_payloads, row)
    assert (payload.content.size, payload.content.sha256) == (len(SECRET), "ab" * 32)
    assert (payload.content.inline, payload.content.key) == (None, None)


async def test_a_message_goes_with_everything_that_hangs_on_it(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    before = await db.read(rows)
    await finished(db, reception(payloads=(inline(),)), now)
    (one,) = await db.read(find_deliveries)
    assert await purged(db, now + 399 * DAY) == {"payloads": 1, "message_ids": 1}
    assert await purged(db, now + 401 * DAY) == {"messages": 2, "deliveries": 1}
    left = await db.read(rows)
    lines = left.pop("timeline")
    assert lines > 0
    assert left == {name: count for name, count in before.items() if name != "timeline"}
    (first, *_) = await db.read(events_for, message_id="m1@dso")
    assert (first.message, first.message_id) == (None, "m1@dso")
    assert one.message_id == "m1@dso"
    assert await purged(db, now + 501 * DAY) == {"timeline": lines}
    assert (await db.read(rows))["timeline"] == before["timeline"] == 0


async def test_the_timeline_of_a_verzoek_is_found_by_its_number_after_the_message_is_gone(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    taken = await db.write(accept, reception(payloads=()), now)
    assert hasattr(taken, "response")
    await db.write(remove_jobs, (JobKind.ROUTE,), taken.message)
    row = await db.write(
        create_delivery, to(taken.message, flow=Flow.STAM, verzoeknummer="7", name=""), None, now
    )
    await db.write(skip_delivery, row, "by hand", now)
    known = [event.action for event in await db.read(events_for, "7")]
    assert "message.received" in known
    await purged(db, now + 401 * DAY)
    assert [event.action for event in await db.read(events_for, "7")] == known


async def test_what_waits_stays_however_old_it_is(
    db: Database, now: datetime, reception: Callable[..., Reception], new_message: Make
) -> None:
    async def routed(name: str) -> int:
        taken = await db.write(accept, reception(f"{name}@dso", route=None, payloads=(inline(),)), now)
        assert hasattr(taken, "response")
        assert taken.message is not None
        return taken.message

    unrouted = await db.write(accept, reception("route@dso", payloads=(inline(),)), now)
    assert hasattr(unrouted, "response")
    nobody = await routed("nobody")
    ready, parked, kept = await routed("ready"), await routed("parked"), await routed("kept")
    await db.write(create_delivery, to(ready), NewJob(JobKind.DELIVER, "sink"), now)
    await db.write(create_delivery, to(parked), NewJob(JobKind.DELIVER, "other"), now)
    jobs = await db.write(claim_jobs, "w", now, DAY, 9, (), (JobKind.DELIVER,))
    await db.write(park_job, next(job for job in jobs if job.lane == "other"), "full", now)
    await delivered(db, kept, now, keep=True)
    sending = await db.write(
        insert_message,
        new_message(message_id="out", direction=Direction.OUT),
        NewJob(JobKind.SEND, "dso"),
        now,
        payloads=(inline(),),
    )
    half = await routed("half")
    await delivered(db, half, now)
    await db.write(create_delivery, to(half, sink="tweede"), None, now)
    assert set(await purged(db, now + 9999 * DAY)) == {"message_ids"}
    assert unrouted.message is not None
    for row in (unrouted.message, nobody, ready, parked, kept, sending, half):
        assert not await is_removed(db, row)


async def test_what_left_its_mailbox_goes_from_that_moment_on(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    taken = await db.write(accept, reception(route=None, payloads=(inline(),)), now)
    assert hasattr(taken, "response")
    assert taken.message is not None
    await delivered(db, taken.message, now, keep=True)
    assert "payloads" not in await purged(db, now + 100 * DAY)
    assert await db.write(mark_mailbox_processed, taken.message, now + 100 * DAY)
    assert "payloads" not in await purged(db, now + 129 * DAY)
    assert await purged(db, now + 131 * DAY) == {"payloads": 1}


@pytest.mark.parametrize("end", [MessageState.DELIVERED, MessageState.FAILED, MessageState.EXPIRED])
async def test_what_was_sent_goes_whatever_became_of_it(
    db: Database, now: datetime, new_message: Make, end: MessageState
) -> None:
    row = await db.write(
        insert_message, new_message(direction=Direction.OUT), None, now, payloads=(inline(),)
    )
    await db.write(set_message_state, row, MessageState.CREATED, end, None, now)
    await db.write(
        insert_message,
        new_message(kind=MessageKind.ACKNOWLEDGMENT, message_id="a", ref_to_message_id="m1@dso"),
        None,
        now + DAY,
    )
    assert await purged(db, now + 31 * DAY) == {"payloads": 1}
    assert await purged(db, now + 400 * DAY + timedelta(hours=1)) == {}, "its acknowledgment came later"
    assert await purged(db, now + 402 * DAY) == {"messages": 2}


async def test_nothing_goes_while_a_repeat_may_come(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    hasty = RetentionPolicy(Periods(DAY, DAY, DAY))
    row = await finished(db, reception(payloads=(inline(),), keep_until=now + 5 * DAY), now)
    assert await purged(db, now + 4 * DAY, hasty) == {}
    assert not await is_removed(db, row)
    again = await db.write(accept, reception(payloads=(inline(),)), now + 4 * DAY)
    assert not hasattr(again, "content_digest")
    gone = await purged(db, now + 6 * DAY, hasty)
    assert (gone["payloads"], gone["messages"], gone["message_ids"]) == (1, 2, 1)


async def test_each_authority_has_its_own_periods(
    db: Database, now: datetime, reception: Callable[..., Reception], new_message: Make
) -> None:
    policy = RetentionPolicy(
        POLICY.default, {"snel": Periods(DAY, 10 * DAY, 20 * DAY), "voorbeeldstad": POLICY.default}
    )
    for authority in ("snel", "voorbeeldstad", "weg"):
        row = await db.write(
            insert_message, new_message(authority=authority), None, now, payloads=(inline(),)
        )
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.PROCESSED, None, now)
    assert await purged(db, now + 9 * DAY, policy) == {"payloads": 1}
    assert await purged(db, now + 11 * DAY, policy) == {"messages": 1}
    assert {one.authority for one in await db.read(find_messages)} == {"voorbeeldstad", "weg"}
    assert set(await purged(db, now + 21 * DAY, policy)) == {"timeline"}


async def test_a_delivery_without_a_message_goes_by_itself(db: Database, now: datetime) -> None:
    row = await db.write(
        create_delivery, to(None, flow=Flow.STAM, verzoeknummer="7", origin=Origin.RECONCILIATION), None, now
    )
    await db.write(record_references, row, [NewFile(FileKind.VERZOEK, "u")], now)
    (file,) = await db.read(delivery_files, row)
    await db.write(record_file, file.id, Content(len(SECRET), "cd" * 32, SECRET), "text/xml", now)
    assert await purged(db, now + 999 * DAY) == {}
    await db.write(set_delivery_state, row, DeliveryState.COLLECTING, DeliveryState.REPEATED, None, now)
    assert await purged(db, now + 31 * DAY) == {"files": 1}
    (file,) = await db.read(delivery_files, row)
    assert file.content == Content(len(SECRET), "cd" * 32)
    assert await purged(db, now + 401 * DAY) == {"deliveries": 1}
    assert (await db.read(rows))["delivery_file"] == 0


async def test_a_message_is_kept_while_its_octets_are(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    await finished(db, reception(payloads=(inline(),)), now)
    later = now + 999 * DAY
    found = await db.read(find_purgeable, Purgeable.MESSAGES, PurgeRun(POLICY, later), None)
    assert found.ids
    assert not (await db.write(purge, Purgeable.MESSAGES, found.ids, PurgeRun(POLICY, later))).counts


async def test_what_was_found_is_looked_at_again_before_it_goes(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    row = await finished(db, reception(payloads=(inline(),)), now)
    later = now + 31 * DAY
    found = await db.read(find_purgeable, Purgeable.PAYLOADS, PurgeRun(POLICY, later), None)
    assert len(found.ids) == 1
    await db.write(create_delivery, to(row), NewJob(JobKind.DELIVER, "sink"), later)
    assert await db.write(purge, Purgeable.PAYLOADS, found.ids, PurgeRun(POLICY, later)) == Purged()
    assert not await is_removed(db, row)


async def test_an_answer_goes_with_the_message_before_it_and_not_with_a_later_copy(
    db: Database, now: datetime, new_message: Make
) -> None:
    for moment in (now, now + 100 * DAY):
        row = await db.write(insert_message, new_message(), None, moment)
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.REFUSED, None, moment)
        if moment == now:
            error = new_message(kind=MessageKind.ERROR, message_id="e", ref_to_message_id="m1@dso")
            await db.write(insert_message, error, None, now)
            second = new_message(kind=MessageKind.ERROR, message_id="f", ref_to_message_id="e")
            await db.write(insert_message, second, None, now)
    kinds = [one.kind for one in await db.read(find_messages)]
    assert len(kinds) == 4
    # the error was stored before the second copy: it is the answer to the first one only
    assert await purged(db, now + 401 * DAY) == {"messages": 2}
    assert [one.message_id for one in await db.read(find_messages)] == ["m1@dso", "f"]
    assert (await purged(db, now + 999 * DAY))["messages"] == 2


async def test_lines_of_nothing_in_particular_go_by_their_own_age(db: Database, now: datetime) -> None:
    for days in (0, 100):
        await db.write(add_event, Event(now + days * DAY, "voorbeeldstad", "lane.paused"))
    assert await purged(db, now + 501 * DAY) == {"timeline": 1}
    assert (await db.read(rows))["timeline"] == 1


async def test_a_file_that_two_rows_share_goes_with_the_last(
    db: Database, now: datetime, spools: SpoolHouse, reception: Callable[..., Reception]
) -> None:
    content = await put(spools.spool, SECRET * 300)
    taken = await db.write(accept, reception(route=None, payloads=(NewPayload(content),)), now)
    assert hasattr(taken, "response")
    files = (NewFile(FileKind.PAYLOAD, path="payloads/x", content=content),)
    await delivered(db, taken.message, now + 10 * DAY, files=files)
    await db.write(sql_update_message, taken.message, now)
    path = spools.file(content)
    policy = RetentionPolicy(Periods(30 * DAY, 400 * DAY, 400 * DAY))
    for what in (Purgeable.FILES, Purgeable.PAYLOADS):
        assert path.exists()
        found = await db.read(find_purgeable, what, PurgeRun(policy, now + 41 * DAY), None)
        one = await db.write(purge, what, found.ids, PurgeRun(policy, now + 41 * DAY))
        assert one.counts == {what: 1}
        await spools.spool.delete_keys(one.keys)
    assert not path.exists()


def sql_update_message(conn: Connection, row: int, now: datetime) -> None:
    message = metadata.tables["message"]
    conn.execute(sql_update(message).where(message.c.id == row).values(updated_at=now))


@pytest.mark.parametrize("how", ["gone", "torn", "flipped", "inline"])
async def test_a_content_that_is_not_what_was_stored_is_found(
    db: Database, now: datetime, spools: SpoolHouse, new_message: Make, how: str
) -> None:
    spool, large = spools.spool, SECRET * 300
    good, bad, small = await put(spool, large), await put(spool, large[::-1]), await put(spool, b"klein")
    path = spools.file(bad)
    if how == "gone":
        path.unlink()
    elif how == "torn":
        os.truncate(path, 5)
    elif how == "flipped":
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    else:
        bad = Content(5, "00" * 32, b"klein")
    contents = tuple(NewPayload(content) for content in (good, bad, small, Content(0, "00" * 32)))
    row = await db.write(insert_message, new_message(), None, now, payloads=contents)
    found = [one async for one in verify_contents(db, spool, 2**40)]
    assert len(found) == 3, "what retention removed is not looked for"
    (finding,) = [one.finding for one in found if one.finding is not None]
    assert (finding.kind, finding.authority, finding.of, finding.position) == (
        "payload",
        "voorbeeldstad",
        row,
        1,
    )
    assert MARKER.decode() not in finding.reason


# --- nothing of it is left in the files


def octets_in(state: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in state.rglob("*") if path.is_file())


def contains(state: Path, marker: bytes = MARKER) -> bool:
    return any(marker in octets for octets in octets_in(state))


@only_sqlite
@pytest.mark.parametrize("seed", [0, 3, 4, 8, 11])
async def test_rows_that_grew_and_moved_leave_no_copies_in_the_database(
    db: Database, state: Path, now: datetime, seed: int
) -> None:
    """Files of many verzoeken land in any order, which splits pages around contents; see `InlineOctets`.

    Without the zeros that it puts before octets, each of these seeds leaves some behind.
    """
    choice = random.Random(seed)
    await db.write(fill_in_any_order, choice, now)
    assert await db.tidy()
    assert contains(state)
    assert (await purged(db, now + 31 * DAY))["files"] == 300
    assert await db.tidy()
    assert not contains(state)


def fill_in_any_order(conn: Connection, choice: random.Random, now: datetime) -> None:
    """A hundred verzoeken of three small files each, all skipped."""
    verzoeken, files = [], []
    for number in range(100):
        row = create_delivery(conn, to(None, flow=Flow.STAM, verzoeknummer=str(number)), None, now)
        record_references(conn, row, [NewFile(FileKind.DOCUMENT, "u")] * 3, now)
        verzoeken.append(row)
        files += delivery_files(conn, row)
    choice.shuffle(files)
    for file in files:
        data = (MARKER + choice.randbytes(20)) * choice.randint(6, 80)
        record_file(conn, file.id, Content(len(data), "ab" * 32, data), "a/b", now)
    for row in verzoeken:
        skip_delivery(conn, row, "by hand", now)


@only_sqlite
async def test_the_file_of_the_database_becomes_smaller(
    db: Database, state: Path, now: datetime, new_message: Make
) -> None:
    for number in range(60):
        row = await db.write(
            insert_message,
            new_message(message_id=str(number)),
            None,
            now,
            payloads=(inline(os.urandom(60_000)),),
        )
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.PROCESSED, None, now)
    await db.tidy()
    large = (state / "stam-adapter.db").stat().st_size
    assert large > 3_600_000
    await purged(db, now + 31 * DAY)
    assert await db.tidy()
    assert (state / "stam-adapter.db").stat().st_size < large // 2
    assert (state / "stam-adapter.db-wal").stat().st_size == 0


async def test_no_query_finds_the_octets_any_more(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    await finished(db, reception(payloads=(inline(),)), now)
    await purged(db, now + 31 * DAY)

    def everything(conn: Connection) -> str:
        return "".join(repr(conn.execute(select(table)).all()) for table in metadata.sorted_tables)

    assert MARKER.decode() not in await db.read(everything)
