# SPDX-License-Identifier: EUPL-1.2

"""A schedule is one job per kind and authority, however often and by however many it is asked for."""

import asyncio
from datetime import datetime, timedelta

from adapter.store import (
    Database,
    Job,
    JobKind,
    NewJob,
    claim_jobs,
    drop_schedules,
    find_jobs,
    keep_schedule,
)

HOUR = timedelta(hours=1)


async def keep(db: Database, now: datetime, authority: str = "stad", *, every: timedelta = HOUR) -> bool:
    job = NewJob(JobKind.RECONCILE, f"dso:{authority}", f"reconcile:{authority}", now + every / 2)
    return await db.write(keep_schedule, job, authority, now + every, now)


async def jobs(db: Database) -> list[Job]:
    return await db.read(find_jobs)


async def test_hosts_that_start_together_make_one_schedule(db: Database, now: datetime) -> None:
    made = await asyncio.gather(*(keep(db, now) for _ in range(8)))
    assert sorted(made) == [False] * 7 + [True]
    (job,) = await jobs(db)
    assert (job.subject, job.not_before) == (0, now + HOUR / 2)


async def test_one_that_is_due_in_time_stays_as_it_is(db: Database, now: datetime) -> None:
    await keep(db, now)
    before = await jobs(db)
    assert not await keep(db, now + HOUR / 4)
    assert await jobs(db) == before


async def test_one_that_is_due_too_late_is_brought_forward(db: Database, now: datetime) -> None:
    await keep(db, now, every=HOUR * 48)
    await keep(db, now)
    (job,) = await jobs(db)
    assert job.not_before == now + HOUR / 2


async def test_what_is_not_kept_is_dropped_unless_it_runs(db: Database, now: datetime) -> None:
    for authority in ("stad", "dorp", "gehucht"):
        await keep(db, now, authority)
    lanes = ("dso:stad", "dso:dorp")
    (running,) = await db.write(claim_jobs, "w", now + HOUR, HOUR, 5, lanes, (JobKind.RECONCILE,))
    assert running.authority == "gehucht"
    assert await db.write(drop_schedules, JobKind.RECONCILE, ("dorp",)) == 1
    assert {job.authority for job in await jobs(db)} == {"dorp", "gehucht"}


async def test_nothing_to_keep_drops_all(db: Database, now: datetime) -> None:
    await keep(db, now)
    assert await db.write(drop_schedules, JobKind.RECONCILE, ()) == 1
    assert await jobs(db) == []
