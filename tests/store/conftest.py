# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from adapter.store import (
    Content,
    Database,
    Direction,
    MessageKind,
    NewJob,
    NewMessage,
    NewPayload,
    Reception,
    migrate,
    migrating,
    open_database,
)
from adapter.store.files import FileSpool
from adapter.store.postgres import PostgresDatabase, postgres_engine
from adapter.store.sqlite import sqlite_engine, sqlite_path
from tests.messages import new_message as make_message
from tests.migrated import by_migrations
from tests.postgresql import apart
from tests.s3 import Bucket
from tests.store.spools import FileHouse, ObjectHouse, SpoolHouse

R = TypeVar("R")

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""For what is about how the embedded database does it."""


def on_store(url: str, state: Path, run: Callable[[Connection], R]) -> R:
    """Run a function over the database that a URL names, beside everything else."""
    if url == "sqlite":
        engine = sqlite_engine(sqlite_path(state), writes=True)
        with engine.begin() as connection:
            result = run(connection)
        engine.dispose()
        return result

    async def work() -> R:
        beside = postgres_engine(url)
        async with beside.begin() as connection:
            found = await connection.run_sync(run)
        await beside.dispose()
        return found

    return apart(work)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The database that the test runs on: each in turn."""
    return str(request.param)


@pytest.fixture
def migrations_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new database is made by its migrations: for tests that are about those."""
    monkeypatch.setattr(migrating, "upgrade", by_migrations)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest) -> str:
    return "sqlite" if backend == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def state(url: str, tmp_path: Path) -> Path:
    migrate(url, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
async def db(url: str, state: Path) -> AsyncIterator[Database]:
    database = open_database(url, state, exclusive=True)
    if isinstance(database, PostgresDatabase):
        await database.listen()
    yield database
    await database.close()


@pytest.fixture(params=["files", "objects"])
def spools(request: pytest.FixtureRequest, tmp_path: Path) -> SpoolHouse:
    """Each kind of spool in turn, with small contents of at most 1000 octets."""
    if request.param == "files":
        return FileHouse(FileSpool(tmp_path / "spool", inline_limit=1000))
    bucket: Bucket = request.getfixturevalue("bucket")
    spool = bucket.spool(tmp_path)
    spool._inline_limit = 1000
    return ObjectHouse(spool, bucket)


@pytest.fixture
def new_message() -> Callable[..., NewMessage]:
    return partial(make_message, NOW, http_headers=(("SOAPAction", '"ebXML"'),))


@pytest.fixture
def reception(new_message: Callable[..., NewMessage]) -> Callable[..., Reception]:
    def make(message_id: str = "m1@dso", **changes: Any) -> Reception:
        values: dict[str, Any] = {
            "message": new_message(message_id=message_id),
            "payloads": (NewPayload(Content(2, "ab" * 32, b"hi"), "p1", "text/xml"),),
            "content_digest": "d1",
            "keep_until": NOW + timedelta(days=5),
            "eliminate_duplicates": True,
            "response": new_message(
                direction=Direction.OUT,
                kind=MessageKind.ACKNOWLEDGMENT,
                message_id=f"ack-{message_id}",
                ref_to_message_id=message_id,
                envelope=b"<Acknowledgment/>",
            ),
            "route": NewJob("route", "dso"),
        }
        return Reception(**(values | changes))

    return make
