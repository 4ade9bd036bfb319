# SPDX-License-Identifier: EUPL-1.2

"""The way to an S3 server, on which a test can stand."""

from collections.abc import AsyncIterator
from datetime import timedelta
from enum import Enum, auto

import pytest

from adapter.store import buckets
from tests.forwarding import Connection, Forwarder
from tests.s3 import S3Server


class Way(Enum):
    """What happens on the way to the server."""

    OPEN = auto()
    DEAF = auto()
    CUT = auto()


class Road(Forwarder):
    """Forwards connections to the server.

    DEAF: what is sent does not arrive, and nobody says so. CUT: once `length` octets have passed, every connection
    breaks.
    """

    def __init__(self, server: S3Server):
        super().__init__("127.0.0.1", server.port)
        self.way = Way.OPEN
        self.length = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def passes(self, data: bytes, connection: Connection) -> bool:
        self.length -= len(data)
        if self.way is Way.CUT and self.length < 0:
            return False
        return True if self.way is Way.DEAF else await super().passes(data, connection)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of half a minute before a request is given up."""
    monkeypatch.setattr(buckets, "_REQUEST", timedelta(seconds=1))
    monkeypatch.setitem(buckets._RETRIES, "retry_timeout", timedelta(milliseconds=500))


@pytest.fixture
async def road(s3_server: S3Server) -> AsyncIterator[Road]:
    async with Road(s3_server).running() as road:
        yield road
