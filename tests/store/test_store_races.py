# SPDX-License-Identifier: EUPL-1.2

"""Transactions at the same time: what each function does when others are at the same row."""

import asyncio
import json
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.util import await_only

from adapter.store import (
    AgreementSource,
    AgreementState,
    Collected,
    Content,
    Database,
    Direction,
    FileFacts,
    FileKind,
    Flow,
    Job,
    JobKind,
    MessageIdUsed,
    MessageKind,
    MessageState,
    NewDelivery,
    NewFile,
    NewJob,
    NewMessage,
    News,
    Origin,
    Reception,
    Repeated,
    VerzoekFacts,
    accept,
    acknowledge_message,
    add_job,
    agreement_history,
    agreements_version,
    claim_jobs,
    complete_collection,
    create_delivery,
    delivery_files,
    find_deliveries,
    get_delivery,
    import_cpa_file,
    insert_message,
    jobs_for,
    put_agreement,
    record_file,
    record_references,
    reject_message,
    resend_response,
    set_checkpoint,
    submit_message,
    withdraw_agreement,
)
from adapter.store.schema import delivery, message, received_id
from tests.checkpoints import get_checkpoint

LEASE = timedelta(seconds=60)
AT_ONCE = 6


def together(number: int) -> Callable[..., Any]:
    """Wrap functions so that all of them have begun before the first goes on; where they can."""
    barrier = asyncio.Barrier(number)
    entered = Counter[object]()

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        me = object()

        def run(conn: Connection, *args: Any, **kwargs: Any) -> Any:
            entered[me] += 1
            if conn.dialect.name == "postgresql" and entered[me] == 1:
                conn.execute(text("SELECT 1"))  # the transaction has begun
                await_only(barrier.wait())
            return function(conn, *args, **kwargs)

        return run

    return wrap


async def all_at_once(db: Database, *calls: tuple[Any, ...]) -> list[Any]:
    wrap = together(len(calls))
    writes = (db.write(wrap(function), *arguments) for function, *arguments in calls)
    return await asyncio.gather(*writes, return_exceptions=True)


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


async def claimed(db: Database, now: datetime, kind: str, number: int) -> list[Job]:
    return await db.write(claim_jobs, "w1", now, LEASE, number, (), (kind,))


def verzoek(number: str = "2023073100048") -> NewDelivery:
    return NewDelivery(
        authority="voorbeeldstad",
        sink="archief",
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        verzoeknummer=number,
    )


async def collected(db: Database, now: datetime, contents: list[str]) -> list[Any]:
    """As many deliveries of one verzoek as there are contents, all ending at the same time."""
    facts = VerzoekFacts("000")
    calls = []
    for content in contents:
        row = await db.write(create_delivery, verzoek(), NewJob(JobKind.COLLECT, "dso"), now)
        await db.write(record_references, row, (NewFile(FileKind.VERZOEK, href="/v"),), now)
        (file,) = await db.read(delivery_files, row)
        stored = Content(len(content), content.ljust(64, "0"), content.encode())
        await db.write(record_file, file.id, stored, None, now)
        named = (FileFacts(file.id, FileKind.VERZOEK, "verzoek.xml"),)
        calls.append((row, facts, named, NewJob(JobKind.DELIVER, "archief")))
    jobs = {job.subject: job for job in await claimed(db, now, JobKind.COLLECT, len(contents))}
    return await all_at_once(
        db, *((complete_collection, *call, jobs[call[0]], now, "v-000") for call in calls)
    )


async def test_the_same_verzoek_collected_at_the_same_time_is_ready_once(db: Database, now: datetime) -> None:
    results = await collected(db, now, ["same"] * AT_ONCE)
    assert kinds(results) == {"Collected": 1, "Repeated": AT_ONCE - 1}
    (ready,) = {result.of for result in results if isinstance(result, Repeated)}
    assert (await db.read(get_delivery, ready)).name == "v-000"


async def test_other_contents_at_the_same_time_are_revisions_in_a_row(db: Database, now: datetime) -> None:
    results = await collected(db, now, [f"content {number}" for number in range(AT_ONCE)])
    assert sorted(result.revision for result in results if isinstance(result, Collected)) == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    found = await db.read(find_deliveries, "voorbeeldstad")
    assert {one.name for one in found} == {"v-000", *(f"v-000-r{number}" for number in range(2, 7))}


