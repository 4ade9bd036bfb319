# SPDX-License-Identifier: EUPL-1.2

"""A DSO-LV whose API Verzoek afhandelen misbehaves as it is told, request by request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from adapter.simulator import VerzoekAfhandelenApi

Misbehaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Script:
    """What the next requests get instead of an answer, by verzoeknummer and how the path ends; each once."""

    waiting: dict[tuple[str, str], Misbehaviour] = field(default_factory=dict)

    def add(self, verzoeknummer: str, ends: str, misbehaviour: Misbehaviour) -> None:
        self.waiting[verzoeknummer, ends] = misbehaviour

    def take(self, path: str) -> Misbehaviour | None:
        for verzoeknummer, ends in self.waiting:
            if f"/{verzoeknummer}" in path and path.endswith(ends):
                return self.waiting.pop((verzoeknummer, ends))
        return None


class FaultyApi(VerzoekAfhandelenApi):
    """The API with a script."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script

    def application(self) -> web.Application:
        app = super().application()

        @web.middleware
        async def misbehave(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            misbehaviour = self.script.take(request.path)
            return await (misbehaviour or handler)(request)

        app.middlewares.append(misbehave)
        return app


def answer(status: int, body: bytes = b"", **headers: str) -> Misbehaviour:
    """A whole answer."""

    async def give(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return give


def announcing(size: int, body: bytes) -> Misbehaviour:
    """An answer whose Content-Length is not that of its body; the connection ends behind it."""

    async def give(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: {size}\r\n\r\n"
        request.transport.write(head.encode() + body)
        request.transport.close()
        return web.Response()

    return give


async def hang(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def die(request: web.Request) -> web.StreamResponse:
    """Break the connection before there is an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    """Begin to answer, and stop in the middle without ending."""
    response = web.StreamResponse(headers={"Content-Type": "application/pdf", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"%PDF")
    await asyncio.Event().wait()
    raise AssertionError


async def name_no_document(request: web.Request) -> web.StreamResponse:
    """References in which the documents are not there yet."""
    links = {"verzoek": {"href": f"{request.url}/xml"}}
    return web.json_response({"_links": links}, content_type="application/hal+json")
