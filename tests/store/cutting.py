"""A way to PostgreSQL that is cut when a commit passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"COMMIT;"


class Cut(Enum):
    """When the connection is cut: never, instead of the commit, or after it was done but before its answer."""

    NEVER = auto()
    BEFORE = auto()
    AFTER = auto()


class Proxy:
    """Forwards connections to a server."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._parts = parts
        self.url = ""
        self.cut = Cut.NEVER
        self.commits = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self) -> Cut:
        """What to do with the commit that passes now."""
        return self.cut

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        answers = asyncio.create_task(_pump(server_reader, writer))
        try:
            while data := await reader.read(65536):
                if COMMIT in data:
                    self.commits += 1
                    cut = self.decide()
                    if cut is Cut.BEFORE:
                        return
                    if cut is Cut.AFTER:
                        answers.cancel()
                        await asyncio.wait((answers,))
                        server_writer.write(data)
                        await server_reader.read(65536)  # it was done
                        return
                server_writer.write(data)
        finally:
            answers.cancel()
            writer.transport.abort()
            server_writer.transport.abort()
            self._tasks.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
