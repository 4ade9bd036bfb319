# SPDX-License-Identifier: EUPL-1.2

"""What is seen in the store that people are to be told of, on both databases; and that of two daemons one tells."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from adapter.config import NotificationEvent
from adapter.notify import GATHER
from adapter.store import (
    Database,
    Direction,
    Flow,
    JobKind,
    JobState,
    MessageKind,
    NewDelivery,
    NewJob,
    Origin,
    add_job,
    claim_jobs,
    create_delivery,
    find_jobs,
    finish_job,
    insert_message,
    open_alerts,
    open_database,
    partner_lane,
    pause_lane,
    resume_lane,
    retry_job,
)
from adapter.work import RetryPolicy, Timing, Worker
from tests.messages import new_message
from tests.notify.conftest import LEASE, Desk, FakeClock, both

SINK_LANE = "sink:voorbeeldstad/zaaksysteem"


async def deliver(desk: Desk, number: str) -> None:
    """A delivery that waits for its sink."""
    new = NewDelivery(
        authority="voorbeeldstad",
        sink="zaaksysteem",
        flow=Flow.MESSAGE,
        origin=Origin.OPERATOR,
        verzoeknummer=number,
    )
    job = NewJob(JobKind.DELIVER, SINK_LANE)
    await desk.db.write(create_delivery, new, job, desk.clock())


async def fail(desk: Desk, kind: str, times: int = 1) -> None:
    """Let the job of a kind that is due fail so often."""
    for _ in range(times):
        (job,) = await desk.db.write(claim_jobs, "w", desk.clock(), LEASE, 1, (), (kind,))
        await desk.db.write(retry_job, job, desk.clock(), "HTTP 503", desk.clock())


async def finish(desk: Desk, kind: str) -> None:
    for job in await desk.db.write(claim_jobs, "w", desk.clock(), LEASE, 10, (), (kind,)):
        await desk.db.write(finish_job, job)


async def alerts(desk: Desk) -> dict[NotificationEvent, int]:
    await desk.watch().look()
    return dict(await desk.db.read(open_alerts))


@both
async def test_a_sink_that_fails_again_and_again_is_seen_until_nothing_fails(desk: Desk) -> None:
    await deliver(desk, "2026030200001")
    await fail(desk, JobKind.DELIVER, 2)
    assert not await alerts(desk)
    await fail(desk, JobKind.DELIVER)
    assert await alerts(desk) == {NotificationEvent.SINK: 1}
    (job,) = await desk.db.write(claim_jobs, "w", desk.clock(), LEASE, 1, (), (JobKind.DELIVER,))
    assert await alerts(desk) == {NotificationEvent.SINK: 1}, "being tried is not being well"
    await desk.db.write(finish_job, job)
    assert not await alerts(desk)


async def test_a_sink_that_refuses_many_at_once_is_seen(desk: Desk) -> None:
    for number in range(5):
        await deliver(desk, f"202603020000{number}")
    jobs = await desk.db.write(claim_jobs, "w", desk.clock(), LEASE, 10, (), (JobKind.DELIVER,))
    for job in jobs:
        await desk.db.write(retry_job, job, desk.clock(), "the sink rests", desk.clock())
    assert await alerts(desk) == {NotificationEvent.SINK: 1}


@both
async def test_collecting_that_fails_is_seen(desk: Desk) -> None:
    new = NewDelivery(
        authority="voorbeeldstad",
        sink="zaaksysteem",
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        verzoeknummer="2026030200001",
    )
    await desk.db.write(create_delivery, new, NewJob(JobKind.COLLECT, "dso:voorbeeldstad"), desk.clock())
    await fail(desk, JobKind.COLLECT, 3)
    assert await alerts(desk) == {NotificationEvent.DSO: 1}


@both
async def test_a_partner_that_cannot_be_sent_to_is_seen(desk: Desk) -> None:
    desk.authorities = {"voorbeeldstad": {}}
    await send(desk, MessageKind.ACKNOWLEDGMENT)
    await fail(desk, JobKind.SEND, 3)
    assert await alerts(desk) == {NotificationEvent.PARTNER: 1}
    await finish(desk, JobKind.SEND)
    assert not await alerts(desk)


async def test_a_ping_that_waits_for_its_pong_is_no_failure(desk: Desk) -> None:
    desk.authorities = {"voorbeeldstad": {}}
    await send(desk, MessageKind.PING)
    await fail(desk, JobKind.SEND, 3)
    assert not await alerts(desk)


async def send(desk: Desk, kind: MessageKind) -> None:
    message = new_message(desk.clock(), kind=kind, direction=Direction.OUT)
    job = NewJob(JobKind.SEND, partner_lane("voorbeeldstad", "CPA-1"))
    await desk.db.write(insert_message, message, job, desk.clock())


@both
async def test_work_that_nobody_takes_is_seen_but_not_what_waits_for_a_reason(desk: Desk) -> None:
    await deliver(desk, "2026030200001")
    desk.clock.advance(minutes=14)
    assert not await alerts(desk)
    desk.clock.advance(minutes=2)
    assert await alerts(desk) == {NotificationEvent.BACKLOG: 1}
    await desk.db.write(pause_lane, SINK_LANE, "maintenance")
    assert not await alerts(desk)
    await desk.db.write(resume_lane, SINK_LANE)
    await fail(desk, JobKind.DELIVER)
    assert not await alerts(desk), "that it fails is another story"


@both
async def test_work_behind_what_is_parked_is_no_backlog(desk: Desk) -> None:
    held = NewJob(JobKind.DELIVER, SINK_LANE, order_key="verzoek:1", holds_key="verzoek:1")
    await desk.db.write(add_job, held, "voorbeeldstad", 1, desk.clock())
    await desk.db.write(add_job, held, "voorbeeldstad", 2, desk.clock())
    desk.clock.advance(hours=1)
    (first,) = await desk.db.write(claim_jobs, "w", desk.clock(), LEASE, 1, (), (JobKind.DELIVER,))
    await desk.db.write(retry_job, first, desk.clock() + timedelta(hours=2), "later", desk.clock())
    assert NotificationEvent.BACKLOG not in await alerts(desk)


@pytest.fixture
async def two(
    tmp_path: Path, url: str, desk: Desk, clock: FakeClock
) -> AsyncIterator[tuple[Database, Database]]:
    """The databases of two daemons over one server."""
    async with AsyncExitStack() as stack:
        opened = []
        for name in ("a", "b"):
            db = open_database(url, tmp_path / name, exclusive=True)
            stack.push_async_callback(db.close)
            opened.append(db)
        yield opened[0], opened[1]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_of_two_daemons_one_tells_and_together_once(desk: Desk, two: tuple[Database, Database]) -> None:
    beheer, piket = desk.add("beheer", every="1s"), desk.add("piket", every="1s")
    for number in range(3):
        await desk.park(f"202603020000{number}")
    async with AsyncExitStack() as stack:
        for db in two:
            own = Desk(db, desk.clock, desk.channels)
            await own.teller.schedule()
            await own.watch().look()
            timing = Timing(idle=timedelta(milliseconds=20))
            worker = Worker(db, {JobKind.NOTIFY: own.teller}, RetryPolicy(), clock=desk.clock, timing=timing)
            await worker.start()
            stack.push_async_callback(worker.stop, timedelta(seconds=5))
        desk.clock.advance(seconds=GATHER.total_seconds() + 1)
        await _until_told(desk)
        for _ in range(5):  # both look, again and again, and find nothing more
            desk.clock.advance(seconds=20)
            for db in two:
                await Desk(db, desk.clock, desk.channels).watch().look()
        desk.clock.advance(minutes=15)
        await _until_told(desk)
    assert beheer.told == piket.told == [("new", "parked", 3)]


async def _until_told(desk: Desk) -> None:
    """Wait until no job is due, or runs."""
    async with asyncio.timeout(20):
        while True:
            jobs = [job for job in await desk.db.read(find_jobs) if job.kind == JobKind.NOTIFY]
            if all(job.state is JobState.READY and job.not_before > desk.clock() for job in jobs):
                return
            await desk.db.wait_for_change(0.1)
