# SPDX-License-Identifier: EUPL-1.2

"""A way to PostgreSQL that is cut when a commit passes."""

import asyncio
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

from tests.forwarding import CHUNK, Connection, Forwarder

COMMIT = b"COMMIT;"


class Cut(Enum):
    """When the connection is cut: never, instead of the commit, or after it was done but before its answer."""

    NEVER = auto()
    BEFORE = auto()
    AFTER = auto()


class Proxy(Forwarder):
    """Forwards connections to a server."""

    def __init__(self, url: str):
        self._parts = urlsplit(url)
        super().__init__(self._parts.hostname or "", self._parts.port or 0)
        self.cut = Cut.NEVER
        self.commits = 0

    @property
    def url(self) -> str:
        login = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def decide(self) -> Cut:
        """What to do with the commit that passes now."""
        return self.cut

    async def passes(self, data: bytes, connection: Connection) -> bool:
        if COMMIT in data:
            self.commits += 1
            cut = self.decide()
            if cut is Cut.BEFORE:
                return False
            if cut is Cut.AFTER:
                connection.back.cancel()
                await asyncio.wait((connection.back,))
                connection.server.write(data)
                await connection.answers.read(CHUNK)  # it was done
                return False
        return await super().passes(data, connection)
