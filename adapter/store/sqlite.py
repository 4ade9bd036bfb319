"""The embedded database (SQLite).

One connection writes, on a thread of its own. All writes that wait are grouped in one commit, each under a
savepoint, so that one that fails takes back only itself; their callers hear of it after the commit. A few
read-only connections serve reads beside it (WAL).
"""

import asyncio
import functools
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from adapter.store.database import Changes, Database
from adapter.store.lock import DaemonLock
from adapter.store.problems import StoreClosed, StoreProblem

P = ParamSpec("P")
R = TypeVar("R")

BATCH: Final = 64
"""How many writes share one commit at most."""

_READERS: Final = 4
_BUSY_TIMEOUT: Final = 15.0
_WAL_LIMIT: Final = 64 * 1024 * 1024
_PAGES: Final = 64
_SPARE_PAGES: Final = 256
_PAUSE: Final = 0.02
_ATTEMPTS: Final = 100


def sqlite_path(state: Path) -> Path:
    """Where the embedded database is."""
    return state / "stam-adapter.db"


def sqlite_engine(path: Path, *, writes: bool) -> Engine:
    """Make an engine whose transactions are really ours: the driver starts and ends none by itself."""
    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": _READERS, "max_overflow": 0}
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": _BUSY_TIMEOUT, "check_same_thread": False},
        **({"poolclass": StaticPool} if writes else pool),
    )
    pragmas = _WRITER_PRAGMAS if writes else _READER_PRAGMAS
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


_READER_PRAGMAS: Final = ("foreign_keys = ON", "query_only = ON")
_WRITER_PRAGMAS: Final = (
    "auto_vacuum = INCREMENTAL",  # of a new database only, and before anything is in it
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    f"journal_size_limit = {_WAL_LIMIT}",
)


