# SPDX-License-Identifier: EUPL-1.2

"""Backups and restores on both databases."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.store import (
    Collected,
    Content,
    Database,
    DeliveryState,
    FileKind,
    Flow,
    JobKind,
    JobState,
    Loss,
    NewDelivery,
    NewFile,
    NewJob,
    NewPayload,
    Origin,
    Spool,
    StoreProblem,
    VerzoekFacts,
    back_up,
    backup,
    claim_jobs,
    complete_collection,
    create_delivery,
    delivery_files,
    events_for,
    find_deliveries,
    find_jobs,
    find_messages,
    insert_message,
    named_files,
    open_database,
    read_manifest,
    record_file,
    record_references,
    restore,
    settle_loss,
    skip_delivery,
)
from adapter.store.files import FileSpool
from tests.postgresql import Server
from tests.spooled import known_spool_keys
from tests.store.conftest import only_sqlite

LEASE = timedelta(minutes=1)
BIG = 100_000


@pytest.fixture
def spool(state: Path) -> Spool:
    return FileSpool(state / "spool")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backup is restored: a new state directory, and for PostgreSQL a new database."""

    url: str
    state: Path

    def open(self) -> Database:
        return open_database(self.url, self.state, exclusive=True)


@pytest.fixture
def place(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    if backend == "sqlite":
        yield Place("sqlite", tmp_path / "new")
        return
    server: Server = request.getfixturevalue("postgresql")
    name = server.new_database(migrated=False)
    yield Place(server.url(name), tmp_path / "new")
    server.drop_database(name)


async def keep(spool: Spool, octets: bytes) -> Content:
    async with spool.writer() as writer:
        await writer.write(octets)
        return await writer.commit()


async def store_message(
    db: Database, spool: Spool, new_message: Callable[..., Any], number: int, now: datetime
) -> Content:
    content = await keep(spool, bytes([number]) * BIG)
    new = new_message(message_id=f"m{number}")
    job = NewJob(JobKind.ROUTE, "route")
    await db.write(insert_message, new, job, now, payloads=(NewPayload(content),))
    return content


async def test_what_was_backed_up_is_restored(
    db: Database, spool: Spool, url: str, place: Place, tmp_path: Path, now: datetime, new_message: Any
) -> None:
    contents = [await store_message(db, spool, new_message, number, now) for number in range(3)]
    made = await back_up(db, spool, url, tmp_path / "backup", now)
    assert (made.backup.files, made.backup.octets, made.removed, made.problems) == (3, 3 * BIG, 0, ())
    assert await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup") == made.backup
    restored = place.open()
    try:
        assert [m.message_id for m in await restored.read(find_messages)] == ["m2", "m1", "m0"]
        assert len(await restored.read(find_jobs)) == 3
        for content in contents:
            await FileSpool(place.state / "spool").verify(content)
    finally:
        await restored.close()
    assert read_manifest(place.state) == made.backup


async def test_a_backup_beside_a_busy_store_is_of_one_moment(
    db: Database, spool: Spool, url: str, place: Place, tmp_path: Path, now: datetime, new_message: Any
) -> None:
    """Every message that is in it has its payload and its job."""
    stopped, busy = False, asyncio.Event()

    async def receive() -> None:
        number = 0
        while not stopped:
            await store_message(db, spool, new_message, number % 256, now)
            number += 1
            if number == 3:
                busy.set()

    receiving = asyncio.create_task(receive())
    await busy.wait()
    made = await back_up(db, spool, url, tmp_path / "backup", now)
    stopped = True
    await receiving
    await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup")
    restored = place.open()
    try:
        messages = await restored.read(find_messages, limit=10_000)
        assert 3 <= len(messages) == made.backup.files
        assert len(await restored.read(find_jobs, limit=10_000)) == len(messages)
        keys = await restored.read(known_spool_keys)
    finally:
        await restored.close()
    files = {path.name for path in (place.state / "spool").glob("??/*")}
    assert files == keys


async def test_only_the_owner_can_read_a_backup(
    db: Database, spool: Spool, url: str, tmp_path: Path, now: datetime, new_message: Any
) -> None:
    await store_message(db, spool, new_message, 1, now)
    await back_up(db, spool, url, tmp_path / "backup", now)
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [tmp_path / "backup"]}
    dumps = [path for path in (tmp_path / "backup").iterdir() if path.name.startswith("stam-adapter.")]
    modes |= {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in dumps}
    modes |= {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (tmp_path / "backup").glob("spool/??/*")}
    assert modes == {0}


class Purging(FileSpool):
    """A spool from which retention removes a file between the copy of the database and that of the files."""

    def __init__(self, root: Path, forget: Callable[[], Any]) -> None:
        super().__init__(root)
        self.forget = forget

    async def open(self, content: Content):  # type: ignore[no-untyped-def, override]
        if self.forget is not None:
            await self.forget()
        async for chunk in super().open(content):
            yield chunk


