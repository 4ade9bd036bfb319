# SPDX-License-Identifier: EUPL-1.2

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError

from adapter.store import (
    Database,
    StoreClosed,
    StoreLocked,
    StoreProblem,
    StoreUnavailable,
    daemon_is_running,
    open_database,
)
from adapter.store.database import Changes
from adapter.store.schema import lane
from tests.store.conftest import only_sqlite

TIMEOUT = 20


def add(conn: Connection, name: str) -> str:
    conn.execute(insert(lane).values(name=name, paused=False))
    return name


def names(conn: Connection) -> list[str]:
    return list(conn.execute(select(lane.c.name).order_by(lane.c.name)).scalars())


class Gate:
    """Keeps the writing thread busy until it is opened, so that other writes gather behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def hold(self, conn: Connection) -> None:
        self.entered.set()
        assert self.opened.wait(TIMEOUT)

    async def closed(self, db: Database) -> "asyncio.Task[None]":
        task = asyncio.create_task(db.write(self.hold))
        await asyncio.to_thread(self.entered.wait, TIMEOUT)
        return task


async def queued(*writes: "asyncio.Task[str]") -> None:
    """Let the tasks run until each has handed its write over."""
    for _ in writes:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


def count_commits(db: Database) -> list[str]:
    statements: list[str] = []
    db._writer._raw.set_trace_callback(  # type: ignore[attr-defined]
        lambda statement: statements.append(statement) if statement.startswith("COMMIT") else None
    )
    return statements


async def test_a_write_returns_the_result_of_its_function(db: Database) -> None:
    assert await db.write(add, "a") == "a"
    assert await db.read(names) == ["a"]


@only_sqlite
async def test_writes_that_wait_share_one_commit(db: Database) -> None:
    gate = Gate()
    held = await gate.closed(db)
    writes = [asyncio.create_task(db.write(add, f"n{number}")) for number in range(10)]
    await queued(*writes)
    commits = count_commits(db)
    gate.opened.set()
    await asyncio.gather(held, *writes)
    assert len(commits) == 2  # of the one that was held, and of the ten
    assert len(await db.read(names)) == 10


@only_sqlite
async def test_one_failing_write_takes_back_only_itself(db: Database) -> None:
    def fail(conn: Connection, name: str) -> str:
        add(conn, name)
        raise LookupError(name)

    gate = Gate()
    held = await gate.closed(db)
    writes = [
        asyncio.create_task(db.write(function, name))
        for function, name in ((add, "a"), (fail, "b"), (add, "c"))
    ]
    await queued(*writes)
    gate.opened.set()
    results = await asyncio.gather(held, *writes, return_exceptions=True)
    assert results[1] == "a"
    assert isinstance(results[2], LookupError)
    assert results[3] == "c"
    assert await db.read(names) == ["a", "c"]


@only_sqlite
async def test_when_the_commit_fails_nobody_is_told_that_it_was_written(db: Database) -> None:
    def dangling(conn: Connection, name: str) -> str:
        conn.execute(text("PRAGMA defer_foreign_keys = ON"))
        conn.execute(text("INSERT INTO checkpoint VALUES (99, 'x', '{}', 0)"))
        return name

    gate = Gate()
    held = await gate.closed(db)
    writes = [
        asyncio.create_task(db.write(function, name)) for function, name in ((add, "a"), (dangling, "b"))
    ]
    await queued(*writes)
    gate.opened.set()
    results = await asyncio.gather(held, *writes, return_exceptions=True)
    assert all(isinstance(result, Exception) for result in results[1:])
    assert await db.read(names) == []
    assert await db.write(add, "later") == "later"


@only_sqlite
async def test_a_full_disk_loses_the_whole_group_and_says_so_to_all(db: Database) -> None:
    def fill(conn: Connection, name: str) -> str:
        conn.execute(insert(lane).values(name=name * 1_000_000, paused=False))
        return name

    def pages(conn: Connection) -> int:
        return int(conn.execute(text("PRAGMA page_count")).scalar_one())

    db._writer._raw.execute(f"PRAGMA max_page_count = {await db.read(pages) + 4}")  # type: ignore[attr-defined]
    gate = Gate()
    held = await gate.closed(db)
    writes = [
        asyncio.create_task(db.write(function, name))
        for function, name in ((add, "a"), (fill, "b"), (add, "c"))
    ]
    await queued(*writes)
    gate.opened.set()
    results = await asyncio.gather(held, *writes, return_exceptions=True)
    assert isinstance(results[2], StoreUnavailable)
    assert "free or add space" in str(results[2])
    there = await db.read(names)
    for result, name in ((results[1], "a"), (results[3], "c")):
        assert (name in there) == (result == name)
    assert await db.write(add, "later") == "later"


@only_sqlite
async def test_a_cancelled_write_that_waits_is_skipped(db: Database) -> None:
    gate = Gate()
    held = await gate.closed(db)
    write = asyncio.create_task(db.write(add, "a"))
    await queued(write)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    gate.opened.set()
    await held
    await db.write(add, "b")
    assert await db.read(names) == ["b"]


@only_sqlite
async def test_cancelling_does_not_interrupt_a_transaction_that_was_started(db: Database) -> None:
    entered, opened = threading.Event(), threading.Event()

    def slow(conn: Connection) -> None:
        add(conn, "a")
        entered.set()
        assert opened.wait(TIMEOUT)
        add(conn, "b")

    write = asyncio.create_task(db.write(slow))
    await asyncio.to_thread(entered.wait, TIMEOUT)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    opened.set()
    await db.write(add, "c")
    assert await db.read(names) == ["a", "b", "c"]


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises((DBAPIError, StoreUnavailable), match=r"read-?only"):
        await db.read(add, "a")


@only_sqlite
async def test_a_read_sees_one_consistent_view(db: Database) -> None:
    entered, opened = threading.Event(), threading.Event()

    def twice(conn: Connection) -> tuple[list[str], list[str]]:
        first = names(conn)
        entered.set()
        assert opened.wait(TIMEOUT)
        return first, names(conn)

    read = asyncio.create_task(db.read(twice))
    await asyncio.to_thread(entered.wait, TIMEOUT)
    await db.write(add, "a")
    opened.set()
    assert await read == ([], [])


@only_sqlite
async def test_the_database_is_set_for_durability(db: Database) -> None:
    def pragma(conn: Connection, name: str) -> object:
        return conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    assert await db.write(pragma, "journal_mode") == "wal"
    assert await db.write(pragma, "synchronous") == 2
    assert await db.write(pragma, "foreign_keys") == 1
    assert await db.write(pragma, "secure_delete") == 1


@only_sqlite
async def test_only_the_owner_can_read_the_database(db: Database, state: Path) -> None:
    await db.write(add, "a")
    modes = await asyncio.to_thread(lambda: [path.stat().st_mode for path in state.glob("stam-adapter.db*")])
    assert len(modes) == 3
    assert not any(mode & 0o077 for mode in modes)


@only_sqlite
async def test_closing_finishes_what_was_asked_for(state: Path) -> None:
    db = open_database("sqlite", state, exclusive=True)
    gate = Gate()
    held = await gate.closed(db)
    write = asyncio.create_task(db.write(add, "a"))
    await queued(write)
    closing = asyncio.create_task(db.close())
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(held, closing)
    assert await write == "a"
    with pytest.raises(StoreClosed):
        await db.write(add, "b")
    with pytest.raises(StoreClosed):
        await db.read(names)


async def test_a_second_daemon_in_the_same_state_directory_is_refused(
    db: Database, url: str, state: Path
) -> None:
    assert daemon_is_running(state)
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        open_database(url, state, exclusive=True)


async def test_closing_gives_the_lock_back(url: str, state: Path) -> None:
    for _ in range(2):
        db = open_database(url, state, exclusive=True)
        await db.close()
    assert not daemon_is_running(state)


async def test_the_command_line_writes_beside_the_daemon(db: Database, url: str, state: Path) -> None:
    other = open_database(url, state, exclusive=False)
    await other.write(add, "cli")
    await other.close()
    assert await db.read(names) == ["cli"]


def test_an_unknown_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match=r'mysql://me@host/db.*use "sqlite" or "postgresql://') as refused:
        open_database("mysql://me:geheim@host/db?password=geheim", tmp_path, exclusive=True)
    assert "geheim" not in str(refused.value)


async def test_a_write_wakes_who_waits_for_a_change(db: Database) -> None:
    waiting = asyncio.create_task(db.wait_for_change(TIMEOUT))
    await asyncio.sleep(0)
    await db.write(add, "a")
    await asyncio.wait_for(waiting, TIMEOUT / 2)


async def test_a_change_before_the_wait_is_not_missed(db: Database) -> None:
    seen = db.changes.count
    await db.write(add, "a")
    await asyncio.wait_for(db.wait_for_change(TIMEOUT, since=seen), TIMEOUT / 2)


async def test_a_write_that_changes_nothing_is_no_change(db: Database) -> None:
    seen = db.changes.count
    await db.write(names)
    assert db.changes.count == seen


async def test_own_writes_do_not_look_like_those_of_another_process(db: Database) -> None:
    await db.write(add, "a")
    assert not await db._changed_elsewhere()


async def test_waiting_for_a_change_ends_at_the_time_out(db: Database) -> None:
    await asyncio.wait_for(db.wait_for_change(0.01), TIMEOUT)
    assert db.changes.count == 0


ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from adapter.store import open_database, pause_lane

async def main():
    db = open_database(sys.argv[2], Path(sys.argv[1]), exclusive=False)
    await db.write(pause_lane, "from elsewhere", "test")
    await db.close()

asyncio.run(main())
"""


