# SPDX-License-Identifier: EUPL-1.2

"""Repair in bulk, on both databases."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from adapter.store import (
    AgreementSource,
    Choice,
    Database,
    DeliveryState,
    Direction,
    Flow,
    JobKind,
    JobState,
    MessageKind,
    MessageState,
    NewDelivery,
    NewJob,
    Origin,
    Repair,
    claim_jobs,
    count_chosen,
    count_unsendable,
    create_delivery,
    events_for,
    find_deliveries,
    find_jobs,
    find_messages,
    insert_message,
    park_job,
    put_agreement,
    repair_batch,
    resend_signals,
    retry_deliveries,
    retry_job,
    retry_messages,
    skip_deliveries,
)

LEASE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PARKED = DeliveryState.PARKED


def new_delivery(number: int, authority: str = "stad", sink: str = "archief") -> NewDelivery:
    return NewDelivery(
        authority=authority,
        sink=sink,
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        verzoeknummer=str(number),
    )


def make_parked(conn: Connection, new: NewDelivery, now: datetime, reason: str = "the disk is full") -> int:
    row_id = create_delivery(conn, new, NewJob(JobKind.COLLECT, f"dso:{new.authority}"), now)
    (job,) = claim_jobs(conn, "w", now, LEASE, 1, (), (JobKind.COLLECT,))
    park_job(conn, job, reason, now)
    return row_id


async def mended(db: Database, repair: Repair, now: datetime, limit: int = 2) -> int:
    """Do a repair to its end, in batches of two."""
    changed, after = 0, 0
    while True:
        batch = await db.write(repair_batch, repair, after, now, limit=limit)
        changed += batch.changed
        if batch.last is None:
            return changed
        after = batch.last


async def states(db: Database) -> dict[str, str]:
    return {str(one.verzoeknummer): one.state.value for one in await db.read(find_deliveries)}


async def test_all_that_is_parked_is_tried_again_in_batches(db: Database, now: datetime) -> None:
    for number in range(5):
        await db.write(make_parked, new_delivery(number), now)
    repair = retry_deliveries(Choice(), PARKED, now)
    (group,) = await db.read(count_chosen, repair)
    assert (group.authority, group.what, group.state, group.reason, group.count) == (
        "stad",
        "archief",
        "parked",
        "the disk is full",
        5,
    )
    assert await mended(db, repair, now) == 5
    assert set((await states(db)).values()) == {"collecting"}
    assert {job.state for job in await db.read(find_jobs)} == {JobState.READY}
    assert await db.read(count_chosen, repair) == []


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (Choice(authority="stad"), {"1", "2"}),
        (Choice(sink="archief"), {"1", "3"}),
        (Choice(reason="HTTP 4"), {"2", "3"}),
        (Choice(reason="http 404"), {"2"}),
        (Choice(reason="100%"), set()),
    ],
)
async def test_only_what_was_chosen_is_changed(
    db: Database, now: datetime, choice: Choice, numbers: set[str]
) -> None:
    await db.write(make_parked, new_delivery(1), now)
    await db.write(make_parked, new_delivery(2, sink="kluis"), now, "HTTP 404")
    await db.write(make_parked, new_delivery(3, "elders"), now, "HTTP 403 at 100 m")
    await mended(db, retry_deliveries(choice, PARKED, now), now)
    assert {number for number, state in (await states(db)).items() if state == "collecting"} == numbers


async def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(
    db: Database, now: datetime
) -> None:
    for number in range(4):
        await db.write(make_parked, new_delivery(number), now + number * HOUR)
    choice = Choice(since=now + HOUR, until=now + 3 * HOUR)
    assert await mended(db, retry_deliveries(choice, PARKED, now + 9 * HOUR), now + 9 * HOUR) == 2
    assert [n for n, state in sorted((await states(db)).items()) if state == "parked"] == ["0", "3"]


async def test_what_is_parked_after_the_count_is_left_alone(db: Database, now: datetime) -> None:
    await db.write(make_parked, new_delivery(1), now)
    repair = retry_deliveries(Choice(), PARKED, now)
    await db.write(make_parked, new_delivery(2), now + timedelta(seconds=1))
    assert await mended(db, repair, now + HOUR) == 1
    assert await states(db) == {"1": "collecting", "2": "parked"}


async def test_what_waits_for_its_next_attempt_gets_it_at_once(db: Database, now: datetime) -> None:
    await db.write(create_delivery, new_delivery(1), NewJob(JobKind.COLLECT, "dso:stad"), now)
    (job,) = await db.write(claim_jobs, "w", now, LEASE, 1, (), (JobKind.COLLECT,))
    await db.write(retry_job, job, now + HOUR, "HTTP 503", now)
    assert await mended(db, retry_deliveries(Choice(), DeliveryState.COLLECTING, now), now) == 1
    (job,) = await db.read(find_jobs)
    assert (job.not_before, job.state) == (now, JobState.READY)
    assert (await db.read(events_for, "1"))[-1].action == "job.hurried"


async def test_parked_deliveries_are_skipped_with_the_reason_on_the_timeline(
    db: Database, now: datetime
) -> None:
    for number in range(3):
        await db.write(make_parked, new_delivery(number), now)
    await db.write(create_delivery, new_delivery(3), NewJob(JobKind.COLLECT, "dso:stad"), now)
    repair = skip_deliveries(Choice(), PARKED, "taken over by hand", now)
    assert await mended(db, repair, now) == 3
    assert await states(db) == {"0": "skipped", "1": "skipped", "2": "skipped", "3": "collecting"}
    assert len(await db.read(find_jobs)) == 1
    last = (await db.read(events_for, "2"))[-1]
    assert (last.action, last.detail) == ("verzoek.skipped", {"reason": "taken over by hand"})


async def park_route(db: Database, now: datetime, reason: str) -> None:
    (job,) = await db.write(claim_jobs, "w", now, LEASE, 1, (), (JobKind.ROUTE,))
    await db.write(park_job, job, reason, now)


async def test_the_routing_of_messages_is_tried_again(db: Database, now: datetime, new_message: Any) -> None:
    for number in range(3):
        new = new_message(message_id=f"m{number}", authority="stad" if number else "elders")
        await db.write(insert_message, new, NewJob(JobKind.ROUTE, "route"), now)
        await park_route(db, now, "no route fits")
    await db.write(make_parked, new_delivery(1), now)
    repair = retry_messages(Choice(authority="stad", reason="no route"), None, now)
    (group,) = await db.read(count_chosen, repair)
    assert (group.what, group.state, group.reason, group.count) == (
        "indienen",
        "received",
        "no route fits",
        2,
    )
    assert await mended(db, repair, now, 1) == 2
    by_state = sorted((job.state.value, job.kind) for job in await db.read(find_jobs))
    assert by_state == [("parked", "collect"), ("parked", "route"), ("ready", "route"), ("ready", "route")]
    assert await db.read(count_chosen, retry_messages(Choice(), MessageState.REFUSED, now)) == []


def signal(new_message: Any, number: int, now: datetime, **changes: Any) -> Any:
    values = {
        "direction": Direction.OUT,
        "kind": MessageKind.ACKNOWLEDGMENT,
        "message_id": f"a{number}",
        "expires_at": now + HOUR,
    }
    return new_message(**(values | changes))


async def test_acknowledgments_are_sent_again_as_far_as_they_are_of_use(
    db: Database, now: datetime, new_message: Any
) -> None:
    await db.write(put_agreement, "voorbeeldstad", "CPA-1", b"<cpa/>", AgreementSource.UPLOAD, now)
    sent = {"state": MessageState.TRANSMITTED}
    for number in range(3):
        await db.write(insert_message, signal(new_message, number, now), None, now, **sent)
    late, foreign = ({"expires_at": now}, {"cpa_id": "CPA-2"})
    for number, changes in ((3, late), (4, foreign), (5, {"kind": MessageKind.BUSINESS})):
        await db.write(insert_message, signal(new_message, number, now, **changes), None, now, **sent)
    repair = resend_signals(Choice(), MessageState.TRANSMITTED, now)
    assert await db.read(count_unsendable, Choice(), None, now) == {
        "the partner waits for it no longer": 1,
        "its agreement is not in use": 1,
    }
    assert await mended(db, repair, now) == 3
    created = await db.read(find_messages, state=MessageState.CREATED)
    assert sorted(one.message_id for one in created) == ["a0", "a1", "a2"]
    jobs = await db.read(find_jobs)
    assert {(job.kind, job.lane) for job in jobs} == {(JobKind.SEND, "partner:voorbeeldstad/CPA-1")}
    assert len(jobs) == 3


async def test_sending_again_twice_makes_one_job_of_a_message(
    db: Database, now: datetime, new_message: Any
) -> None:
    await db.write(put_agreement, "voorbeeldstad", "CPA-1", b"<cpa/>", AgreementSource.UPLOAD, now)
    await db.write(insert_message, signal(new_message, 1, now), NewJob(JobKind.SEND, "partner:x"), now)
    for _ in range(2):
        await mended(db, resend_signals(Choice(), None, now), now)
    assert len(await db.read(find_jobs)) == 1
