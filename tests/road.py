"""The way to an S3 server, on which a test can stand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum, auto

import pytest

from adapter.store import payloads
from tests.s3 import S3Server


class Way(Enum):
    """What happens on the way to the server."""

    OPEN = auto()
    DEAF = auto()
    CUT = auto()


class Road:
    """Forwards connections to the server.

    DEAF: what is sent does not arrive, and nobody says so. CUT: once `length` octets have passed, every connection
    breaks.
    """

    def __init__(self, server: S3Server):
        self._server = server
        self.way = Way.OPEN
        self.length = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Road"]:
        listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
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
        there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        answers = asyncio.create_task(self._answer(there, writer))
        try:
            while data := await reader.read(65536):
                self.length -= len(data)
                if self.way is Way.CUT and self.length < 0:
                    return
                if self.way is not Way.DEAF:
                    back.write(data)
                    await back.drain()
        except ConnectionError:
            pass  # the client left
        finally:
            answers.cancel()
            writer.transport.abort()
            back.transport.abort()
            self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of half a minute before a request is given up."""
    monkeypatch.setattr(payloads, "_REQUEST", timedelta(seconds=1))
    monkeypatch.setitem(payloads._RETRIES, "retry_timeout", timedelta(milliseconds=500))


@pytest.fixture
async def road(s3_server: S3Server) -> AsyncIterator[Road]:
    async with Road(s3_server).running() as road:
        yield road