async def test_what_retention_removes_meanwhile_is_counted_and_no_problem(
    db: Database, spool: Spool, state: Path, url: str, tmp_path: Path, now: datetime, new_message: Any
) -> None:
    content = await store_message(db, spool, new_message, 1, now)

    async def forget() -> None:
        await db.write(lambda conn: conn.exec_driver_sql("UPDATE payload SET spool_key = NULL"))
        await spool.delete(content)

    made = await back_up(db, Purging(state / "spool", forget), url, tmp_path / "backup", now)
    assert (made.backup.files, made.removed, made.problems) == (0, 1, ())


@pytest.mark.parametrize("fault", ["missing", "torn", "changed"])
async def test_what_is_damaged_in_the_store_is_said_and_not_copied(
    db: Database,
    spool: Spool,
    url: str,
    tmp_path: Path,
    now: datetime,
    new_message: Any,
    fault: str,
) -> None:
    content = await store_message(db, spool, new_message, 1, now)
    await store_message(db, spool, new_message, 2, now)
    path = spool.path_of(content)
    assert path is not None
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        os.truncate(path, 10)
    else:
        path.write_bytes(b"x" * BIG)
    made = await back_up(db, spool, url, tmp_path / "backup", now)
    (problem,) = made.problems
    assert path.name in problem
    assert made.backup.files == 1
    assert [copy.name for copy in (tmp_path / "backup").glob("spool/??/*")] != [path.name]


async def test_a_directory_with_something_in_it_is_no_place_for_a_backup(
    db: Database, spool: Spool, url: str, tmp_path: Path, now: datetime
) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "yesterday").touch()
    with pytest.raises(StoreProblem, match="not empty"):
        await back_up(db, spool, url, tmp_path / "backup", now)


async def test_a_restore_replaces_nothing(
    db: Database, spool: Spool, url: str, state: Path, tmp_path: Path, now: datetime
) -> None:
    await back_up(db, spool, url, tmp_path / "backup", now)
    with pytest.raises(StoreProblem, match="there is a store already"):
        await asyncio.to_thread(restore, url, state, tmp_path / "backup")
    assert read_manifest(state) is None


async def test_a_backup_that_was_not_finished_is_not_restored(
    db: Database, spool: Spool, url: str, place: Place, tmp_path: Path, now: datetime
) -> None:
    await back_up(db, spool, url, tmp_path / "backup", now)
    (tmp_path / "backup" / "backup.json").unlink()
    with pytest.raises(StoreProblem, match="not finished"):
        await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup")
    (tmp_path / "backup" / "backup.json").write_text("{")
    with pytest.raises(StoreProblem, match="cannot be read"):
        await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup")


@only_sqlite
async def test_a_backup_of_another_kind_of_store_is_not_restored(
    db: Database, spool: Spool, url: str, place: Place, tmp_path: Path, now: datetime
) -> None:
    await back_up(db, spool, url, tmp_path / "backup", now)
    manifest = tmp_path / "backup" / "backup.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"store": "postgresql"}))
    with pytest.raises(StoreProblem, match="of kind postgresql"):
        await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup")


async def test_a_restore_that_was_cut_off_is_done_again(
    db: Database, spool: Spool, url: str, place: Place, tmp_path: Path, now: datetime, new_message: Any
) -> None:
    content = await store_message(db, spool, new_message, 1, now)
    await back_up(db, spool, url, tmp_path / "backup", now)
    path = FileSpool(place.state / "spool").path_of(content)
    assert path is not None
    path.parent.mkdir()
    path.write_bytes(b"half")
    await asyncio.to_thread(restore, place.url, place.state, tmp_path / "backup")
    await FileSpool(place.state / "spool").verify(content)


async def test_the_password_is_no_argument_of_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    class Done:
        returncode = 0

    def run(command: list[str], *, env: dict[str, str], **_: Any) -> Done:
        seen.append((command, env["PGPASSWORD"]))
        return Done()

    monkeypatch.setattr(backup.subprocess, "run", run)
    backup._run_client("pg_dump", "postgresql://stam:ge%2Fheim@db/stam?sslmode=require", "--x")
    ((command, password),) = seen
    assert password == "ge/heim"
    assert command == [
        "pg_dump",
        "--no-password",
        "--dbname=postgresql://stam@db/stam?sslmode=require",
        "--x",
    ]


# --- what follows from contents that are gone


async def collected(db: Database, spool: Spool, now: datetime) -> tuple[int, Content]:
    """A verzoek that is ready for its sink, with a large document."""
    content = await keep(spool, b"v" * BIG)
    row_id = await collecting(db, content, now)
    (job,) = await db.write(claim_jobs, "w", now, LEASE, 1, (), (JobKind.COLLECT,))
    facts = VerzoekFacts("000")
    deliver = NewJob(JobKind.DELIVER, "sink:stad/archief")
    await db.write(complete_collection, row_id, facts, (), deliver, job, now, "2023-000")
    return row_id, content


