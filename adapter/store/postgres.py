# SPDX-License-Identifier: EUPL-1.2

"""PostgreSQL: the same functions as on the embedded database, for any number of daemons over one database.

Each function runs in one transaction on a connection of a pool, on the event loop, while the driver waits for the
server (`AsyncConnection.run_sync`). Functions are written for READ COMMITTED: what must not be done twice has a
unique key, a guarded UPDATE or a lock. Where another transaction was first all the same (a unique key that was
taken in between, a deadlock), the whole function runs again and sees what that one did.
"""

import asyncio
import random
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import asyncpg
from sqlalchemy import Connection, Text, bindparam, event, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from adapter.observe import get_logger
from adapter.store.database import Database
from adapter.store.listening import CHANNEL, Listener
from adapter.store.lock import DaemonLock
from adapter.store.postgres_errors import Trouble, is_commit_uncertain, trouble_of, unavailable, unknown
from adapter.store.problems import StoreClosed
from adapter.store.timing import timed

log = get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

CONNECTIONS: Final = 8
"""How many transactions a process has open at a time; it has one connection more, to listen."""

ATTEMPTS: Final = 5
"""How often a transaction is run at most, when others are in its way or its connection was cut before the commit."""

CONNECT_TIMEOUT: Final = 10.0
STATEMENT_TIMEOUT: Final = 30.0
LOCK_TIMEOUT: Final = 10.0
"""Seconds; the server ends what takes longer, and lets go of what it held."""

_ANSWER_TIMEOUT: Final = 40.0  # for a server that says nothing at all any more
_PAUSE: Final = 0.02

