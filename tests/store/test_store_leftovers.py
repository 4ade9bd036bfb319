# SPDX-License-Identifier: EUPL-1.2

"""What a crash left in the spool is found at start, and removed while messages come in already."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from adapter.store import (
    Content,
    Database,
    NewPayload,
    insert_message,
    remove_leftovers,
)
from adapter.store.files import FileSpool

BIG = 100_000


@pytest.fixture
def spool(state: Path) -> FileSpool:
    return FileSpool(state / "spool")


async def keep(spool: FileSpool) -> Content:
    async with spool.writer() as writer:
        await writer.write(bytes(BIG))
        return await writer.commit()


async def test_what_no_row_names_is_removed_and_what_came_since_is_not(
    db: Database, spool: FileSpool, state: Path, now: datetime, new_message: Callable[..., Any]
) -> None:
    named = await keep(spool)
    await db.write(insert_message, new_message(), None, now, payloads=(NewPayload(named),))
    orphan = await keep(spool)
    (state / "spool" / "incoming" / f"{'ab' * 16}.part").write_bytes(b"half")
    foreign = state / "spool" / "readme"
    foreign.touch()
    names = await spool.names()
    young = await keep(spool)  # received after the start; its row is not there yet
    assert await remove_leftovers(db, spool, names) == 2
    assert [path.exists() for one in (named, orphan, young) if (path := spool.path_of(one))] == [
        True,
        False,
        True,
    ]
    assert list((state / "spool" / "incoming").iterdir()) == []
    assert foreign.exists()


async def test_very_many_files_are_looked_up_in_portions(db: Database, spool: FileSpool, state: Path) -> None:
    shard = state / "spool" / "ab"
    shard.mkdir()
    for number in range(1200):
        (shard / f"ab{number:030x}").touch()
    assert await remove_leftovers(db, spool, await spool.names()) == 1200
    assert list(shard.iterdir()) == []


async def test_an_empty_spool_has_no_leftovers(db: Database, spool: FileSpool, state: Path) -> None:
    assert await remove_leftovers(db, spool, await spool.names()) == 0
