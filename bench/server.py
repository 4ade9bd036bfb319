# SPDX-License-Identifier: EUPL-1.2

"""A PostgreSQL server for the run: that of the tests, with everything it commits on disk."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.postgresql import Server, find_binaries, free_port


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """The server, from ready to stopped. Raises NoServer where there are no binaries of one."""
    binaries = find_binaries()
    # not below the directory of the run: the server runs under an account that cannot enter that
    directory = Path(tempfile.mkdtemp(prefix="stam-bench-pg-"))
    server = Server(binaries, directory, free_port())
    try:
        await asyncio.to_thread(server.initialise)
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(shutil.rmtree, directory)