_SETTINGS: Final = {
    "application_name": "stam-adapter",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_TIMEOUTS: Final = {
    "statement_timeout": f"{STATEMENT_TIMEOUT:.0f}s",
    "lock_timeout": f"{LOCK_TIMEOUT:.0f}s",
    "idle_in_transaction_session_timeout": "60s",
}
_NOTIFY: Final = select(func.pg_notify(CHANNEL, bindparam("me", type_=Text)))
_WRITES: Final = re.compile(r"\s*(insert|update|delete)\b", re.IGNORECASE)


def postgres_engine(url: str, *, patient: bool = False) -> AsyncEngine:
    """Make an engine; the driver reads the URL (as libpq does, with PGPASSWORD and pgpass), so nothing logs it.

    Args:
        url: `postgresql://user@host/db`, with the options of libpq such as `sslmode` behind it.
        patient: without bounds on statements and locks, for migrations.

    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: _connect(url, patient=patient),
        pool_size=CONNECTIONS,
        max_overflow=0,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "before_cursor_execute", _without_nul, retval=True)
    event.listen(engine.sync_engine, "after_cursor_execute", _note_change)
    return engine


class PostgresDatabase(Database):
    """A PostgreSQL database; it must have been migrated. For one event loop."""

    def __init__(self, url: str, lock: DaemonLock | None = None):
        super().__init__()
        self._url = url
        self._lock = lock
        self._closed = False
        self._looked = False
        self._me = secrets.token_hex(8)
        self._engine = postgres_engine(url)
        self._views = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._running: set[asyncio.Task[Any]] = set()
        self._left: set[asyncio.Task[Any]] = set()
        self._listener = Listener(lambda: _connect(url), self._me, self.changes.announce, self._started)

    async def write(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a transaction; see `Database.write`.

        It comes after every transaction whose asker was cancelled: who gives up and then cleans up cleans up all.

        Raises:
            StoreUnavailable: nothing was written.
            StoreUnknown: it may have been written, or not.

        """
        while self._left:
            await asyncio.wait(self._left)
        with timed(self.observe, "write") as turn:
            return await self._in_turn(
                self._write, turn(lambda connection: function(connection, *args, **kwargs))
            )

    async def read(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function over a consistent view; see `Database.read`.

        Raises:
            StoreUnavailable: the database cannot be reached.

        """
        with timed(self.observe, "read") as turn:
            return await self._in_turn(
                self._read, turn(lambda connection: function(connection, *args, **kwargs))
            )

    async def wait_for_change(self, timeout: float, since: int | None = None) -> None:  # noqa: ASYNC109
        """Return after the next commit that changes something; see `Database.wait_for_change`.

        While commits of others cannot be heard, it also returns every few seconds.
        """
        self._check_open()
        self._looked = True
        self._listener.start()
        await super().wait_for_change(timeout, since)

    async def listen(self) -> None:
        """Return once the commits of others are heard; waiting for a change starts that too."""
        self._check_open()
        await self._listener.listening()

    async def close(self) -> None:
        """Finish what was asked for, then let go of the connections and the lock."""
        if self._closed:
            return
        self._closed = True
        await self._listener.stop()
        for _ in range(CONNECTIONS):  # who asked before has its turn before us
            await self._room.acquire()
        await self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    async def _changed_elsewhere(self) -> bool:
        self._check_open()
        return self._listener.must_look()

    def _started(self) -> None:
        if self._looked:  # else nobody has seen anything that could have changed before we listened
            self.changes.announce()

    async def _in_turn(
        self, attempt: Callable[[Callable[[Connection], R]], Awaitable[R]], run: Callable[[Connection], R]
    ) -> R:
        """Wait for a connection to be free, then run to the end, whatever becomes of who asked."""
        self._check_open()
        self._looked = True
        await self._room.acquire()
        task = asyncio.create_task(self._persist(attempt, run), name="store-transaction")
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._left.add(task)
            raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._left.discard(task)
        self._room.release()

    async def _persist(
        self, attempt: Callable[[Callable[[Connection], R]], Awaitable[R]], run: Callable[[Connection], R]
    ) -> R:
        """Run a transaction again when that is harmless and can help."""
        for number in range(1, ATTEMPTS):
            try:
                return await attempt(run)
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                if trouble is Trouble.BUSY:
                    raise unavailable(self._url, error) from error
                log.info(
                    "a transaction is run again",
                    action="store.again",
                    attempt=number,
                    trouble=trouble.name.lower(),
                    reason=type(error).__name__,
                )
            await asyncio.sleep(random.uniform(0.5, 1.5) * _PAUSE * number**2)  # noqa: S311
        try:
            return await attempt(run)
        except Exception as error:
            if trouble_of(error) is None or isinstance(error, IntegrityError):
                raise
            raise unavailable(self._url, error) from error

    async def _write(self, run: Callable[[Connection], R]) -> R:
        async with self._engine.connect() as connection:
            result, changed = await _run(connection, lambda inner: self._do(inner, run))
            try:
                await connection.commit()
            except Exception as error:
                if is_commit_uncertain(error):
                    await connection.invalidate()
                    raise unknown(self._url, error) from error
                raise
        if changed:
            self.changes.announce()
        return result

    def _do(self, connection: Connection, run: Callable[[Connection], R]) -> tuple[R, bool]:
        connection.info["changed"] = False
        result = run(connection)
        changed: bool = connection.info["changed"]
        if changed:
            connection.execute(_NOTIFY, {"me": self._me})
        return result, changed

    async def _read(self, run: Callable[[Connection], R]) -> R:
        async with self._views.connect() as connection:
            return await _run(connection, run)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store was closed")


async def _connect(url: str, *, patient: bool = False) -> Any:
    settings = _SETTINGS if patient else _SETTINGS | _TIMEOUTS
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT,
        command_timeout=None if patient else _ANSWER_TIMEOUT,
        server_settings=settings,
    )


async def _run(connection: AsyncConnection, run: Callable[[Connection], R]) -> R:
    try:
        return await connection.run_sync(run)
    except TimeoutError:  # what the server still does with this connection is not known: no other may use it
        await connection.invalidate()
        raise


def _without_nul(
    _connection: object, _cursor: object, statement: str, values: Any, _context: object, many: bool
) -> tuple[str, Any]:
    """Put U+FFFD for NUL, which no text of PostgreSQL can have in it (names of files are what partners say)."""
    if many:
        return statement, [_clean(row) for row in values]
    return statement, _clean(values)


def _clean(values: Any) -> Any:
    if not any(type(value) is str and "\0" in value for value in values):
        return values
    return tuple(value.replace("\0", "\ufffd") if type(value) is str else value for value in values)


def _note_change(
    connection: Connection, cursor: Any, statement: str, _values: object, _context: object, _many: bool
) -> None:
    if cursor.rowcount != 0 and _WRITES.match(statement):
        connection.info["changed"] = True
