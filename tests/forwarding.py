# SPDX-License-Identifier: EUPL-1.2

"""A way to a server on which a test can stand: it forwards connections, and decides what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection on its way: where the server answers, where it is written to, and who brings the answers back."""

    answers: asyncio.StreamReader
    server: asyncio.StreamWriter
    back: asyncio.Task[None]


class Forwarder:
    """Forwards connections to a server, from a port of its own."""

    def __init__(self, host: str, port: int):
        self._server = (host, port)
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def passes(self, data: bytes, connection: Connection) -> bool:
        """See to what a client sent; False cuts the connection."""
        connection.server.write(data)
        await connection.server.drain()
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        answers, server = await asyncio.open_connection(*self._server)
        back = asyncio.create_task(_pump(answers, writer))
        connection = Connection(answers, server, back)
        try:
            while (data := await reader.read(CHUNK)) and await self.passes(data, connection):
                pass
        except ConnectionError:
            pass  # the client left
        finally:
            back.cancel()
            writer.transport.abort()
            server.transport.abort()
            self._tasks.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
    writer.close()
