# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapter.store import (
    Database,
    Job,
    JobState,
    LeaseLost,
    NewJob,
    add_job,
    bring_forward,
    claim_jobs,
    count_jobs,
    find_jobs,
    finish_job,
    jobs_for,
    lanes,
    next_due,
    park_job,
    pause_lane,
    release_all,
    release_jobs,
    remove_jobs,
    renew_leases,
    resume_lane,
    retry_job,
    unpark_jobs,
)

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


async def add(db: Database, now: datetime, lane: str = "a", subject: int = 1, **options: Any) -> int:
    return await db.write(add_job, NewJob("x", lane, **options), "voorbeeldstad", subject, now)


async def claim(db: Database, now: datetime, limit: int = 10, owner: str = "w1", **options: Any) -> list[Job]:
    full = options.pop("full", ())
    return await db.write(claim_jobs, owner, now, LEASE, limit, full, ("x",), **options)


async def due(db: Database, after: datetime, kind: str = "x") -> datetime | None:
    """When the next job of a kind is due, after a moment."""
    return await db.read(next_due, (kind,), after=after)


def ids(jobs: Iterable[Job]) -> list[int]:
    return [job.id for job in jobs]


async def test_the_oldest_due_job_is_claimed_first(db: Database, now: datetime) -> None:
    late = await add(db, now, not_before=now - SECOND)
    early = await add(db, now, not_before=now - 2 * SECOND)
    await add(db, now, not_before=now + SECOND)
    claimed = await claim(db, now)
    assert ids(claimed) == [early, late]
    assert {job.lease_until for job in claimed} == {now + LEASE}
    assert claimed[0].attempts == 1
    assert claimed[0].first_attempt_at == now


async def test_lanes_take_turns(db: Database, now: datetime) -> None:
    busy = [await add(db, now, "busy") for _ in range(5)]
    quiet = await add(db, now, "quiet")
    assert ids(await claim(db, now, limit=3)) == [busy[0], quiet, busy[1]]


async def test_the_room_of_a_lane_is_not_exceeded(db: Database, now: datetime) -> None:
    for name in ("a", "a", "a", "b", "b", "b"):
        await add(db, now, name)
    claimed = await claim(db, now, room={"b": 1}, lane_limit=2)
    assert sorted(job.lane for job in claimed) == ["a", "a", "b"]


async def test_full_lanes_are_left_alone(db: Database, now: datetime) -> None:
    await add(db, now, "a")
    other = await add(db, now, "b")
    assert ids(await claim(db, now, full=("a",))) == [other]


async def test_paused_lanes_are_left_alone_until_resumed(db: Database, now: datetime) -> None:
    paused = await add(db, now, "a")
    await db.write(pause_lane, "a", "sink is down")
    assert await claim(db, now) == []
    assert await due(db, now - SECOND) is None
    assert [(lane.name, lane.reason) for lane in await db.read(lanes)] == [("a", "sink is down")]
    await db.write(resume_lane, "a")
    assert ids(await claim(db, now)) == [paused]


async def test_jobs_of_one_order_key_never_run_together(db: Database, now: datetime) -> None:
    first = await add(db, now, order_key="k")
    second = await add(db, now, order_key="k")
    elsewhere = await add(db, now, "b", order_key="k")
    free = await add(db, now)
    (one, other) = await claim(db, now)
    assert ids([one, other]) == [first, free]
    assert await claim(db, now) == []
    await db.write(finish_job, one)
    assert ids(await claim(db, now)) in ([second], [elsewhere])


async def test_an_order_key_does_not_hide_the_jobs_behind_it(db: Database, now: datetime) -> None:
    keyed = [await add(db, now, order_key="k") for _ in range(20)]
    free = await add(db, now)
    assert ids(await claim(db, now, limit=2)) == [keyed[0], free]


async def test_an_expired_lease_is_taken_over(db: Database, now: datetime) -> None:
    await add(db, now, order_key="k")
    (lost,) = await claim(db, now)
    assert await claim(db, now + LEASE - SECOND, owner="w2") == []
    (taken,) = await claim(db, now + LEASE, owner="w2")
    assert (taken.lease_owner, taken.attempts, taken.first_attempt_at) == ("w2", 2, now)
    for end in (finish_job,):
        with pytest.raises(LeaseLost):
            await db.write(end, lost)
    with pytest.raises(LeaseLost):
        await db.write(retry_job, lost, now, "again", now)
    with pytest.raises(LeaseLost):
        await db.write(park_job, lost, "again", now)
    await db.write(finish_job, taken)


