# SPDX-License-Identifier: EUPL-1.2

"""Workers in several processes over one PostgreSQL database."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapter.store import Database, NewJob, add_job, events_for, find_jobs, open_database

SHARING = Path(__file__).with_name("sharing.py")
TIMEOUT = 30
LEASE = 4.0
BOUND = LEASE + 1.0
"""The lease, and how long a worker may take to notice that it ended."""


@dataclass
class Process:
    inner: asyncio.subprocess.Process
    owner: str

    async def kill(self) -> None:
        self.inner.kill()
        await self.inner.wait()


@dataclass
class Host:
    """Starts workers on a database."""

    url: str
    state: Path

    @asynccontextmanager
    async def worker(self, what: str = "work") -> AsyncIterator[Process]:
        pipe = asyncio.subprocess.PIPE
        arguments = (str(SHARING), self.url, str(self.state), str(LEASE), what)
        inner = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
        assert inner.stdout is not None
        owner = (await asyncio.wait_for(inner.stdout.readline(), TIMEOUT)).decode().strip()
        try:
            yield Process(inner, owner)
        finally:
            if inner.returncode is None:
                await asyncio.wait_for(inner.communicate(b"end\n"), TIMEOUT)


@pytest.fixture
def host(postgres_url: str, tmp_path: Path) -> Host:
    return Host(postgres_url, tmp_path)


@pytest.fixture
async def shared_db(host: Host) -> AsyncIterator[Database]:
    database = open_database(host.url, host.state, exclusive=False)
    yield database
    await database.close()


async def until(db: Database, condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            seen = db.changes.count
            if await condition():
                return
            await db.wait_for_change(TIMEOUT, since=seen)


async def runs(db: Database) -> list[dict[str, Any]]:
    return [dict(event.detail) for event in await db.read(events_for, "runs")]


async def add(db: Database, number: int, lane: str = "a", key: str | None = None) -> int:
    return await db.write(add_job, NewJob("x", lane, key), "x", number, datetime.now(UTC))


async def test_two_processes_share_the_jobs_and_run_none_twice(host: Host, shared_db: Database) -> None:
    async with host.worker() as one, host.worker() as other:
        jobs = [
            await add(shared_db, number, f"lane {number % 5}", f"k{number % 7}" if number % 3 else None)
            for number in range(150)
        ]

        async def none_left() -> bool:
            return not await shared_db.read(find_jobs)

        await until(shared_db, none_left)
    ran = await runs(shared_db)
    assert Counter(run["job"] for run in ran) == dict.fromkeys(jobs, 1)
    by_worker = Counter(run["worker"] for run in ran)
    assert by_worker.keys() == {one.owner, other.owner}


async def test_the_jobs_of_a_killed_worker_are_taken_over_within_the_bound(
    host: Host, shared_db: Database
) -> None:
    async with host.worker("hang") as dead:
        jobs = {await add(shared_db, number) for number in range(3)}

        async def all_hang() -> bool:
            return len(await runs(shared_db)) == len(jobs)

        await until(shared_db, all_hang)
        async with host.worker() as other:
            await asyncio.sleep(LEASE)  # more than a lease: what is alive keeps its jobs
            assert len(await runs(shared_db)) == len(jobs)
            await dead.kill()
            killed = asyncio.get_running_loop().time()

            async def none_left() -> bool:
                return not await shared_db.read(find_jobs)

            await until(shared_db, none_left)
            took = asyncio.get_running_loop().time() - killed
    again = (await runs(shared_db))[len(jobs) :]
    assert {(run["job"], run["worker"], run["attempts"]) for run in again} == {
        (job, other.owner, 2) for job in jobs
    }
    assert took <= BOUND


async def test_a_job_made_by_one_process_wakes_the_worker_of_another(host: Host, shared_db: Database) -> None:
    async with host.worker():
        await add(shared_db, 0)

        async def first() -> bool:
            return not await shared_db.read(find_jobs)

        await until(shared_db, first)  # from here it waits for its idle time, which is longer than this test
        started = asyncio.get_running_loop().time()
        await add(shared_db, 1)
        await until(shared_db, first)
        assert asyncio.get_running_loop().time() - started < 5
