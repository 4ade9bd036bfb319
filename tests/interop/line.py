# SPDX-License-Identifier: EUPL-1.2

"""A line between the two adapters with somebody on it who loses, holds back or repeats what goes over.

It ends the TLS of one side and begins that of the other, with keys that each of them takes for its partner's, and
passes requests and responses on octet for octet.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from aiohttp import ClientSession, TCPConnector, web

from adapter.pki import KeyPair, TrustStore, client_context, server_context

_HEADERS = ("Content-Type", "SOAPAction")
_ACTION = re.compile(rb"<eb:Action>([^<]+)</eb:Action>")


class Trouble(Enum):
    """What happens to a request."""

    REFUSE = auto()
    """It does not arrive: HTTP 503."""

    LOSE_ANSWER = auto()
    """It arrives; the connection breaks before the answer is back."""

    REPEAT = auto()
    """It arrives twice; the answer is that to the second."""

    HOLD = auto()
    """It arrives when `released` is set."""


@dataclass
class Line:
    """A line to the endpoint `target`; without trouble, what comes goes on."""

    target: str
    session: ClientSession
    url: str = ""
    trouble: deque[Trouble] = field(default_factory=deque)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)
    """The action of each request that came."""

    transports: set[asyncio.BaseTransport] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.transports.add(request.transport)
        body = await request.read()
        found = _ACTION.search(body)
        self.seen.append(found[1].decode() if found else "")
        trouble = self.trouble.popleft() if self.trouble else None
        if trouble is Trouble.REFUSE:
            return web.Response(status=503)
        if trouble is Trouble.HOLD:
            await self.released.wait()
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        response = await self._pass_on(headers, body)
        if trouble is Trouble.REPEAT:
            response = await self._pass_on(headers, body)
        if trouble is Trouble.LOSE_ANSWER:
            _break(request.transport)
        return response

    async def _pass_on(self, headers: dict[str, str], body: bytes) -> web.Response:
        async with self.session.post(self.target, headers=headers, data=body) as answer:
            named = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
            return web.Response(status=answer.status, headers=named, body=await answer.read() or None)


def _break(transport: asyncio.BaseTransport) -> None:
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


@asynccontextmanager
async def line_to(target: str, *, shown: KeyPair, used: KeyPair, trust: TrustStore) -> AsyncIterator[Line]:
    """A line to a target, on a port of its own; `shown` is its key as a server, `used` its key as a client."""
    connector = TCPConnector(ssl=client_context(used, trust))
    async with ClientSession(connector=connector) as session:
        line = Line(target, session)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/ebms", line.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(shown, trust))
            await site.start()
            port = runner.addresses[0][1]
            line.url = f"https://localhost:{port}/ebms"
            yield line
        finally:
            for transport in line.transports:
                _break(transport)  # both sides would keep their connections for a while
            await runner.cleanup()
            await asyncio.sleep(0)  # in which a broken connection is closed