async def test_a_claim_of_before_does_not_end_a_later_one_of_the_same_owner(
    db: Database, now: datetime
) -> None:
    await add(db, now)
    (before,) = await claim(db, now)
    (after,) = await claim(db, now + LEASE)
    with pytest.raises(LeaseLost):
        await db.write(finish_job, before)
    await db.write(finish_job, after)


async def test_only_held_leases_are_renewed(db: Database, now: datetime) -> None:
    mine = await add(db, now)
    (job,) = await claim(db, now)
    theirs = await add(db, now)
    await claim(db, now, owner="w2")
    assert await db.write(renew_leases, "w1", (mine, theirs, 99), now + 2 * LEASE) == {mine}
    (renewed,) = [row for row in await db.read(find_jobs) if row.id == mine]
    assert renewed.lease_until == now + 2 * LEASE
    await db.write(finish_job, job)


async def test_a_finished_job_is_gone_and_its_id_is_never_used_again(db: Database, now: datetime) -> None:
    first = await add(db, now)
    (job,) = await claim(db, now)
    await db.write(finish_job, job)
    assert await db.read(jobs_for, "x", 1) == ()
    assert await add(db, now) != first


async def test_a_job_that_is_tried_again_waits_for_its_time(db: Database, now: datetime) -> None:
    await add(db, now)
    (job,) = await claim(db, now)
    await db.write(retry_job, job, now + SECOND, "sink is down", now)
    assert await due(db, now) == now + SECOND
    assert await due(db, now + SECOND) is None
    assert await claim(db, now) == []
    (again,) = await claim(db, now + SECOND)
    assert (again.attempts, again.reason, again.first_attempt_at) == (2, "sink is down", now)


async def test_a_parked_job_starts_afresh_when_it_is_unparked(db: Database, now: datetime) -> None:
    await add(db, now)
    (job,) = await claim(db, now)
    await db.write(park_job, job, "no such zaaktype", now)
    assert await db.read(count_jobs) == {("x", JobState.PARKED): 1}
    assert await claim(db, now + LEASE) == []
    assert await db.write(unpark_jobs, ("x",), (1, 2), now) == 1
    assert await db.write(unpark_jobs, ("x",), (1, 2), now) == 0
    (again,) = await claim(db, now)
    assert again.attempts == 1


async def test_released_jobs_can_be_claimed_at_once(db: Database, now: datetime) -> None:
    await add(db, now)
    await add(db, now)
    first, second = await claim(db, now)
    assert await db.write(release_jobs, "w1", (first.id,)) == 1
    assert await db.write(release_jobs, "w2") == 0
    assert ids(await claim(db, now, owner="w2")) == [first.id]
    assert await db.write(release_all) == 2
    assert ids(await claim(db, now)) == [first.id, second.id]


async def test_jobs_that_run_are_not_removed(db: Database, now: datetime) -> None:
    await add(db, now, subject=7)
    await claim(db, now)
    waiting = await add(db, now, subject=7)
    assert await db.write(remove_jobs, ("x",), 7) == 1
    assert waiting not in ids(await db.read(jobs_for, "x", 7))


async def test_a_lane_with_older_jobs_of_other_kinds_hides_no_other_lane(db: Database, now: datetime) -> None:
    older = NewJob("y", lane="a", not_before=now - SECOND)
    await db.write(add_job, older, "voorbeeldstad", 1, now)
    wanted = await add(db, now, "b")
    assert ids(await claim(db, now, limit=1)) == [wanted]


async def test_only_the_kinds_that_are_asked_for_are_claimed(db: Database, now: datetime) -> None:
    await add(db, now)
    assert await db.write(claim_jobs, "w1", now, LEASE, 5, (), ("y",)) == []
    assert await due(db, now - SECOND, "y") is None
    assert await due(db, now - SECOND, "x") == now


async def test_an_expiring_lease_is_due(db: Database, now: datetime) -> None:
    await add(db, now)
    await claim(db, now)
    assert await due(db, now) == now + LEASE


async def test_what_waits_is_brought_forward_and_what_runs_is_not(db: Database, now: datetime) -> None:
    running = await add(db, now)
    await claim(db, now)
    waiting = await add(db, now, not_before=now + 2 * SECOND)
    assert await db.write(bring_forward, SECOND) == 1
    waits = {job.id: job.not_before for job in await db.read(find_jobs)}
    assert waits == {running: now, waiting: now + SECOND}
