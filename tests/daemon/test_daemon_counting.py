# SPDX-License-Identifier: EUPL-1.2

"""What the daemon shows of the work in its lanes, of transactions, and of what was before it started."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, update

from adapter.daemon.counting import recall_last_accepted, watch_backlog, watch_transactions
from adapter.observe import Metrics
from adapter.store import (
    Database,
    Direction,
    JobKind,
    MessageKind,
    MessageState,
    NewJob,
    insert_message,
    migrate,
    open_database,
    pause_lane,
    resume_lane,
)
from adapter.store.jobs import add_job
from adapter.store.schema import job as job_table
from adapter.store.schema import message
from tests.messages import new_message

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, "sqlite", tmp_path)
    database = open_database("sqlite", tmp_path, exclusive=True)
    yield database
    await database.close()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"stam_adapter_{name}", labels)


async def look(db: Database, metrics: Metrics, now: datetime = NOW) -> None:
    """Let the watch look once, at this time."""
    watching = asyncio.create_task(watch_backlog(db, metrics, (JobKind.SEND,), lambda: now))
    looked = db.changes.count
    async with asyncio.timeout(10):
        while value(metrics, "jobs_waiting", kind="send") is None:  # noqa: ASYNC110 - it is set once
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert db.changes.count == looked


def job(conn: Connection, kind: str, lane: str, at: datetime) -> int:
    return add_job(conn, NewJob(kind, lane), "stad", 1, at)


async def test_a_lane_shows_its_jobs_and_the_age_of_the_oldest(db: Database) -> None:
    metrics = Metrics("1")
    await db.write(job, JobKind.SEND, "partner:stad/CPA-1", NOW - timedelta(minutes=5))
    await db.write(job, JobKind.SEND, "partner:stad/CPA-1", NOW - timedelta(minutes=1))
    await look(db, metrics)
    lane = {"authority": "stad", "lane": "partner:stad/CPA-1"}
    assert value(metrics, "lane_jobs", **lane, state="ready") == 2
    assert value(metrics, "lane_oldest_seconds", **lane) == 300


async def test_a_schedule_is_no_backlog(db: Database) -> None:
    metrics = Metrics("1")
    await db.write(job, JobKind.RECONCILE, "dso:stad", NOW - timedelta(days=30))
    await look(db, metrics)
    assert value(metrics, "lane_oldest_seconds", authority="stad", lane="dso:stad") is None


async def test_a_lane_that_is_empty_or_resumed_is_shown_no_more(db: Database) -> None:
    metrics = Metrics("1")
    number = await db.write(job, JobKind.SEND, "sink:stad/zaken", NOW)
    await db.write(pause_lane, "sink:stad/zaken", "maintenance")
    await look(db, metrics)
    assert value(metrics, "lane_paused", lane="sink:stad/zaken") == 1
    assert value(metrics, "lane_jobs", authority="stad", lane="sink:stad/zaken", state="ready") == 1
    await db.write(lambda conn: conn.execute(delete(job_table).where(job_table.c.id == number)))
    await db.write(resume_lane, "sink:stad/zaken")
    metrics.jobs_waiting.clear()
    await look(db, metrics)
    text = metrics.render().decode()
    assert "sink:stad/zaken" not in text


async def test_the_last_message_is_recalled_that_was_received_and_not_refused(db: Database) -> None:
    metrics = Metrics("1")
    for number, (direction, kind, state) in enumerate(
        (
            (Direction.IN, MessageKind.BUSINESS, MessageState.PROCESSED),
            (Direction.IN, MessageKind.BUSINESS, MessageState.REFUSED),
            (Direction.IN, MessageKind.PING, MessageState.RECEIVED),
            (Direction.OUT, MessageKind.BUSINESS, MessageState.SENT),
        )
    ):
        at = NOW + timedelta(hours=number)
        new = new_message(at, authority="stad", message_id=f"m{number}", direction=direction, kind=kind)
        row = await db.write(insert_message, new, None, at)
        await db.write(
            lambda conn, row=row, state=state: conn.execute(
                update(message).where(message.c.id == row).values(state=state)
            )
        )
    await recall_last_accepted(db, metrics, ("stad", "dorp"))
    assert value(metrics, "last_accepted_timestamp_seconds", authority="stad") == NOW.timestamp()
    assert value(metrics, "last_accepted_timestamp_seconds", authority="dorp") is None


async def test_transactions_are_timed_also_those_that_fail(db: Database) -> None:
    metrics = Metrics("1")
    watch_transactions(db, metrics)

    def fails(_: Connection) -> None:
        raise ValueError("no")

    await db.read(lambda _: None)
    with pytest.raises(ValueError, match="no"):
        await db.write(fails)
    for operation in ("read", "write"):
        for name in ("store_transaction_seconds_count", "store_wait_seconds_count"):
            assert value(metrics, name, operation=operation) == 1
