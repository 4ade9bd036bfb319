# SPDX-License-Identifier: EUPL-1.2

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.net import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    ForbiddenHost,
    HttpClient,
    NetProblem,
    RedirectRefused,
    TimedOut,
    Timeouts,
    TlsFailed,
    UnusableResponse,
    WrongServer,
)
from adapter.pki import KeyPair, ThrowawayPki, TrustStore, oin_of, peer_certificate, server_context

SERVER, CLIENT = "00000001001100415000", "00000003123456780000"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
QUICK = Timeouts(timedelta(seconds=5), timedelta(milliseconds=200), timedelta(seconds=5))

Start = Callable[..., Awaitable[Any]]


@pytest.fixture
async def plain(trust: TrustStore) -> AsyncIterator[HttpClient]:
    async with HttpClient(None, trust, timeouts=QUICK, allow_plain=True) as client:
        yield client


async def ask(client: HttpClient, url: str, limit: int = 1000, **options: Any) -> bytes:
    async with client.request(options.pop("method", "GET"), url, **options) as response:
        return await response.read(limit)


async def test_a_request_carries_headers_and_body_and_gives_status_and_headers(
    client_keys: KeyPair, trust: TrustStore, tls: ssl.SSLContext
) -> None:
    async def echo(request: web.Request) -> web.Response:
        assert request.transport is not None
        certificate = peer_certificate(request.transport.get_extra_info("ssl_object"))
        assert certificate is not None
        answer = {"X-Oin": str(oin_of(certificate)), "X-Soap": request.headers["SOAPAction"]}
        return web.Response(status=418, body=await request.read(), headers=answer)

    app = web.Application()
    app.router.add_post("/a b", echo)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=tls)
    try:
        oins = frozenset({SERVER})
        async with (
            HttpClient(client_keys, trust, oins, frozenset({"LOCALHOST"})) as client,
            client.request(
                "POST",
                f"https://localhost:{server.port}/a%20b?q=1",
                headers={"SOAPAction": '"ebXML"'},
                data=b"body",
            ) as response,
        ):
            assert response.status == 418
            assert response.headers["x-oin"] == CLIENT
            assert response.headers["x-soap"] == '"ebXML"'
            assert await response.read(4) == b"body"
    finally:
        await server.close()


async def test_a_body_is_streamed_both_ways(plain: HttpClient) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 10_000

    app = web.Application(client_max_size=0)
    app.router.add_put("/", echo)
    async with (
        TestServer(app) as server,
        plain.request("PUT", str(server.make_url("/")), data=pieces()) as answer,
    ):
        sizes = [len(chunk) async for chunk in answer.iter_chunks(4096)]
    assert sum(sizes) == 500_000
    assert max(sizes) <= 4096


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_large_body_has_its_length(plain: HttpClient, streamed: bool) -> None:
    async def count(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.content_length} {len(await request.read())}")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(1_000_000)

    app = web.Application(client_max_size=4_000_000)
    app.router.add_post("/", count)
    async with TestServer(app) as server:
        options: dict[str, Any] = {"data": bytes(3_000_000)}
        if streamed:
            options = {"data": pieces(), "headers": {"Content-Length": "3000000"}}
        assert await ask(plain, str(server.make_url("/")), method="POST", **options) == b"3000000 3000000"


async def test_no_byte_of_a_request_reaches_a_server_with_another_oin(
    client_keys: KeyPair, trust: TrustStore, tls: ssl.SSLContext, start: Start
) -> None:
    server = await start(OK, tls)
    async with HttpClient(client_keys, trust, frozenset({CLIENT})) as client:
        with pytest.raises(WrongServer, match=f"has OIN {SERVER}, expected {CLIENT}") as caught:
            await ask(client, f"https://localhost:{server.port}/", method="POST", data=b"secret")
    await asyncio.wait_for(server.ended.wait(), 5)
    assert server.connections == 1
    assert server.received == b""
    assert (caught.value.temporary, caught.value.sent) == (False, False)


