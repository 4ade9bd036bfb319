# SPDX-License-Identifier: EUPL-1.2

"""Opening and migrating the store that a URL names."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from adapter.store.database import Database
from adapter.store.lock import DaemonLock
from adapter.store.locking import lock_name
from adapter.store.problems import StoreProblem
from adapter.store.revisions import SchemaStatus, Step, current_revision, last_revision
from adapter.store.sqlite import SqliteDatabase, sqlite_engine, sqlite_path
from adapter.store.sqlite_errors import told_apart
from adapter.store.urls import SQLITE_URL, is_postgres_url, shown_url

R = TypeVar("R")

_MIGRATING = "migrate"
_MIGRATIONS = "adapter.store.migrations"


def is_shared(url: str) -> bool:
    """Whether several daemons can work on the store at the same time, so that none may take it for its own."""
    return is_postgres_url(url)


def open_database(url: str, state: Path, *, exclusive: bool) -> Database:
    """Open the store; it is not migrated by this, and PostgreSQL not even connected with.

    Args:
        url: `sqlite`, the embedded database in `state`; or `postgresql://user@host/db`.
        state: the state directory; it is made where it is not there.
        exclusive: this is the daemon: there can be one at a time in a state directory. The command line opens
            without.

    Raises:
        StoreLocked: another daemon has the state directory.
        StoreProblem: the store cannot be opened.

    """
    _check_url(url)
    _prepare(url, state)
    lock = DaemonLock.take(state) if exclusive else None
    try:
        if is_postgres_url(url):
            from adapter.store.postgres import PostgresDatabase  # noqa: PLC0415 - slow, with SQLite not needed

            return PostgresDatabase(url, lock)
        return SqliteDatabase(sqlite_path(state), lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def migrate(url: str, state: Path, until: Step = Step.POST, *, alone: bool = True) -> SchemaStatus:
    """Bring the tables to the version of this program; nothing happens when they are.

    Who migrates at the same time waits.

    Args:
        url: as of `open_database`.
        state: as of `open_database`.
        until: PRE does what this program needs, and leaves what only the release before uses; POST does all.
        alone: no daemon of a release before works on it; else no removal is made on the way to PRE.

    Returns:
        How the tables are to this program now.

    Raises:
        StoreProblem: the store cannot be opened, or is of a newer program; or a removal is in the way.

    """
    _check_url(url)
    _prepare(url, state)
    upgrade = partial(_upgrade, until=until, alone=alone)
    if is_postgres_url(url):
        return _on_postgres(url, upgrade)
    path = sqlite_path(state)
    engine = sqlite_engine(path, writes=True)
    try:
        with told_apart(path), engine.begin() as connection:
            return upgrade(connection)
    finally:
        engine.dispose()


def schema_status(url: str, state: Path) -> SchemaStatus:
    """How the tables are to this program; nothing is changed or made.

    Raises:
        StoreProblem: the store cannot be looked into.

    """
    _check_url(url)
    if is_postgres_url(url):
        return _on_postgres(url, _status)
    path = sqlite_path(state)
    if not path.exists():
        return SchemaStatus.MISSING
    engine = sqlite_engine(path, writes=False)
    try:
        with told_apart(path), engine.connect() as connection:
            return _status(connection)
    finally:
        engine.dispose()


def schema_is_current(url: str, state: Path) -> bool:
    """Whether the tables are exactly those of this program; nothing is changed or made."""
    return schema_status(url, state) is SchemaStatus.CURRENT


def _upgrade(connection: Connection, *, until: Step, alone: bool) -> SchemaStatus:
    lock_name(connection, _MIGRATING)
    current = current_revision(connection)
    with as_file(files(_MIGRATIONS)) as scripts:
        if current == last_revision(scripts):
            return SchemaStatus.CURRENT
        from adapter.store.migrating import upgrade  # noqa: PLC0415 - slow, and seldom needed

        return upgrade(connection, scripts, current, until=until, alone=alone)


def _status(connection: Connection) -> SchemaStatus:
    current = current_revision(connection)
    with as_file(files(_MIGRATIONS)) as scripts:
        if current == last_revision(scripts):
            return SchemaStatus.CURRENT
        from adapter.store.migrating import status_of  # noqa: PLC0415 - slow, and seldom needed

        return status_of(scripts, current)


def _on_postgres(url: str, run: Callable[[Connection], R]) -> R:
    """Run a function in a transaction, from a caller that may or may not be in an event loop."""
    from adapter.store.postgres import postgres_engine  # noqa: PLC0415 - slow, with SQLite not needed
    from adapter.store.postgres_errors import trouble_of, unavailable  # noqa: PLC0415

    async def work() -> R:
        engine = postgres_engine(url, patient=True)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(run)
        except Exception as error:
            if trouble_of(error) is None:
                raise
            raise unavailable(url, error) from error
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1, thread_name_prefix="store-migrate") as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def _check_url(url: str) -> None:
    if url != SQLITE_URL and not is_postgres_url(url):
        raise StoreProblem(
            f'[store] url = "{shown_url(url)}" names no known store; use "sqlite" or "postgresql://user@host/db"'
        )


def _prepare(url: str, state: Path) -> None:
    """Make the state directory and an empty embedded database, which only the owner can read."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if url == SQLITE_URL:
            sqlite_path(state).touch(mode=0o600)
    except OSError as error:
        raise StoreProblem(
            f"{state} cannot be written: {error.strerror}; make it a directory of the user of the daemon"
        ) from error
