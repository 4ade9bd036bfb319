# SPDX-License-Identifier: EUPL-1.2

"""The order in which the messages of one verzoek go to a sink."""

from datetime import datetime, timedelta

import pytest

from adapter.store import (
    Database,
    Job,
    NewJob,
    add_job,
    claim_jobs,
    finish_job,
    held_by_jobs,
    jobs_for,
    park_job,
    position_of,
    remove_jobs,
    retry_job,
    unpark_jobs,
)

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
KEY = "stad/archief/2023073100048"


async def to_deliver(db: Database, now: datetime, subject: int, volgnummer: str, key: str = KEY) -> None:
    job = NewJob("deliver", "sink", key, holds_key=key, position=position_of(volgnummer))
    await db.write(add_job, job, "stad", subject, now)


async def to_collect(db: Database, now: datetime, subject: int, announced: str | None = None) -> None:
    position = None if announced is None else position_of(announced)
    await db.write(add_job, NewJob("collect", "dso", holds_key=KEY, position=position), "stad", subject, now)


async def claim(db: Database, now: datetime, *kinds: str) -> list[Job]:
    return await db.write(claim_jobs, "me", now, LEASE, 10, (), kinds or ("deliver",))


async def claimed(db: Database, now: datetime) -> list[int]:
    return [job.subject for job in await claim(db, now)]


@pytest.mark.parametrize(
    ("first", "later"),
    [("000", "001"), ("9", "10"), ("099", "100"), ("7", "x"), ("a", "b"), (" 1", "2 ")],
)
def test_volgnummers_go_by_their_value(first: str, later: str) -> None:
    assert position_of(first) < position_of(later)


async def test_the_lowest_volgnummer_goes_first_though_it_came_last(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "002")
    await to_deliver(db, now + SECOND, 2, "000")
    await to_deliver(db, now + SECOND, 3, "001")
    order = []
    for _ in range(3):
        (job,) = await claim(db, now + SECOND)
        order.append(job.subject)
        await db.write(finish_job, job)
    assert order == [2, 3, 1]


async def test_different_verzoeken_go_at_the_same_time(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "001")
    await to_deliver(db, now, 2, "000", key="stad/archief/2023073100049")
    assert await claimed(db, now) == [1, 2]


async def test_one_that_waits_for_its_next_attempt_holds_the_later_ones(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "000")
    await to_deliver(db, now, 2, "001")
    (job,) = await claim(db, now)
    await db.write(retry_job, job, now + 60 * SECOND, "busy", now)
    assert await claimed(db, now + SECOND) == []
    assert await claimed(db, now + 60 * SECOND) == [1]


async def test_a_parked_one_holds_the_later_ones_until_it_is_retried(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "000")
    await to_deliver(db, now, 2, "001")
    await to_deliver(db, now, 3, "000", key="stad/archief/other")
    first, other = await claim(db, now)
    await db.write(park_job, first, "no such zaaktype", now)
    assert other.subject == 3
    assert await claimed(db, now) == []
    await db.write(unpark_jobs, ("deliver",), (1,), now)
    (again,) = await claim(db, now)
    await db.write(finish_job, again)
    assert await claimed(db, now) == [2]


async def test_a_parked_one_holds_the_later_ones_until_it_is_skipped(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "000")
    await to_deliver(db, now, 2, "001")
    (first,) = await claim(db, now)
    await db.write(park_job, first, "no such zaaktype", now)
    await db.write(remove_jobs, ("deliver",), 1)
    assert await claimed(db, now) == [2]


async def test_one_that_is_parked_holds_no_earlier_one(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "001")
    (later,) = await claim(db, now)
    await db.write(park_job, later, "no such zaaktype", now)
    await to_deliver(db, now, 2, "000")
    assert await claimed(db, now) == [2]


async def test_nothing_waits_for_a_volgnummer_that_nobody_has_seen(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 1, "007")
    assert await claimed(db, now) == [1]


async def test_one_that_is_still_collected_holds_the_later_ones(db: Database, now: datetime) -> None:
    await to_collect(db, now, 1, "000")
    await to_deliver(db, now, 2, "001")
    assert await claimed(db, now) == []
    (collecting,) = await claim(db, now, "collect")
    assert await claimed(db, now) == []
    await db.write(finish_job, collecting)
    assert await claimed(db, now) == [2]


async def test_one_that_is_collected_holds_no_earlier_one(db: Database, now: datetime) -> None:
    await to_collect(db, now, 1, "001")
    await to_deliver(db, now, 2, "000")
    assert await claimed(db, now) == [2]


async def test_one_that_was_announced_without_a_number_holds_what_was_announced_after_it(
    db: Database, now: datetime
) -> None:
    await to_collect(db, now, 2)
    await to_deliver(db, now, 1, "005")
    await to_deliver(db, now, 3, "001", key=KEY)
    assert [job.subject for job in await claim(db, now)] == []
    (job,) = await db.read(jobs_for, "deliver", 1)
    assert [holder.subject for holder in await db.read(held_by_jobs, job)] == [3]
    (job,) = await db.read(jobs_for, "deliver", 3)
    assert [holder.subject for holder in await db.read(held_by_jobs, job)] == [2]


async def test_of_two_revisions_the_older_goes_first(db: Database, now: datetime) -> None:
    await to_deliver(db, now, 2, "000")
    await to_deliver(db, now, 1, "000")
    assert await claimed(db, now) == [1]
