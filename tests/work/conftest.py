# SPDX-License-Identifier: EUPL-1.2

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import Database, migrate, open_database

TIMEOUT = 20


class FakeClock:
    """A clock that stands still until it is moved; moving it wakes who waits for the database."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.db: Database | None = None

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by
        if self.db is not None:
            self.db.changes.announce()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The database that the test runs on: each in turn."""
    return "sqlite" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def db(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Database]:
    migrate(url, tmp_path)
    database = open_database(url, tmp_path, exclusive=True)
    clock.db = database
    yield database
    await database.close()


@pytest.fixture
def until(db: Database) -> "Callable[[Callable[[], bool]], object]":
    async def wait(condition: Callable[[], object]) -> None:
        """Look again after every change of the store, until the condition holds."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                seen = db.changes.count
                result = condition()
                if asyncio.iscoroutine(result):
                    result = await result
                if result:
                    return
                await db.wait_for_change(0.05, since=seen)

    return wait
