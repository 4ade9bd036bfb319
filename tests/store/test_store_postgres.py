# SPDX-License-Identifier: EUPL-1.2

"""What is about how PostgreSQL does it: sharing, waiting, losing the connection."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.util import await_only

from adapter.store import (
    Database,
    Event,
    StoreClosed,
    StoreUnavailable,
    StoreUnknown,
    add_event,
    events_for,
    is_shared,
    migrate,
    open_database,
    pause_lane,
    schema_status,
    shown_url,
)
from adapter.store import postgres as module
from adapter.store.listening import FALL_BACK
from adapter.store.postgres import ATTEMPTS, CONNECTIONS, PostgresDatabase
from adapter.store.schema import lane
from tests.postgresql import PASSWORD, Server
from tests.store.conftest import NOW
from tests.store.cutting import Cut, Proxy

TIMEOUT = 20
GATE = 7


@pytest.fixture
def backend() -> str:
    return "postgresql"


def add(conn: Connection, name: str) -> str:
    conn.execute(insert(lane).values(name=name, paused=False))
    return name


def names(conn: Connection) -> list[str]:
    return list(conn.execute(select(lane.c.name).order_by(lane.c.name)).scalars())


def through_the_gate(conn: Connection) -> None:
    conn.execute(text(f"SELECT pg_advisory_xact_lock({GATE})"))


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[Any]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def waiters(other: Any, number: int) -> None:
    """Return once so many transactions wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(TIMEOUT):
        while await other.fetchval(query) != number:  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def closed_gate(url: str) -> AsyncIterator[Any]:
    """Keep every transaction that goes through the gate waiting; ends with the gate open."""
    async with beside(url) as other:
        await other.execute(f"SELECT pg_advisory_lock({GATE})")
        yield other
        await other.execute(f"SELECT pg_advisory_unlock({GATE})")


async def opened(url: str, state: Path) -> PostgresDatabase:
    db = open_database(url, state, exclusive=False)
    assert isinstance(db, PostgresDatabase)
    return db


def test_only_postgresql_is_shared(url: str) -> None:
    assert is_shared(url)
    assert not is_shared("sqlite")


async def test_a_cancelled_write_that_waits_is_skipped(db: Database, url: str) -> None:
    async with closed_gate(url) as other:
        held = [asyncio.create_task(db.write(through_the_gate)) for _ in range(CONNECTIONS)]
        await waiters(other, CONNECTIONS)
        write = asyncio.create_task(db.write(add, "a"))
        await asyncio.sleep(0)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await asyncio.gather(*held)
    await db.write(add, "b")
    assert await db.read(names) == ["b"]


async def test_cancelling_does_not_interrupt_a_transaction_that_was_started(db: Database, url: str) -> None:
    def slow(conn: Connection) -> None:
        add(conn, "a")
        through_the_gate(conn)
        add(conn, "b")

    async with closed_gate(url) as other:
        write = asyncio.create_task(db.write(slow))
        await waiters(other, 1)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await db.close()
    async with beside(url) as other:
        assert await other.fetchval("SELECT count(*) FROM lane") == 2