async def test_a_server_without_oin_is_the_wrong_one(
    pki: ThrowawayPki, trust: TrustStore, start: Start, tmp_path: Path
) -> None:
    server = await start(OK, server_context(pki.issue("Leeg", None).key_pair(tmp_path, "leeg"), None))
    async with HttpClient(None, trust, frozenset({SERVER})) as client:
        with pytest.raises(WrongServer, match="has no OIN"):
            await ask(client, f"https://localhost:{server.port}/")
    await asyncio.wait_for(server.ended.wait(), 5)
    assert server.received == b""


async def test_an_empty_list_of_oins_accepts_no_server(
    client_keys: KeyPair, trust: TrustStore, tls: ssl.SSLContext, start: Start
) -> None:
    server = await start(OK, tls)
    async with HttpClient(client_keys, trust, frozenset()) as client:
        with pytest.raises(WrongServer):
            await ask(client, f"https://localhost:{server.port}/")
    assert server.received == b""


async def test_no_byte_reaches_a_server_whose_certificate_has_another_name(
    pki: ThrowawayPki, trust: TrustStore, start: Start, tmp_path: Path
) -> None:
    keys = pki.issue("Server", SERVER, hosts=("elders.example",)).key_pair(tmp_path, "elders")
    server = await start(OK, server_context(keys, None))
    async with HttpClient(None, trust, frozenset({SERVER})) as client:
        with pytest.raises(TlsFailed, match=r"(?i)hostname mismatch") as caught:
            await ask(client, f"https://localhost:{server.port}/", method="POST", data=b"secret")
    assert server.received == b""
    assert not caught.value.sent


async def test_no_byte_reaches_a_server_of_another_root(
    trust: TrustStore, start: Start, tmp_path: Path
) -> None:
    keys = ThrowawayPki().issue("Server", SERVER).key_pair(tmp_path, "vals")
    server = await start(OK, server_context(keys, None))
    async with HttpClient(None, trust, frozenset({SERVER})) as client:
        with pytest.raises(TlsFailed):
            await ask(client, f"https://localhost:{server.port}/", method="POST", data=b"secret")
    assert server.received == b""


async def test_a_server_that_refuses_our_certificate_is_a_tls_problem(
    trust: TrustStore, tls: ssl.SSLContext, start: Start
) -> None:
    server = await start(OK, tls)
    async with HttpClient(None, trust, frozenset({SERVER})) as client:
        with pytest.raises((TlsFailed, ConnectionLost)):
            await ask(client, f"https://localhost:{server.port}/", method="POST", data=b"secret")
    assert server.received == b""


async def test_a_connection_is_used_again(
    client_keys: KeyPair, trust: TrustStore, tls: ssl.SSLContext, start: Start
) -> None:
    server = await start(OK, tls, keep=True)
    async with HttpClient(client_keys, trust, frozenset({SERVER})) as client:
        for _ in range(3):
            assert await ask(client, f"https://localhost:{server.port}/") == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(plain: HttpClient, start: Start, status: int) -> None:
    elsewhere = await start(OK)
    place = f"http://127.0.0.1:{elsewhere.port}/"
    server = await start(f"HTTP/1.1 {status} Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(RedirectRefused, match=f"answers {status}, to '{place}'") as caught:
        await ask(plain, f"http://127.0.0.1:{server.port}/")
    assert elsewhere.connections == 0
    assert not caught.value.temporary


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "x"])
async def test_a_compressed_body_is_refused(plain: HttpClient, start: Start, encoding: str) -> None:
    server = await start(
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\nok".encode()
    )
    with pytest.raises(UnusableResponse, match="is compressed"):
        await ask(plain, f"http://127.0.0.1:{server.port}/")
    assert b"Accept-Encoding: identity\r\n" in server.received
    assert b"gzip" not in server.received


async def test_a_host_that_is_not_allowed_is_not_connected_to(trust: TrustStore, start: Start) -> None:
    server = await start(OK)
    async with HttpClient(None, trust, None, frozenset({"dso.example"}), allow_plain=True) as client:
        for host in ("127.0.0.1", "localhost", "dso.example.127.0.0.1.nip.io"):
            with pytest.raises(ForbiddenHost, match=r"not among the allowed: dso\.example"):
                await ask(client, f"http://{host}:{server.port}/")
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/path",
        "ftp://host/",
        "file:///etc/passwd",
        "https:///x",
        "https://user:pw@host/",
        "https://h:x/",
        "http://[",
    ],
)
async def test_what_is_no_web_address_is_refused(plain: HttpClient, url: str) -> None:
    with pytest.raises(ForbiddenHost, match="is not a web address"):
        await ask(plain, url)