async def test_the_write_of_another_process_is_noticed(db: Database, url: str, state: Path) -> None:
    waiting = asyncio.create_task(db.wait_for_change(TIMEOUT))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ELSEWHERE, str(state), url)
    assert await process.wait() == 0
    await asyncio.wait_for(waiting, TIMEOUT / 2)
    assert await db.read(names) == ["from elsewhere"]
    assert db.changes.count == 1


KILLED = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import insert
from adapter.store import open_database
from adapter.store.database import Changes
from adapter.store.schema import lane
from tests.store.conftest import only_sqlite

def pair(conn, number):
    conn.execute(insert(lane).values(name=f"{number:08d}-a", paused=False))
    conn.execute(insert(lane).values(name=f"{number:08d}-b", paused=False))

async def writer(db, first):
    for number in range(first, 10**7, 8):
        await db.write(pair, number)
        print(number, flush=True)

async def main():
    db = open_database("sqlite", Path(sys.argv[1]), exclusive=True)
    await asyncio.gather(*(writer(db, first) for first in range(8)))

asyncio.run(main())
"""


@only_sqlite
def test_kill_9_in_the_middle_of_writes_loses_nothing_that_was_confirmed(state: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(state)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        confirmed += [int(line) for line in process.stdout if line.endswith("\n")]
    assert not daemon_is_running(state)
    with sqlite3.connect(state / "stam-adapter.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        there = {name for (name,) in connection.execute("SELECT name FROM lane")}
    connection.close()
    assert {f"{number:08d}-{half}" for number in confirmed for half in "ab"} <= there
    assert {name[:-1] + "a" for name in there} == {name[:-1] + "a" for name in there if name.endswith("b")}


async def test_a_wait_survives_cancelling(db: Database) -> None:
    waiting = asyncio.create_task(db.wait_for_change(TIMEOUT))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await db.write(add, "a")
    assert db.changes.count == 1


async def test_a_wait_that_is_cancelled_together_with_a_change_ends():
    changes = Changes()

    async def watch() -> None:
        while True:
            await changes.wait(changes.count, 30.0)

    watching = asyncio.create_task(watch())
    while not changes._waiting:  # noqa: ASYNC110
        await asyncio.sleep(0)
    changes.announce()
    await asyncio.sleep(0)
    watching.cancel()
    done, _ = await asyncio.wait([watching], timeout=5)
    assert done == {watching}
