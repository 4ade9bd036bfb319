# SPDX-License-Identifier: EUPL-1.2

import asyncio

import pytest

from tests.docs.walking import Line, run_walks
from tests.postgresql import Server


@pytest.fixture(scope="session")
def walks(tmp_path_factory: pytest.TempPathFactory, postgresql: Server) -> dict[str, list[Line]]:
    """What the daemon wrote in each of the walks."""
    return asyncio.run(run_walks(tmp_path_factory.mktemp("walks"), postgresql))
