# SPDX-License-Identifier: EUPL-1.2

"""What health asks the store: whether it takes writes, and which work has waited for long."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapter.daemon.counting import LateWork
from adapter.store import (
    Database,
    NewJob,
    StoreUnavailable,
    add_job,
    claim_jobs,
    open_database,
    park_job,
    pause_lane,
    see_whether_it_takes_writes,
)
from tests.postgresql import Server

HOUR = timedelta(hours=1)


async def test_a_store_that_is_well_takes_writes_and_nothing_is_changed_by_asking(db: Database) -> None:
    seen = db.changes.count
    await see_whether_it_takes_writes(db)
    assert db.changes.count == seen


async def test_a_server_that_is_read_only_takes_no_writes(postgresql: Server, tmp_path: Path) -> None:
    name = postgresql.new_database()
    postgresql.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = open_database(postgresql.url(name), tmp_path, exclusive=False)
    with pytest.raises(StoreUnavailable, match="lead to the primary"):
        await see_whether_it_takes_writes(database)
    await database.close()


async def test_work_that_waits_for_long_is_told_by_lane_with_its_oldest(db: Database, now: datetime) -> None:
    late = LateWork(db, HOUR, lambda: now)
    for lane, waited in (("slow", 3 * HOUR), ("slow", 2 * HOUR), ("quick", HOUR / 2), ("halted", 2 * HOUR)):
        await db.write(add_job, NewJob("deliver", lane), "voorbeeldstad", 1, now - waited)
    await db.write(add_job, NewJob("reconcile", "hourly"), "voorbeeldstad", 1, now - 9 * HOUR)
    await db.write(pause_lane, "halted", "maintenance")
    await late.look()
    halted, slow = await late.troubles()
    assert halted.text.endswith("the lane is paused: `stam-adapter lane resume halted`")
    assert slow.text.startswith("lane slow: of 2 jobs the oldest waits for 3.0 h")
    assert (slow.about, slow.stops) == ("slow", frozenset())


async def test_what_is_parked_or_at_work_does_not_wait(db: Database, now: datetime) -> None:
    late = LateWork(db, HOUR, lambda: now)
    for _ in range(2):
        await db.write(add_job, NewJob("deliver", "a"), "voorbeeldstad", 1, now - 2 * HOUR)
    claimed = await db.write(claim_jobs, "w1", now, timedelta(seconds=60), 10, (), ("deliver",))
    assert len(claimed) == 2
    await db.write(park_job, claimed[0], "an operator must look", now)
    await late.look()
    assert await late.troubles() == []
