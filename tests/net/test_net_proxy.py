# SPDX-License-Identifier: EUPL-1.2

"""Outgoing requests through a forward proxy: a tunnel, and TLS from end to end through it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from adapter.net import ConnectFailed, HttpClient, NetProblem, WrongServer
from adapter.pki import KeyPair, ThrowawayPki, TrustStore, server_context

OIN = "00000099000000005000"


class Proxy:
    """A forward proxy that knows CONNECT and nothing else, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0
        self.tunnels: set[asyncio.Task[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = asyncio.ensure_future(self._tunnel(reader, writer))
        self.tunnels.add(tunnel)
        await tunnel

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readline()).decode().split()
        while (await reader.readline()).strip():
            pass
        self.asked.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()
        await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError, OSError):
        await writer.wait_closed()


@asynccontextmanager
async def running_proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        async with asyncio.timeout(10):
            await asyncio.gather(*proxy.tunnels)


@asynccontextmanager
async def running_server(keys: KeyPair, trust: TrustStore) -> AsyncIterator[str]:
    async def greet(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(keys, trust))
    await site.start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


async def test_a_request_goes_through_the_tunnel_of_the_proxy(pki: ThrowawayPki, tmp_path: Path) -> None:
    keys, trust = pki.issue("both", OIN).key_pair(tmp_path, "both"), TrustStore([pki.root])
    async with running_proxy() as proxy, running_server(keys, trust) as url:
        client = HttpClient(keys, trust, frozenset({OIN}), proxy=f"http://127.0.0.1:{proxy.port}")
        async with client, client.request("POST", url, data=b"through") as response:
            assert await response.read(100) == b"through"
        assert proxy.asked == [f"CONNECT {url.removeprefix('https://').rstrip('/')}"]


async def test_the_oin_of_the_server_is_checked_through_the_tunnel(pki: ThrowawayPki, tmp_path: Path) -> None:
    keys, trust = pki.issue("both", OIN).key_pair(tmp_path, "both"), TrustStore([pki.root])
    expected = frozenset({"00000099000000006000"})
    async with running_proxy() as proxy, running_server(keys, trust) as url:
        client = HttpClient(keys, trust, expected, proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(WrongServer):
            async with client, client.request("POST", url, data=b"secret"):
                pass


async def test_a_proxy_that_is_not_there_is_a_problem_that_may_pass(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    keys, trust = pki.issue("both", OIN).key_pair(tmp_path, "both"), TrustStore([pki.root])
    async with running_proxy() as proxy:
        gone = proxy.port
    client = HttpClient(keys, trust, proxy=f"http://127.0.0.1:{gone}")
    with pytest.raises(NetProblem) as caught:
        async with client, client.request("POST", "https://localhost:1/", data=b""):
            pass
    assert isinstance(caught.value, ConnectFailed)
    assert caught.value.temporary