async def collecting(db: Database, content: Content, now: datetime) -> int:
    new = NewDelivery(
        authority="stad", sink="archief", flow=Flow.STAM, origin=Origin.NOTIFICATION, verzoeknummer="2023"
    )
    row_id = await db.write(create_delivery, new, NewJob(JobKind.COLLECT, "dso:stad"), now)
    await db.write(record_references, row_id, (NewFile(FileKind.DOCUMENT, href="/d", path="d.pdf"),), now)
    (file,) = await db.read(delivery_files, row_id)
    await db.write(record_file, file.id, content, "application/pdf", now)
    return row_id


async def settle_all(db: Database, kind: str, now: datetime) -> list[Loss]:
    return [
        await db.write(settle_loss, lost, "d.pdf is gone", now)
        for lost in await db.read(named_files, kind, 0)
    ]


async def test_a_file_that_is_gone_is_fetched_again_while_its_verzoek_is_collected(
    db: Database, spool: Spool, now: datetime
) -> None:
    row_id = await collecting(db, await keep(spool, b"v" * BIG), now)
    assert await settle_all(db, "file", now) == [Loss.COLLECTED_AGAIN]
    (file,) = await db.read(delivery_files, row_id)
    assert (file.content, file.href) == (None, "/d")
    (one,) = await db.read(find_deliveries)
    assert one.state is DeliveryState.COLLECTING
    assert (await db.read(events_for, "2023"))[-1].action == "verzoek.file_lost"


async def test_a_verzoek_whose_contents_are_gone_is_parked_with_the_reason(
    db: Database, spool: Spool, now: datetime
) -> None:
    await collected(db, spool, now)
    assert await settle_all(db, "file", now) == [Loss.PARKED]
    (one,) = await db.read(find_deliveries)
    assert (one.state, one.reason) == (DeliveryState.PARKED, "d.pdf is gone")
    (job,) = await db.read(find_jobs)
    assert (job.kind, job.state, job.reason) == (JobKind.DELIVER, JobState.PARKED, "d.pdf is gone")
    assert (await db.read(events_for, "2023"))[-1].action == "verzoek.parked"


async def test_a_message_whose_payload_is_gone_is_parked(
    db: Database, spool: Spool, now: datetime, new_message: Any
) -> None:
    await store_message(db, spool, new_message, 1, now)
    assert await settle_all(db, "payload", now) == [Loss.PARKED]
    (job,) = await db.read(find_jobs)
    assert (job.kind, job.state) == (JobKind.ROUTE, JobState.PARKED)


async def test_the_delivery_of_payloads_that_are_gone_is_parked(
    db: Database, spool: Spool, now: datetime, new_message: Any
) -> None:
    content = await keep(spool, b"p" * BIG)
    message = await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(content),))
    new = NewDelivery(
        authority="stad",
        sink="archief",
        flow=Flow.MESSAGE,
        origin=Origin.NOTIFICATION,
        message=message,
        name="m1",
    )
    await db.write(create_delivery, new, NewJob(JobKind.DELIVER, "sink:stad/archief"), now)
    assert await settle_all(db, "payload", now) == [Loss.PARKED]
    (one,) = await db.read(find_deliveries)
    assert one.state is DeliveryState.PARKED


async def test_what_had_ended_stays_as_it_is(
    db: Database, spool: Spool, now: datetime, new_message: Any
) -> None:
    content = await keep(spool, b"p" * BIG)
    await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(content),))
    assert await settle_all(db, "payload", now) == [Loss.ENDED]
    assert await db.read(find_jobs) == []


async def test_a_verzoek_that_was_skipped_is_delivered_when_an_operator_has_it_fetched(
    db: Database, spool: Spool, now: datetime
) -> None:
    """The way out of a delivery whose contents are gone; under a name of its own, for the sink may have it."""
    row_id, content = await collected(db, spool, now)
    await db.write(skip_delivery, row_id, "the content is gone", now)
    new = NewDelivery(
        authority="stad", sink="archief", flow=Flow.STAM, origin=Origin.OPERATOR, verzoeknummer="2023"
    )
    again = await db.write(create_delivery, new, NewJob(JobKind.COLLECT, "dso:stad"), now)
    await db.write(record_references, again, (NewFile(FileKind.DOCUMENT, href="/d", path="d.pdf"),), now)
    (file,) = await db.read(delivery_files, again)
    await db.write(record_file, file.id, content, "application/pdf", now)
    (job,) = await db.write(claim_jobs, "w", now, LEASE, 1, (), (JobKind.COLLECT,))
    deliver = NewJob(JobKind.DELIVER, "sink:stad/archief")
    result = await db.write(
        complete_collection, again, VerzoekFacts("000"), (), deliver, job, now, "2023-000"
    )
    assert result == Collected(2, "2023-000-r2")
