# SPDX-License-Identifier: EUPL-1.2

"""A partner that takes connections and then says nothing, not even in the handshake."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def silent_partner(port: int, connections: int = 4) -> AsyncIterator[asyncio.Event]:
    """Listen, while the context lasts; the event is set when so many connections are open."""
    opened: list[asyncio.StreamWriter] = []
    busy = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        if len(opened) >= connections:
            busy.set()
        with suppress(ConnectionError):
            await reader.read()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", port)
    try:
        yield busy
    finally:
        server.close()
        for writer in opened:
            writer.transport.abort()