async def test_plain_http_is_refused_unless_allowed(trust: TrustStore, start: Start) -> None:
    server = await start(OK)
    async with HttpClient(None, trust) as client:
        with pytest.raises(ForbiddenHost, match="plain HTTP is not allowed"):
            await ask(client, f"http://127.0.0.1:{server.port}/?token=secret")
    assert server.connections == 0


async def test_a_port_nobody_listens_on_is_a_failed_connection(plain: HttpClient) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed) as caught:
            await ask(plain, f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert (caught.value.temporary, caught.value.sent) == (True, False)


async def test_a_silent_server_is_timed_out(plain: HttpClient, start: Start) -> None:
    server = await start(b"")
    with pytest.raises(TimedOut) as caught:
        await ask(plain, f"http://127.0.0.1:{server.port}/")
    assert caught.value.sent


async def test_a_server_that_stops_halfway_is_timed_out(plain: HttpClient, start: Start) -> None:
    server = await start(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", keep=True)
    with pytest.raises(TimedOut):
        await ask(plain, f"http://127.0.0.1:{server.port}/")


async def test_a_server_that_never_shakes_hands_is_timed_out_unsent(trust: TrustStore, start: Start) -> None:
    server = await start(b"")
    timeouts = Timeouts(connect=timedelta(milliseconds=200))
    async with HttpClient(None, trust, timeouts=timeouts) as client:
        with pytest.raises(ConnectTimedOut) as caught:
            await ask(client, f"https://127.0.0.1:{server.port}/")
    assert not caught.value.sent


async def test_the_whole_exchange_has_a_time_out(trust: TrustStore, start: Start) -> None:
    server = await start(b"")
    timeouts = Timeouts(total=timedelta(milliseconds=200))
    async with HttpClient(None, trust, timeouts=timeouts, allow_plain=True) as client:
        with pytest.raises(TimedOut):
            await ask(client, f"http://127.0.0.1:{server.port}/")


async def test_a_connection_that_breaks_halfway_is_lost(plain: HttpClient, start: Start) -> None:
    server = await start(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    with pytest.raises(ConnectionLost):
        await ask(plain, f"http://127.0.0.1:{server.port}/")


async def test_what_is_not_http_is_unusable(plain: HttpClient, start: Start) -> None:
    server = await start(b"220 mail.example ESMTP\r\n\r\n")
    with pytest.raises(UnusableResponse):
        await ask(plain, f"http://127.0.0.1:{server.port}/")


async def test_a_body_above_the_limit_is_refused(plain: HttpClient, start: Start) -> None:
    server = await start(OK)
    with pytest.raises(UnusableResponse, match="larger than the 1 bytes"):
        await ask(plain, f"http://127.0.0.1:{server.port}/", limit=1)


async def test_of_a_body_that_may_be_anything_only_the_beginning_is_read(
    plain: HttpClient, start: Start
) -> None:
    server = await start(OK)
    async with plain.request("GET", f"http://127.0.0.1:{server.port}/") as response:
        assert await response.read_beginning(1) == b"o"


async def test_what_the_block_raises_passes_unchanged(plain: HttpClient, start: Start) -> None:
    server = await start(OK)
    with pytest.raises(TimeoutError) as caught:
        async with plain.request("GET", f"http://127.0.0.1:{server.port}/"):
            raise TimeoutError("of our own")
    assert not isinstance(caught.value, NetProblem)


async def test_messages_do_not_show_the_query(plain: HttpClient, start: Start) -> None:
    server = await start(b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(RedirectRefused) as caught:
        await ask(plain, f"http://127.0.0.1:{server.port}/a?token=secret")
    assert "secret" not in str(caught.value)


async def test_a_closed_client_cannot_be_used(plain: HttpClient) -> None:
    await plain.close()
    with pytest.raises(RuntimeError, match="closed"):
        await ask(plain, "http://127.0.0.1:1/")
