# SPDX-License-Identifier: EUPL-1.2

"""A server of revocation lists, which can misbehave in the ways a server on the internet does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography import x509

from adapter.pki import Layer, ThrowawayPki

Misdeed = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class CrlServer:
    """Serves by path; `asked` counts the requests for each."""

    url: str = ""
    lists: dict[str, bytes] = field(default_factory=dict)
    misdeeds: dict[str, Misdeed] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def serve(
        self,
        pki: ThrowawayPki,
        layers: Iterable[Layer] = Layer,
        revoked: Iterable[x509.Certificate] = (),
        *,
        below: str = "",
        **options: Any,
    ) -> None:
        """Have the lists of some layers, with these certificates in each, `below` a path."""
        for layer in layers:
            self.lists[f"{below}/{layer}.crl"] = pki.crl(layer, revoked, **options)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        # through a proxy the whole address stands in the request
        path = request.url.path
        self.asked[path] += 1
        await self.gate.wait()
        if path in self.misdeeds:
            return await self.misdeeds[path](request)
        if path not in self.lists:
            return web.Response(status=404)
        return web.Response(body=self.lists[path], content_type="application/pkix-crl")


@asynccontextmanager
async def crl_server(port: int = 0) -> AsyncIterator[CrlServer]:
    """A server on loopback, at any free port or a given one."""
    server = CrlServer()
    server.gate.set()
    runner = web.AppRunner(_application(server), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()


def _application(server: CrlServer) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    return app


async def drip(request: web.Request) -> web.StreamResponse:
    """Begin, and never end."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"\x30")
    await asyncio.Event().wait()
    return response


async def flood(request: web.Request) -> web.StreamResponse:
    """More than anybody asked for, without saying how much."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(64 * 1024))


async def to_a_file(_: web.Request) -> web.StreamResponse:
    """Elsewhere, as a file of the machine that asks."""
    return web.Response(status=302, headers={"Location": "file:///etc/passwd"})


async def maintenance(_: web.Request) -> web.StreamResponse:
    """A page for people."""
    return web.Response(text="<html><body>Onderhoud</body></html>", content_type="text/html")


async def breakdown(_: web.Request) -> web.StreamResponse:
    """An error of the server."""
    return web.Response(status=503)


async def compressed(_: web.Request) -> web.StreamResponse:
    """Something that would grow."""
    return web.Response(body=b"\x1f\x8b" + bytes(100), headers={"Content-Encoding": "gzip"})
