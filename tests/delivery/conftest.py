# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.store import Database, FileSpool, Spool, migrate, open_database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    migrate("sqlite", tmp_path)
    database = open_database("sqlite", tmp_path, exclusive=True)
    yield database
    await database.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return FileSpool(tmp_path / "spool", inline_limit=64)
