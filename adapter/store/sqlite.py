# SPDX-License-Identifier: EUPL-1.2

"""The embedded database (SQLite).

One connection writes, on a thread of its own (`writer`); a few read-only connections serve reads beside it (WAL).
"""

import asyncio
import functools
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from adapter.store.database import Database
from adapter.store.lock import DaemonLock
from adapter.store.problems import StoreClosed
from adapter.store.sqlite_errors import told_apart
from adapter.store.timing import timed
from adapter.store.writer import Writer, raw_connection

P = ParamSpec("P")
R = TypeVar("R")

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
        with told_apart(path):
            self._writer = Writer(sqlite_engine(path, writes=True), self.changes)

    async def write(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction; see `Database.write`.

        Raises:
            StoreUnavailable: the database cannot be used now; nothing was written.
            StoreUnknown: the disk failed; it may have been written, or not.

        """
        self._check_open()
        with told_apart(self._path), timed(self.observe, "write") as turn:
            return await self._writer.submit(turn(lambda connection: function(connection, *args, **kwargs)))

    async def read(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function over a consistent view; see `Database.read`.

        Raises:
            StoreUnavailable: the database cannot be used now.

        """
        self._check_open()
        with told_apart(self._path), timed(self.observe, "read") as turn:
            run = functools.partial(
                self._read, turn(lambda connection: function(connection, *args, **kwargs))
            )
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def stuck(self) -> float:
        """For how many seconds the writing thread has been at the same thing, or dead."""
        return 0.0 if self._closed else self._writer.stuck()

    async def tidy(self) -> bool:
        """Give free pages back and empty the write-ahead log, which holds octets that were deleted since."""
        while await self.write(_give_back):  # noqa: ASYNC110 - a rest between two transactions
            await asyncio.sleep(_PAUSE)
        with told_apart(self._path):
            return await asyncio.to_thread(_empty_log, self._path)

    async def close(self) -> None:
        """Finish what was asked for, then let go of the files and the lock."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._close)

    async def _changed_elsewhere(self) -> bool:
        self._check_open()
        with told_apart(self._path):
            return await self._writer.look_elsewhere()

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
    raw = raw_connection(conn)
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
