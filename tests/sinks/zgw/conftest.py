# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.zgw.fake import FakeZgw, unjudged
from tests.sinks.zgw.house import furnish, schema_errors, table

SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "zgw" / "request-schemas.json"


@pytest.fixture(scope="session")
def judge() -> Any:
    """What judges request bodies: the schemas of the standard, where they stand beside the repository."""
    return schema_errors(SCHEMAS) if SCHEMAS.is_file() else unjudged


@pytest.fixture
async def zgw(tmp_path: Path, judge: Any) -> AsyncIterator[FakeZgw]:
    directory = tmp_path / "content"
    directory.mkdir()
    async with FakeZgw(directory, validate=judge).serving() as fake:
        furnish(fake)
        yield fake


@pytest.fixture
def raw(zgw: FakeZgw, tmp_path: Path) -> dict[str, Any]:
    return table(zgw, tmp_path)