async def test_a_write_comes_after_one_whose_asker_was_cancelled(db: Database, url: str) -> None:
    def slow(conn: Connection) -> None:
        through_the_gate(conn)
        add(conn, "a")

    async with closed_gate(url) as other:
        left = asyncio.create_task(db.write(slow))
        await waiters(other, 1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        clean_up = asyncio.create_task(db.write(names))
        await asyncio.sleep(0.1)
        assert not clean_up.done()
    assert await clean_up == ["a"]


async def test_closing_finishes_what_was_asked_for(url: str, state: Path) -> None:
    db = await opened(url, state)
    async with closed_gate(url) as other:
        held = [asyncio.create_task(db.write(through_the_gate)) for _ in range(CONNECTIONS)]
        await waiters(other, CONNECTIONS)
        waiting = asyncio.create_task(db.write(add, "a"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
    await asyncio.gather(*held, closing)
    assert await waiting == "a"
    for ask in (db.write(add, "b"), db.read(names), db.wait_for_change(1), db.listen()):
        with pytest.raises(StoreClosed):
            await ask


async def test_a_read_sees_one_consistent_view(db: Database, url: str) -> None:
    def twice(conn: Connection) -> tuple[list[str], list[str]]:
        first = names(conn)
        through_the_gate(conn)
        return first, names(conn)

    async with closed_gate(url) as other:
        read = asyncio.create_task(db.read(twice))
        await waiters(other, 1)
        await db.write(add, "a")
    assert await read == ([], [])


async def test_a_failing_function_leaves_nothing(db: Database) -> None:
    def fail(conn: Connection) -> None:
        add(conn, "a")
        raise LookupError("a")

    with pytest.raises(LookupError):
        await db.write(fail)
    assert await db.read(names) == []


async def test_a_function_that_finds_its_key_taken_runs_again_and_sees_the_other(
    db: Database, url: str
) -> None:
    async with beside(url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("INSERT INTO lane VALUES ('a', false, NULL)")
        pausing = asyncio.create_task(db.write(pause_lane, "a", "later"))
        async with beside(url) as third:
            await waiters(third, 1)
        await transaction.commit()
        await pausing
        assert await other.fetchval("SELECT reason FROM lane") == "later"


async def test_a_key_that_stays_taken_is_an_integrity_error(db: Database) -> None:
    runs = []

    def again(conn: Connection) -> None:
        runs.append(1)
        add(conn, "a")

    await db.write(add, "a")
    with pytest.raises(IntegrityError):
        await db.write(again)
    assert len(runs) == ATTEMPTS


async def test_a_deadlock_is_tried_again(db: Database) -> None:
    both, runs = asyncio.Barrier(2), []

    def touch(conn: Connection, first: str, second: str) -> None:
        runs.append(first)
        statement = "UPDATE lane SET reason = :by WHERE name = :name"
        conn.execute(text(statement).bindparams(by=first, name=first))
        if len(runs) <= 2:
            await_only(both.wait())
        conn.execute(text(statement).bindparams(by=first, name=second))

    await db.write(add, "a")
    await db.write(add, "b")
    await asyncio.gather(db.write(touch, "a", "b"), db.write(touch, "b", "a"))
    assert len(runs) == 3


async def test_a_lock_that_is_held_too_long_makes_the_store_unavailable(
    url: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module._TIMEOUTS, "lock_timeout", "100ms")
    db = await opened(url, state)
    async with closed_gate(url):
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await db.write(through_the_gate)
    await db.write(through_the_gate)
    await db.close()


async def test_a_statement_that_takes_too_long_makes_the_store_unavailable(
    url: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module._TIMEOUTS, "statement_timeout", "100ms")
    db = await opened(url, state)
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        await db.read(lambda conn: conn.execute(text("SELECT pg_sleep(60)")).scalar())
    await db.close()


async def test_a_server_that_says_nothing_makes_the_store_unavailable(
    url: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_TIMEOUT", 0.2)
    db = await opened(url, state)
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await db.read(lambda conn: conn.execute(text("SELECT pg_sleep(60)")).scalar())
    assert await db.read(names) == []
    await db.close()


async def test_a_commit_that_was_cut_off_before_it_was_done_has_an_unknown_outcome(
    url: str, state: Path
) -> None:
    async with Proxy(url).running() as proxy:
        db = await opened(proxy.url, state)
        proxy.cut = Cut.BEFORE
        with pytest.raises(StoreUnknown, match="may have been done or not"):
            await db.write(add, "a")
        assert proxy.commits == 1
        proxy.cut = Cut.NEVER
        assert await db.read(names) == []
        await db.close()


async def test_a_commit_that_was_done_but_not_answered_has_an_unknown_outcome(url: str, state: Path) -> None:
    async with Proxy(url).running() as proxy:
        db = await opened(proxy.url, state)
        proxy.cut = Cut.AFTER
        with pytest.raises(StoreUnknown):
            await db.write(add, "a")
        assert proxy.commits == 1
        proxy.cut = Cut.NEVER
        assert await db.read(names) == ["a"]
        await db.close()


async def test_a_connection_that_is_cut_before_the_commit_is_made_again(db: Database, url: str) -> None:
    runs = []

    def cut(conn: Connection) -> None:
        runs.append(1)
        add(conn, "a")
        if len(runs) == 1:
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await db.write(cut)
    assert await db.read(names) == ["a"]
    assert len(runs) == 2


async def test_the_store_outlives_a_restart_of_the_server(
    db: Database, postgresql: Server, url: str, state: Path
) -> None:
    await asyncio.gather(*(db.write(add, f"n{number}") for number in range(CONNECTIONS)))
    await asyncio.to_thread(postgresql.stop)
    with pytest.raises(StoreUnavailable, match="look whether the server runs"):
        await db.write(add, "meanwhile")
    with pytest.raises(StoreUnavailable):
        await db.read(names)
    await asyncio.to_thread(postgresql.start)
    await db.write(add, "after")
    assert len(await db.read(names)) == CONNECTIONS + 1
    assert isinstance(db, PostgresDatabase)
    await asyncio.wait_for(db.listen(), TIMEOUT)
    seen = db.changes.count
    other = await opened(url, state)
    await other.write(add, "heard")
    await other.close()
    await asyncio.wait_for(db.wait_for_change(FALL_BACK * 3, since=seen), FALL_BACK / 2)


async def test_a_crash_of_the_server_in_the_middle_of_writes_loses_nothing_that_was_confirmed(
    db: Database, postgresql: Server
) -> None:
    confirmed: list[str] = []
    enough = asyncio.Event()

    async def writer(number: int) -> None:
        for count in range(10**6):
            try:
                confirmed.append(await db.write(add, f"{number}-{count}"))
            except (StoreUnavailable, StoreUnknown):
                return
            if len(confirmed) >= 200:
                enough.set()

    writers = [asyncio.create_task(writer(number)) for number in range(CONNECTIONS)]
    await asyncio.wait_for(enough.wait(), TIMEOUT)
    await asyncio.to_thread(postgresql.stop, signal.SIGQUIT)
    await asyncio.gather(*writers)
    await asyncio.to_thread(postgresql.start)
    assert set(confirmed) <= set(await db.read(names))


async def test_who_listens_hears_again_after_its_connection_was_ended(
    db: Database, url: str, state: Path
) -> None:
    seen = db.changes.count
    async with beside(url) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        # what was missed in between is not known, so that listening again counts as a change
        await asyncio.wait_for(db.wait_for_change(TIMEOUT, since=seen), TIMEOUT / 2)
        assert isinstance(db, PostgresDatabase)
        await asyncio.wait_for(db.listen(), TIMEOUT)
        seen = db.changes.count
        elsewhere = await opened(url, state)
        await elsewhere.write(add, "a")
        await elsewhere.close()
        await asyncio.wait_for(db.wait_for_change(TIMEOUT, since=seen), TIMEOUT / 2)


async def test_while_nothing_can_be_heard_who_waits_looks_every_few_seconds(
    url: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.store.listening.FALL_BACK", 0.1)
    broken = await opened("postgresql://nobody@127.0.0.1:1/db", state)
    await asyncio.wait_for(broken.wait_for_change(TIMEOUT), TIMEOUT / 2)
    await broken.close()


async def test_looking_announces_nothing_to_others(db: Database, url: str, state: Path) -> None:
    other = await opened(url, state)
    await other.write(names)
    await other.read(names)
    await other.write(lambda conn: conn.execute(text("UPDATE lane SET paused = true")).rowcount)
    await other.write(add, "a")
    await other.close()
    await asyncio.wait_for(db.wait_for_change(TIMEOUT, since=0), TIMEOUT / 2)
    assert db.changes.count == 1


async def test_a_text_with_nul_is_stored_without(db: Database) -> None:
    event = Event(NOW, "voorbeeldstad", "x", message_id="a\0b", detail={"name": "c\0d"})
    await db.write(add_event, event)
    (stored,) = await db.read(events_for, message_id="a\ufffdb")
    assert stored.detail == {"name": "c\0d"}


async def test_the_password_may_come_from_the_environment_or_a_pgpass_file(
    url: str, postgresql: Server, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = postgresql.url(urlsplit(url).path.removeprefix("/"), password=None)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    schema_status(bare, state)
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "pgpass"
    passwords.touch(mode=0o600)
    passwords.write_text(f"*:*:*:stam:{PASSWORD}\n")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    schema_status(bare, state)


async def test_a_wrong_password_is_said_without_saying_it(url: str, state: Path) -> None:
    wrong = url.replace(PASSWORD, "verkeerd")
    db = await opened(wrong, state)
    for ask in (lambda: schema_status(wrong, state), lambda: migrate(wrong, state)):
        with pytest.raises(StoreUnavailable, match="PGPASSWORD") as refused:
            ask()
        assert "verkeerd" not in str(refused.value)
    with pytest.raises(StoreUnavailable, match="PGPASSWORD"):
        await db.read(names)
    await db.close()


def test_a_database_that_is_not_there_is_said_with_the_fix(postgresql: Server, state: Path) -> None:
    with pytest.raises(StoreUnavailable, match="createdb"):
        migrate(postgresql.url("geen"), state)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://me:geheim@host:5433/db?sslmode=require&password=geheim",
            "postgresql://me@host:5433/db",
        ),
        ("postgresql://me:ge@heim@host/db", "postgresql://me@host/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db"),
        ("sqlite", "sqlite"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_nothing_of_the_embedded_database_is_made_for_postgresql(state: Path) -> None:
    assert list(state.iterdir()) == []
