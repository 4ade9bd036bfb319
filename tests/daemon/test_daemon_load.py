# SPDX-License-Identifier: EUPL-1.2

"""What the back-pressure is measured by, with each kind of spool."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapter.daemon.load import watch_load
from adapter.msh import Load, Pressure
from adapter.observe import Metrics
from adapter.store import (
    Database,
    FileSpool,
    NewPayload,
    Spool,
    insert_message,
    migrate,
    open_database,
)
from tests.messages import new_message
from tests.s3 import Bucket
from tests.store.spools import put

OCTETS = bytes(300_000)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    migrate("sqlite", tmp_path / "state")
    database = open_database("sqlite", tmp_path / "state", exclusive=True)
    yield database
    await database.close()


async def measured(db: Database, spool: Spool, state: Path, metrics: Metrics) -> Load:
    """The load as it is measured first."""
    pressure = Pressure()
    watching = asyncio.create_task(watch_load(db, spool, state, pressure, metrics))
    async with asyncio.timeout(10):
        while pressure.load.free is None:  # noqa: ASYNC110 - measuring sets no event
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return pressure.load


async def store_message(db: Database, spool: Spool) -> None:
    now = datetime.now(UTC)
    payloads = (
        NewPayload(await put(spool, OCTETS), "large"),
        NewPayload(await put(spool, b"klein"), "small"),
    )
    await db.write(insert_message, new_message(now), None, now, payloads=payloads)


async def test_files_are_measured_on_their_disk(db: Database, tmp_path: Path) -> None:
    class Full(FileSpool):
        async def free(self) -> int:
            return 123

    spool = Full(tmp_path / "spool")
    await store_message(db, spool)
    load = await measured(db, spool, tmp_path, Metrics())
    assert (load.spool, load.free) == (len(OCTETS), 123)


async def test_objects_are_measured_by_the_rows_that_name_them(
    db: Database, bucket: Bucket, tmp_path: Path
) -> None:
    spool, metrics = bucket.spool(tmp_path), Metrics()
    await put(spool, OCTETS)  # an orphan: nobody is kept out for it
    await store_message(db, spool)
    load = await measured(db, spool, tmp_path / "state", metrics)
    assert load.spool == len(OCTETS)
    assert load.free is not None
    assert f"stam_adapter_spool_bytes {float(len(OCTETS))}".encode() in metrics.render()
