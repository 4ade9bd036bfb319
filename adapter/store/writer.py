# SPDX-License-Identifier: EUPL-1.2

"""The thread that writes to the embedded database, and groups what waits in one commit.

Each write has a savepoint, so that one that fails takes back only itself; who asked hears of it after the commit.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from adapter.store.database import Changes
from adapter.store.problems import StoreClosed, StoreProblem
from adapter.store.sqlite_errors import commit_failure

R = TypeVar("R")

BATCH: Final = 64
"""How many writes share one commit at most."""


def raw_connection(conn: Connection) -> sqlite3.Connection:
    """The connection of the driver itself."""
    raw = conn.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise StoreProblem("the driver of the embedded database is not sqlite3")
    return raw


@dataclass(frozen=True, slots=True)
class _Write:
    """A function that waits for the writing thread."""

    run: Callable[[Connection], Any]
    outcome: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Look:
    """A question whether another process committed."""

    outcome: asyncio.Future[bool]


class _News:
    """What became of writes and looks: told to a loop all at once, since waking it costs as much as a small write."""

    def __init__(self) -> None:
        self._told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, bool]]]
        self._told = defaultdict(list)

    def result(self, outcome: asyncio.Future[Any], value: Any) -> None:
        """Who waits gets this value."""
        self._told[outcome.get_loop()].append((outcome, value, False))

    def error(self, outcome: asyncio.Future[Any], error: BaseException) -> None:
        """Who waits gets this error."""
        self._told[outcome.get_loop()].append((outcome, error, True))

    def tell(self) -> None:
        """Wake all who wait."""
        for loop, told in self._told.items():
            with contextlib.suppress(RuntimeError):  # that loop was closed: nobody waits there any more
                loop.call_soon_threadsafe(_settle, told)


def _settle(told: Sequence[tuple[asyncio.Future[Any], Any, bool]]) -> None:
    for outcome, value, is_error in told:
        if outcome.done():  # cancelled meanwhile
            continue
        if is_error:
            outcome.set_exception(value)
        else:
            outcome.set_result(value)


class Writer:
    """The thread that writes."""

    def __init__(self, engine: Engine, changes: Changes):
        self._engine = engine
        self._changes = changes
        self._waiting: queue.SimpleQueue[_Write | _Look | None] = queue.SimpleQueue()
        self._submitting = threading.Lock()
        self._closed = False
        self._busy_since: float | None = None
        self._connection = engine.connect()
        self._raw = raw_connection(self._connection)
        self._seen = self._data_version()
        self._thread = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], R]) -> asyncio.Future[R]:
        """Let a function wait for its turn; cancelled before that, it is skipped."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put(_Write(run, outcome))
        return outcome

    def look_elsewhere(self) -> asyncio.Future[bool]:
        """Ask whether another process committed since this was last asked."""
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._put(_Look(outcome))
        return outcome

    def stuck(self) -> float:
        """For how many seconds the thread has been at the same commit; infinitely where it died."""
        if not self._thread.is_alive():
            return math.inf
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

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
                self._busy_since = time.monotonic()
                self._do(batch)
                self._busy_since = None
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
        waited_for = [item for item in batch if not item.outcome.cancelled()]
        news = _News()
        if writes := [item for item in waited_for if isinstance(item, _Write)]:
            self._commit_together(writes, news)
        for look in waited_for:
            if isinstance(look, _Look):
                self._answer(look, news)
        news.tell()

    def _commit_together(self, writes: Sequence[_Write], news: _News) -> None:
        """Run all in one transaction, and tell each what became of it once that is certain."""
        before = self._raw.total_changes
        failed: dict[int, BaseException] = {}
        results: dict[int, Any] = {}
        done = False
        try:
            with self._connection.begin():
                for number, write in enumerate(writes):
                    self._run(number, write, results, failed)
                done = True
        except BaseException as error:  # whatever it is, it belongs to those who wait for the commit
            if self._raw.in_transaction:  # SQLite leaves it open when COMMIT itself fails
                self._raw.rollback()
            cause = commit_failure(error) if done else error
            for number, write in enumerate(writes):
                news.error(write.outcome, failed.get(number, cause))
            return
        if self._raw.total_changes != before:
            self._changes.announce()
        for number, write in enumerate(writes):
            if number in failed:
                news.error(write.outcome, failed[number])
            else:
                news.result(write.outcome, results[number])

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

    def _answer(self, look: _Look, news: _News) -> None:
        try:
            version = self._data_version()
        except sqlite3.Error as error:
            news.error(look.outcome, error)
            return
        changed, self._seen = version != self._seen, version
        news.result(look.outcome, changed)

    def _data_version(self) -> int:
        # On the connection that writes: it changes by the commits of others only.
        version: int = self._raw.execute("PRAGMA data_version").fetchone()[0]
        return version