async def test_a_message_accepted_at_the_same_time_is_stored_once(
    db: Database, now: datetime, reception: Callable[..., Reception]
) -> None:
    results = await all_at_once(db, *((accept, reception(), now) for _ in range(AT_ONCE)))
    assert kinds(results) == {"Accepted": 1, "Duplicate": AT_ONCE - 1}
    (first,) = (result for result in results if type(result).__name__ == "Accepted")
    assert {r.message for r in results if type(r).__name__ == "Duplicate"} == {first.message}
    assert {r.response.id for r in results if type(r).__name__ == "Duplicate"} == {first.response}


async def test_deliveries_made_at_the_same_time_have_names_of_their_own(db: Database, now: datetime) -> None:
    new = replace(verzoek(), flow=Flow.MESSAGE, name="m1", verzoeknummer=None)
    await all_at_once(db, *((create_delivery, new, None, now) for _ in range(AT_ONCE)))
    found = await db.read(find_deliveries, "voorbeeldstad")
    assert {one.name for one in found} == {"m1", *(f"m1-{number}" for number in range(2, AT_ONCE + 1))}


@pytest.fixture
def outgoing(new_message: Callable[..., NewMessage]) -> NewMessage:
    return new_message(direction=Direction.OUT, message_id="ours@stad")


async def test_a_message_id_is_used_once_at_the_same_time_too(
    db: Database, now: datetime, outgoing: NewMessage
) -> None:
    job = NewJob(JobKind.SEND, "dso")
    results = await all_at_once(db, *((submit_message, outgoing, (), job, now) for _ in range(AT_ONCE)))
    assert sum(isinstance(result, MessageIdUsed) for result in results) == AT_ONCE - 1


async def test_of_two_ends_of_a_message_at_the_same_time_one_is_news(
    db: Database, now: datetime, outgoing: NewMessage
) -> None:
    row = await db.write(submit_message, outgoing, (), NewJob(JobKind.SEND, "dso"), now)
    results = await all_at_once(
        db, (acknowledge_message, row, now), (reject_message, row, "no", now), (acknowledge_message, row, now)
    )
    assert Counter(results) == {News.CHANGED: 1, News.KNOWN: 2}


@pytest.mark.parametrize("answered", [MessageState.TRANSMITTED, MessageState.CREATED])
async def test_repeats_at_the_same_time_send_the_answer_once(
    db: Database, now: datetime, outgoing: NewMessage, answered: MessageState
) -> None:
    answer = replace(outgoing, kind=MessageKind.ACKNOWLEDGMENT)
    row = await db.write(insert_message, answer, None, now, state=answered)
    job = NewJob(JobKind.SEND, "dso")
    assert (
        await all_at_once(db, *((resend_response, row, job, now) for _ in range(AT_ONCE))) == [None] * AT_ONCE
    )
    assert len(await db.read(jobs_for, JobKind.SEND, row)) == 1


async def test_daemons_that_start_together_import_a_cpa_file_once(db: Database, now: datetime) -> None:
    call = (import_cpa_file, "voorbeeldstad", "/cpa.xml", "d1", "CPA-1", b"<cpa/>", now)
    results = await all_at_once(db, *(call for _ in range(AT_ONCE)))
    assert [result.imported for result in results].count(True) == 1
    assert len(await db.read(agreement_history, "CPA-1")) == 1


async def test_agreements_put_at_the_same_time_leave_one_active(db: Database, now: datetime) -> None:
    put = AgreementSource.UPLOAD
    await db.write(put_agreement, "voorbeeldstad", "CPA-1", b"0", put, now)
    before = await db.read(agreements_version)
    calls = ((put_agreement, "voorbeeldstad", "CPA-1", b"%d" % n, put, now) for n in range(1, AT_ONCE))
    assert all(isinstance(result, int) for result in await all_at_once(db, *calls))
    history = await db.read(agreement_history, "CPA-1")
    assert Counter(row.state for row in history) == {
        AgreementState.ACTIVE: 1,
        AgreementState.REPLACED: AT_ONCE - 1,
    }
    assert await db.read(agreements_version) != before


@pytest.mark.parametrize("number", range(4))
async def test_a_withdrawal_at_the_same_time_as_a_new_version_comes_before_or_after_it(
    db: Database, now: datetime, number: int
) -> None:
    put = (put_agreement, "voorbeeldstad", "CPA-1", b"1", AgreementSource.UPLOAD, now)
    withdraw = (withdraw_agreement, "CPA-1", now)
    await db.write(put_agreement, "voorbeeldstad", "CPA-1", b"0", AgreementSource.UPLOAD, now)
    results = await all_at_once(db, *((put, withdraw) if number % 2 else (withdraw, put)))
    assert kinds(results) == {"int": 1, "NoneType": 1}
    states = tuple(row.state.value for row in await db.read(agreement_history, "CPA-1"))
    assert states in {("active", "withdrawn"), ("withdrawn", "replaced")}