class SqliteDatabase(Database):
    """The embedded database of a state directory; it must have been migrated."""

    def __init__(self, path: Path, lock: DaemonLock | None = None):
        super().__init__()
        self._lock = lock
        self._path = path
        self._closed = False
        self._readers = sqlite_engine(path, writes=False)
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._writer = _Writer(sqlite_engine(path, writes=True), self.changes)

    async def write(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction; see `Database.write`."""
        self._check_open()
        return await asyncio.wrap_future(
            self._writer.submit(lambda connection: function(connection, *args, **kwargs))
        )

    async def read(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function over a consistent view; see `Database.read`."""
        self._check_open()
        run = functools.partial(self._read, lambda connection: function(connection, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def tidy(self) -> bool:
        """Give free pages back and empty the write-ahead log, which holds octets that were deleted since."""
        while await self.write(_give_back):  # noqa: ASYNC110 - a rest between two transactions
            await asyncio.sleep(_PAUSE)
        return await asyncio.to_thread(_empty_log, self._path)

    async def close(self) -> None:
        """Finish what was asked for, then let go of the files and the lock."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._close)

    async def _changed_elsewhere(self) -> bool:
        self._check_open()
        return await asyncio.wrap_future(self._writer.look_elsewhere())

    def _read(self, function: Callable[[Connection], R]) -> R:
        with self._readers.begin() as connection:
            return function(connection)

    def _close(self) -> None:
        self._threads.shutdown()
        self._writer.close()
        self._readers.dispose()
        if self._lock is not None:
            self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store was closed")


def _give_back(conn: Connection) -> bool:
    """Shorten the file by some of its free pages; return whether there are more to give back."""
    raw = _raw(conn)
    if raw.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
        return False  # made before that was set
    spare: int = raw.execute("PRAGMA freelist_count").fetchone()[0] - _SPARE_PAGES
    for _ in range(min(spare, _PAGES)):
        raw.execute("PRAGMA incremental_vacuum(1)")  # the driver takes one step of it, which is one page
    return spare > _PAGES


def _empty_log(path: Path) -> bool:
    """Copy the write-ahead log into the database and truncate it; False when readers were in the way all the time.

    On a connection of its own: most is copied beside readers and the writer, who waits only for what is left then.
    """
    connection = sqlite3.connect(path, timeout=_PAUSE, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        for _ in range(_ATTEMPTS):
            if not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return True
            time.sleep(_PAUSE)
        return False
    finally:
        connection.close()


def _raw(conn: Connection) -> sqlite3.Connection:
    raw = conn.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise StoreProblem("the driver of the embedded database is not sqlite3")
    return raw


@dataclass(frozen=True, slots=True)
class _Write:
    """A function that waits for the writing thread."""

    run: Callable[[Connection], Any]
    done: Future[Any]


@dataclass(frozen=True, slots=True)
class _Look:
    """A question whether another process committed."""

    done: Future[bool]


class _Writer:
    """The thread that writes."""

    def __init__(self, engine: Engine, changes: Changes):
        self._engine = engine
        self._changes = changes
        self._waiting: queue.SimpleQueue[_Write | _Look | None] = queue.SimpleQueue()
        self._submitting = threading.Lock()
        self._closed = False
        self._connection = engine.connect()
        self._raw = _raw(self._connection)
        self._seen = self._data_version()
        self._thread = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], R]) -> Future[R]:
        """Let a function wait for its turn."""
        done: Future[R] = Future()
        self._put(_Write(run, done))
        return done

    def look_elsewhere(self) -> Future[bool]:
        """Ask whether another process committed since this was last asked."""
        done: Future[bool] = Future()
        self._put(_Look(done))
        return done

    def close(self) -> None:
        """Do all that waits, then stop."""
        with self._submitting:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _put(self, item: _Write | _Look) -> None:
        with self._submitting:
            if self._closed:
                raise StoreClosed("the store was closed")
            self._waiting.put(item)

    def _work(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._do(batch)
        finally:
            self._connection.close()
            self._engine.dispose()

    def _next_batch(self) -> list[_Write | _Look] | None:
        """Wait for something to do, and take all that waits with it; None is the end."""
        item = self._waiting.get()
        if item is None:
            return None
        batch = [item]
        while len(batch) < BATCH:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._waiting.put(None)  # the last one there will be: nothing is put after it
                break
            batch.append(item)
        return batch

    def _do(self, batch: Sequence[_Write | _Look]) -> None:
        looks = [item for item in batch if isinstance(item, _Look)]
        writes = [item for item in batch if isinstance(item, _Write)]
        started = [write for write in writes if write.done.set_running_or_notify_cancel()]
        if started:
            self._commit_together(started)
        for look in looks:
            self._answer(look)

    def _commit_together(self, writes: Sequence[_Write]) -> None:
        """Run all in one transaction, and tell each what became of it once that is certain."""
        before = self._raw.total_changes
        failed: dict[int, BaseException] = {}
        results: dict[int, Any] = {}
        try:
            with self._connection.begin():
                for number, write in enumerate(writes):
                    self._run(number, write, results, failed)
        except BaseException as error:  # whatever it is, it belongs to those who wait for the commit
            if self._raw.in_transaction:  # SQLite leaves it open when COMMIT itself fails
                self._raw.rollback()
            for number, write in enumerate(writes):
                write.done.set_exception(failed.get(number, error))
            return
        if self._raw.total_changes != before:
            self._changes.announce()
        for number, write in enumerate(writes):
            if number in failed:
                write.done.set_exception(failed[number])
            else:
                write.done.set_result(results[number])

    def _run(
        self, number: int, write: _Write, results: dict[int, Any], failed: dict[int, BaseException]
    ) -> None:
        self._raw.execute("SAVEPOINT one_write")
        try:
            results[number] = write.run(self._connection)
            self._raw.execute("RELEASE one_write")
        except BaseException as error:  # it belongs to the one who asked for this write
            failed[number] = error
            if not self._raw.in_transaction:
                # SQLite took back the whole transaction, as it does when the disk is full.
                raise
            self._raw.execute("ROLLBACK TO one_write")
            self._raw.execute("RELEASE one_write")

    def _answer(self, look: _Look) -> None:
        if not look.done.set_running_or_notify_cancel():
            return
        try:
            version = self._data_version()
        except sqlite3.Error as error:
            look.done.set_exception(error)
            return
        changed, self._seen = version != self._seen, version
        look.done.set_result(changed)

    def _data_version(self) -> int:
        # On the connection that writes: it changes by the commits of others only.
        version: int = self._raw.execute("PRAGMA data_version").fetchone()[0]
        return version
