# SPDX-License-Identifier: EUPL-1.2

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from adapter.store import (
    Database,
    Done,
    Job,
    JobOutcome,
    JobState,
    NewJob,
    Park,
    Retry,
    StoreUnavailable,
    add_job,
    claim_jobs,
    count_jobs,
    find_jobs,
    finish_job,
    pause_lane,
    resume_lane,
)
from adapter.work import FixedRooms, Handler, JoinedRooms, Limits, RetryPolicy, Timing, Worker

SECOND = timedelta(seconds=1)
GRACE = 10 * SECOND
Until = Callable[[Callable[[], object]], Awaitable[None]]


class FakeClock(Protocol):
    def __call__(self) -> Any: ...
    def advance(self, by: timedelta) -> None: ...


class Recorder:
    """A handler that notes what it got, and answers as it is told."""

    def __init__(self, *outcomes: JobOutcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.jobs: list[Job] = []

    async def __call__(self, job: Job) -> JobOutcome:
        self.jobs.append(job)
        outcome = self.outcomes.pop(0) if self.outcomes else Done()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Blocking:
    """A handler that waits until it is told to end; it counts how many run together."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running: list[Job] = []
        self.most = 0

    async def __call__(self, job: Job) -> JobOutcome:
        self.running.append(job)
        self.most = max(self.most, len(self.running))
        try:
            await self.go.wait()
        finally:
            self.running.remove(job)
        return Done()


class Observed:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def finished(self, job: Job, outcome: JobOutcome) -> None:
        self.lines.append(type(outcome).__name__)

    def crashed(self, job: Job, error: BaseException) -> None:
        self.lines.append(f"crashed {error}")

    def lost(self, job: Job) -> None:
        self.lines.append("lost")


@asynccontextmanager
async def working(db: Database, handler: Handler, clock: FakeClock, **options: Any) -> AsyncIterator[Worker]:
    policy = options.pop("policy", RetryPolicy(chance=random.Random(1)))
    worker = Worker(db, {"x": handler}, policy, clock=clock, **options)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(GRACE)


async def add(db: Database, clock: FakeClock, lane: str = "a", **options: Any) -> int:
    return await db.write(add_job, NewJob("x", lane, **options), "voorbeeldstad", 1, clock())


def nothing_left(db: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return not await db.read(count_jobs)

    return check


async def the_job(db: Database) -> Job:
    (job,) = await db.read(find_jobs)
    return job


async def test_a_job_is_done_and_gone(db: Database, clock: FakeClock, until: Until) -> None:
    handler, observed = Recorder(), Observed()
    async with working(db, handler, clock, observer=observed) as worker:
        job = await add(db, clock)
        await until(nothing_left(db))
        await until(lambda: observed.lines)
        assert worker.is_healthy
    assert [done.id for done in handler.jobs] == [job]
    assert observed.lines == ["Done"]


async def test_a_job_that_was_there_before_is_done(db: Database, clock: FakeClock, until: Until) -> None:
    await add(db, clock)
    async with working(db, Recorder(), clock):
        await until(nothing_left(db))


async def test_a_retry_waits_as_long_as_it_says(db: Database, clock: FakeClock, until: Until) -> None:
    handler = Recorder(Retry("sink is down", 5 * SECOND))
    due = clock() + 5 * SECOND

    async def is_put_back() -> bool:
        return (await the_job(db)).not_before == due

    async with working(db, handler, clock):
        await add(db, clock)
        await until(is_put_back)
        assert len(handler.jobs) == 1
        clock.advance(5 * SECOND)
        await until(nothing_left(db))
    assert [job.attempts for job in handler.jobs] == [1, 2]
    assert handler.jobs[1].reason == "sink is down"


async def test_a_retry_without_a_time_backs_off_with_jitter(
    db: Database, clock: FakeClock, until: Until
) -> None:
    expected = clock() + 10 * SECOND * random.Random(1).random()

    async def is_put_back() -> bool:
        return (await the_job(db)).not_before == expected

    async with working(db, Recorder(Retry("later")), clock):
        await add(db, clock)
        await until(is_put_back)


async def test_a_handler_that_raises_is_tried_again_and_counted(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler, observed = Recorder(ZeroDivisionError("oops")), Observed()
    async with working(db, handler, clock, observer=observed):
        await add(db, clock)
        await until(lambda: len(observed.lines) == 2)
        job = await the_job(db)
        assert (job.state, job.reason) == (JobState.READY, "ZeroDivisionError: oops")
        clock.advance(timedelta(minutes=1))
        await until(nothing_left(db))
    assert observed.lines == ["crashed oops", "Retry", "Done"]


async def test_a_job_is_parked_when_its_handler_says_so(db: Database, clock: FakeClock, until: Until) -> None:
    observed = Observed()
    async with working(db, Recorder(Park("no such zaaktype")), clock, observer=observed):
        await add(db, clock)
        await until(lambda: observed.lines)
    job = await the_job(db)
    assert (job.state, job.reason) == (JobState.PARKED, "no such zaaktype")


async def test_a_job_is_parked_with_its_last_reason_when_it_is_given_up(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler, observed = Recorder(Retry("first"), Retry("last")), Observed()
    async with working(db, handler, clock, observer=observed):
        await add(db, clock)
        await until(lambda: observed.lines == ["Retry"])
        clock.advance(timedelta(days=5))
        await until(lambda: observed.lines == ["Retry", "Park"])
    job = await the_job(db)
    assert (job.state, job.reason) == (JobState.PARKED, "last")


async def test_a_handler_may_end_its_job_itself(db: Database, clock: FakeClock, until: Until) -> None:
    async def handler(job: Job) -> JobOutcome:
        await db.write(finish_job, job)
        return Done(already_finished=True)

    observed = Observed()
    async with working(db, handler, clock, observer=observed):
        await add(db, clock)
        await until(lambda: observed.lines)
    assert observed.lines == ["Done"]
    assert await db.read(count_jobs) == {}


async def test_a_lane_gets_no_more_than_its_limit_and_others_go_on(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    async with working(db, handler, clock, limits=Limits(lane=2, lanes=FixedRooms({"b": 1}))):
        for lane in ("a", "a", "a", "a", "b", "b", "c"):
            await add(db, clock, lane)
        await until(lambda: sorted(job.lane for job in handler.running) == ["a", "a", "b", "c"])
        handler.go.set()
        await until(nothing_left(db))
    assert handler.most == 4


async def test_no_more_run_than_there_is_room_for(db: Database, clock: FakeClock, until: Until) -> None:
    handler = Blocking()
    for number in range(6):
        await add(db, clock, f"lane{number}")
    async with working(db, handler, clock, limits=Limits(concurrency=2)):
        await until(lambda: len(handler.running) == 2)
        handler.go.set()
        await until(nothing_left(db))
    assert handler.most == 2


async def test_an_authority_gets_no_more_than_its_share_whatever_its_lanes(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    for number in range(6):
        await add(db, clock, f"lane{number}")
        await add(db, clock, f"lane{number}")
    other = NewJob("x", "other")
    for _ in range(2):
        await db.write(add_job, other, "omgevingsdienst", 1, clock())
    async with working(db, handler, clock, limits=Limits(concurrency=4, share=3)):
        await until(lambda: len(handler.running) == 4)
        assert sorted(job.authority for job in handler.running) == ["omgevingsdienst", *["voorbeeldstad"] * 3]
        await db.write(add_job, other, "omgevingsdienst", 1, clock())
        handler.go.set()
        await until(nothing_left(db))
    assert handler.most == 4


async def test_a_share_that_is_used_up_leaves_room_unused_rather_than_to_take_it(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    for number in range(6):
        await add(db, clock, f"lane{number}")
    async with working(db, handler, clock, limits=Limits(concurrency=32, share=2)):
        await until(lambda: len(handler.running) == 2)
        await db.write(add_job, NewJob("x", "lane0"), "omgevingsdienst", 1, clock())
        await until(lambda: len(handler.running) == 3)
        handler.go.set()
        await until(nothing_left(db))
    assert handler.most == 3


async def test_a_paused_lane_waits_and_resuming_wakes_it(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler, other = Recorder(), "b"
    await db.write(pause_lane, "a", "maintenance")
    async with working(db, handler, clock):
        await add(db, clock, "a")
        await add(db, clock, other)
        await until(lambda: len(handler.jobs) == 1)
        await db.write(resume_lane, "a")
        await until(nothing_left(db))
    assert [job.lane for job in handler.jobs] == ["b", "a"]


async def test_the_lease_of_a_job_that_runs_is_renewed(db: Database, clock: FakeClock, until: Until) -> None:
    handler, lease = Blocking(), timedelta(milliseconds=90)

    async def is_renewed() -> bool:
        until_when = (await the_job(db)).lease_until
        return until_when == clock() + lease

    async with working(db, handler, clock, timing=Timing(lease=lease)):
        await add(db, clock)
        await until(lambda: handler.running)
        clock.now += timedelta(milliseconds=50)  # type: ignore[attr-defined]
        await until(is_renewed)
        handler.go.set()
        await until(nothing_left(db))


async def test_the_outcome_of_a_job_whose_lease_was_lost_is_not_applied(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler, observed = Blocking(), Observed()
    async with working(db, handler, clock, observer=observed):
        await add(db, clock)
        await until(lambda: handler.running)
        later = clock() + timedelta(hours=1)
        (taken,) = await db.write(claim_jobs, "other", later, timedelta(hours=9), 1, (), ("x",))
        handler.go.set()
        await until(lambda: observed.lines)
    assert observed.lines == ["lost"]
    assert await the_job(db) == taken


async def test_jobs_of_a_dead_process_are_released_at_start(
    db: Database, clock: FakeClock, until: Until
) -> None:
    await add(db, clock)
    await db.write(claim_jobs, "dead", clock(), timedelta(hours=9), 1, (), ("x",))
    handler = Recorder()
    async with working(db, handler, clock, exclusive=True):
        await until(nothing_left(db))
    assert handler.jobs[0].attempts == 2


async def test_jobs_of_another_process_are_left_alone(db: Database, clock: FakeClock, until: Until) -> None:
    await add(db, clock)
    await db.write(claim_jobs, "alive", clock(), timedelta(hours=9), 1, (), ("x",))
    handler = Recorder()
    async with working(db, handler, clock):
        await add(db, clock, "b")
        await until(lambda: handler.jobs)
    assert [job.lane for job in handler.jobs] == ["b"]


async def test_stopping_lets_what_runs_end_and_claims_nothing_more(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    worker = Worker(db, {"x": handler}, RetryPolicy(), clock=clock)
    await worker.start()
    await add(db, clock)
    await until(lambda: handler.running)
    stopping = asyncio.create_task(worker.stop(GRACE))
    await asyncio.sleep(0)
    late = await add(db, clock)
    handler.go.set()
    await stopping
    assert not worker.is_healthy
    job = await the_job(db)
    assert (job.id, job.attempts) == (late, 0)


async def test_stopping_puts_back_what_does_not_end_in_time(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    worker = Worker(db, {"x": handler}, RetryPolicy(), clock=clock)
    await worker.start()
    await add(db, clock)
    await until(lambda: handler.running)
    await worker.stop(timedelta())
    assert handler.running == []
    job = await the_job(db)
    assert (job.state, job.lease_owner) == (JobState.READY, None)


async def test_a_worker_that_was_not_started_can_be_stopped(db: Database, clock: FakeClock) -> None:
    await Worker(db, {}, RetryPolicy(), clock=clock).stop(GRACE)


async def test_a_worker_stops_when_the_store_is_gone(
    db: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(*_args: Any, **_kwargs: Any) -> Any:
        raise StoreUnavailable("the server does not run")

    worker = Worker(db, {}, RetryPolicy(), clock=clock)
    await worker.start()
    monkeypatch.setattr(db, "write", write)
    await worker.stop(GRACE)


async def test_the_worker_outlives_a_store_that_fails(
    db: Database, clock: FakeClock, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = db.write, [OSError("disk")]

    async def write(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function.__name__ == "_claim_and_look" and failures:
            raise failures.pop()
        return await real(function, *args, **kwargs)

    monkeypatch.setattr(db, "write", write)
    async with working(db, Recorder(), clock, timing=Timing(hiccup=timedelta(milliseconds=1))):
        await add(db, clock)
        await until(nothing_left(db))
    assert failures == []


@pytest.mark.parametrize("is_done", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("of", ["_claim_and_look", "_apply"])
async def test_a_job_that_the_store_failed_over_is_run_again_without_waiting_for_its_lease(
    db: Database, clock: FakeClock, until: Until, monkeypatch: pytest.MonkeyPatch, of: str, is_done: bool
) -> None:
    real, failures = db.write, [StoreUnavailable("cut off")]

    async def write(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function.__name__ != of or not failures:
            return await real(function, *args, **kwargs)
        if is_done:
            await real(function, *args, **kwargs)
        raise failures.pop()

    monkeypatch.setattr(db, "write", write)
    quick = Timing(lease=timedelta(hours=9), hiccup=timedelta(milliseconds=1))
    async with working(db, Recorder(), clock, timing=quick):
        await add(db, clock)
        await until(nothing_left(db))
    assert failures == []


async def test_a_full_lane_does_not_delay_a_job_that_becomes_due_in_another(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Blocking()
    async with working(
        db, handler, clock, limits=Limits(lane=1), timing=Timing(idle=3600 * SECOND)
    ) as worker:
        await add(db, clock, "a")
        await add(db, clock, "a")
        await until(lambda: len(handler.running) == 1)
        soon = clock() + timedelta(milliseconds=30)
        await add(db, clock, "b", not_before=soon)
        assert await worker._claim(clock()) == ([], soon)
        handler.go.set()
        clock.advance(SECOND)
        await until(nothing_left(db))


async def test_a_job_that_runs_here_is_not_claimed_again_after_a_pause_of_the_machine(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler, other = Blocking(), "b"
    async with working(db, handler, clock):
        await add(db, clock)
        await until(lambda: handler.running)
        clock.advance(timedelta(hours=1))
        await add(db, clock, other)
        await until(lambda: len(handler.running) == 2)
        handler.go.set()
        await until(nothing_left(db))
    assert handler.most == 2


class Poisoned:
    """A handler that fails, unforeseen, for some subjects, and does the others."""

    def __init__(self, *poison: int) -> None:
        self.poison = poison
        self.done: list[int] = []
        self.tried: list[int] = []

    async def __call__(self, job: Job) -> JobOutcome:
        self.tried.append(job.subject)
        if job.subject in self.poison:
            raise ValueError("what nobody foresaw")
        self.done.append(job.subject)
        return Done()


async def add_subjects(db: Database, clock: FakeClock, *subjects: int, order_key: str | None = None) -> None:
    for subject in subjects:
        await db.write(add_job, NewJob("x", "a", order_key=order_key), "voorbeeldstad", subject, clock())


async def test_poison_does_not_block_its_lane_however_much_of_it_there_is(
    db: Database, clock: FakeClock, until: Until
) -> None:
    """More than may run in the lane at a time, and in front of the others."""
    handler = Poisoned(*range(10))
    await add_subjects(db, clock, *range(20))
    async with working(db, handler, clock, limits=Limits(lane=2)):
        await until(lambda: sorted(handler.done) == list(range(10, 20)))
    assert {job.subject for job in await db.read(find_jobs)} == set(range(10))


async def test_poison_is_parked_in_the_end_while_its_lane_goes_on(
    db: Database, clock: FakeClock, until: Until
) -> None:
    handler = Poisoned(1)
    policy = RetryPolicy(first=SECOND, give_up=3 * SECOND, chance=random.Random(1))
    await add_subjects(db, clock, 1)
    async with working(db, handler, clock, policy=policy):
        await until(lambda: handler.tried == [1])
        clock.advance(4 * SECOND)
        await add_subjects(db, clock, 2)
        await until(lambda: handler.done == [2])

        async def parked() -> bool:
            return [job.state for job in await db.read(find_jobs)] == [JobState.PARKED]

        await until(parked)
    assert (await the_job(db)).reason == "ValueError: what nobody foresaw"


async def test_what_has_the_order_key_of_poison_goes_on_while_that_waits(
    db: Database, clock: FakeClock, until: Until
) -> None:
    """An order key keeps jobs from running together; it is no promise that one waits for the success of another."""
    handler = Poisoned(1)
    await add_subjects(db, clock, 1, 2, 3, order_key="k")
    async with working(db, handler, clock):
        await until(lambda: handler.done == [2, 3])
    assert handler.tried[0] == 1
    assert (await the_job(db)).subject == 1


def test_joined_rooms_are_all_rooms_and_change_when_the_first_does() -> None:
    soon, later = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    joined = JoinedRooms((_Rooms({"a": 1}, later), _Rooms({"b": 0}, soon), _Rooms({}, None)))
    assert dict(joined.rooms()) == {"a": 1, "b": 0}
    assert joined.next_change() == soon
    assert JoinedRooms((_Rooms({}, None),)).next_change() is None


@dataclass(frozen=True)
class _Rooms:
    lanes: dict[str, int]
    change: datetime | None

    def rooms(self) -> dict[str, int]:
        return self.lanes

    def next_change(self) -> datetime | None:
        return self.change