async def test_an_agreement_that_is_committed_after_a_later_one_changes_the_version(
    db: Database, now: datetime
) -> None:
    put = AgreementSource.UPLOAD
    for cpa_id in ("CPA-1", "CPA-2"):
        await db.write(put_agreement, "voorbeeldstad", cpa_id, b"0", put, now)
    if type(db).__name__ == "SqliteDatabase":
        return  # one writer: ids are committed in their order
    inserted, go_on = asyncio.Event(), asyncio.Event()

    def slow(conn: Connection) -> None:
        put_agreement(conn, "voorbeeldstad", "CPA-1", b"1", put, now)
        inserted.set()
        await_only(go_on.wait())

    writing = asyncio.create_task(db.write(slow))
    await inserted.wait()
    await db.write(put_agreement, "voorbeeldstad", "CPA-2", b"1", put, now)
    before = await db.read(agreements_version)
    go_on.set()
    await writing
    assert await db.read(agreements_version) != before


async def test_a_checkpoint_set_at_the_same_time_is_one(db: Database, now: datetime) -> None:
    row = await db.write(create_delivery, verzoek(), None, now)
    calls = ((set_checkpoint, row, "staged", {"n": number}, now) for number in range(AT_ONCE))
    assert await all_at_once(db, *calls) == [None] * AT_ONCE
    assert await db.read(get_checkpoint, row, "staged") is not None


async def test_claimers_at_the_same_time_share_the_jobs(db: Database, now: datetime) -> None:
    for number in range(40):
        key = f"k{number % 10}" if number % 2 else None
        await db.write(add_job, NewJob("x", f"lane {number % 3}", key), "voorbeeldstad", number, now)
    taken: list[Job] = []
    for _ in range(4):
        calls = ((claim_jobs, f"w{n}", now, LEASE, 4, (), ("x",)) for n in range(AT_ONCE))
        results = await all_at_once(db, *calls)
        taken += [job for jobs in results for job in jobs]
    assert len({job.id for job in taken}) == len(taken)
    keys = [job.order_key for job in taken if job.order_key is not None]
    assert len(set(keys)) == len(keys) == 5
    assert len(taken) == 25  # all without a key, and one of each key


async def test_jobs_of_one_order_key_in_many_lanes_are_claimed_by_one(db: Database, now: datetime) -> None:
    for number in range(AT_ONCE):
        await db.write(add_job, NewJob("x", f"lane {number}", "k"), "voorbeeldstad", number, now)
    calls = ((claim_jobs, f"w{number}", now, LEASE, 4, (), ("x",)) for number in range(AT_ONCE))
    results = await all_at_once(db, *calls)
    assert sum(len(jobs) for jobs in results) == 1


ACCEPTING = """
import asyncio, json, pickle, sys
from pathlib import Path
from adapter.store import accept, open_database

async def main():
    url, state, receptions = sys.argv[1:4]
    now, wanted = pickle.loads(Path(receptions).read_bytes())
    db = open_database(url, Path(state), exclusive=False)
    await db.read(lambda conn: None)
    print("ready", flush=True)
    sys.stdin.readline()
    results = await asyncio.gather(*(db.write(accept, reception, now) for reception in wanted))
    await db.close()
    print(json.dumps([[type(result).__name__, result.message] for result in results]))

asyncio.run(main())
"""


async def test_two_processes_that_accept_the_same_messages_store_each_once(
    db: Database, url: str, state: Path, tmp_path: Path, now: datetime, reception: Callable[..., Reception]
) -> None:
    wanted = tuple(reception(f"m{number}@dso") for number in range(50))
    (tmp_path / "receptions").write_bytes(pickle.dumps((now, wanted)))
    pipe = asyncio.subprocess.PIPE
    arguments = ("-c", ACCEPTING, url, str(state), str(tmp_path / "receptions"))
    daemons = [
        await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
        for _ in range(2)
    ]
    for daemon in daemons:
        assert daemon.stdout is not None
        assert await daemon.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(daemon.communicate(b"go\n") for daemon in daemons))
    one, other = (json.loads(output) for output, _ in outputs)
    for mine, theirs in zip(one, other, strict=True):
        assert {mine[0], theirs[0]} == {"Accepted", "Duplicate"}
        assert mine[1] == theirs[1]

    def count(conn: Connection) -> tuple[int, int, int]:
        stored, remembered, jobs = (
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (message, received_id, delivery)
        )
        return stored, remembered, jobs

    assert await db.read(count) == (100, 50, 0)  # each with its acknowledgment
