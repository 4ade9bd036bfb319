# SPDX-License-Identifier: EUPL-1.2

"""A way to a server that speaks HTTP, on which each request is counted, and may meet trouble."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_OF_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Trouble(StrEnum):
    """What becomes of one request."""

    REFUSED = "answered 503, and never passed on"
    DENIED = "answered 400, and never passed on"
    LOST = "the connection breaks before it is passed on"
    FAILED = "done, and answered 500"
    CUT = "done, and the connection breaks in the middle of the answer"
    SLOW = "done, and answered when nobody waits any more"
    KILLED = "the one who asks is killed before it is passed on"
    KILLED_AFTER = "done, and the one who asks is killed before the answer"


UNDONE = {Trouble.REFUSED, Trouble.LOST}
TROUBLES = (Trouble.REFUSED, Trouble.LOST, Trouble.FAILED, Trouble.CUT, Trouble.SLOW)
"""What passes when it is tried again, and of that what was not done."""


class Way:
    """Passes requests on to `target`; those with a number in `troubles`, counted from 1 in `asked`, meet trouble.

    `kill` ends the one who asks; `slowness` is for how long nobody waits, in seconds.
    """

    def __init__(self, slowness: float) -> None:
        self.target = ""
        self.url = ""
        self.troubles: dict[int, Trouble] = {}
        self.asked: list[str] = []
        self.kill: Callable[[], Awaitable[None]] | None = None
        self._slowness = slowness

    def expect(self, troubles: dict[int, Trouble] | None = None) -> None:
        """Count from here, with these troubles to come."""
        self.asked, self.troubles = [], dict(troubles or {})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Listen on loopback while the block lasts."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        trouble = self.troubles.pop(len(self.asked), None)
        body = await request.read()
        if trouble in {Trouble.REFUSED, Trouble.DENIED}:
            return web.Response(status=503 if trouble is Trouble.REFUSED else 400)
        if trouble is Trouble.LOST:
            return _cut(request)
        if trouble is Trouble.KILLED:
            return await self._killed(request)
        response = await self._pass_on(request, body)
        if trouble is Trouble.FAILED:
            return web.Response(status=500)
        if trouble is Trouble.CUT:
            return await _in_half(request, response)
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self._slowness)
            return _cut(request)
        if trouble is Trouble.KILLED_AFTER:
            return await self._killed(request)
        return response

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        length = request.content_length
        headers = CIMultiDict(
            (name, value) for name, value in request.headers.items() if name.lower() not in _OF_CONNECTION
        )
        async with self._session.request(
            request.method,
            URL(f"{self.target}{request.raw_path}", encoded=True),
            headers=headers,
            data=body if length is not None or not request.body_exists else _chunked(body),
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as answer:
            kept = _OF_CONNECTION - ({"content-length"} if request.method == "HEAD" else set())
            said = CIMultiDict(
                (name, value) for name, value in answer.headers.items() if name.lower() not in kept
            )
            return web.Response(status=answer.status, headers=said, body=await answer.read())

    async def _killed(self, request: web.Request) -> web.Response:
        assert self.kill is not None
        await self.kill()
        return _cut(request)


async def _chunked(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _in_half(request: web.Request, response: web.Response) -> web.StreamResponse:
    whole = response.body if isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers={"Content-Length": str(len(whole) + 10)})
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2])
    _cut(request)
    return half
