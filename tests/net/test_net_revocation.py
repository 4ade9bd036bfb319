# SPDX-License-Identifier: EUPL-1.2

"""The chain of a server is judged before a request is written."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.net import HttpClient, TlsFailed
from adapter.pki import (
    Chain,
    Crls,
    IssuedCertificate,
    KeyPair,
    Layer,
    Revocation,
    RevocationMode,
    ThrowawayPki,
    TrustStore,
    read_crl,
    server_context,
)

SERVER = "00000001001100415000"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Start = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
def server(pki: ThrowawayPki) -> IssuedCertificate:
    return pki.issue("Server", SERVER)


@pytest.fixture
def tls(server: IssuedCertificate, trust: TrustStore, tmp_path: Path) -> ssl.SSLContext:
    return server_context(server.key_pair(tmp_path, "server"), trust)


@pytest.fixture
def revocation(pki: ThrowawayPki) -> Revocation:
    return Revocation(RevocationMode.HARD, Crls(), lambda: pki.now)


@pytest.fixture
async def client(
    client_keys: KeyPair, trust: TrustStore, revocation: Revocation
) -> AsyncIterator[HttpClient]:
    async with HttpClient(client_keys, trust, frozenset({SERVER}), revocation=revocation) as client:
        yield client


def take(pki: ThrowawayPki, crls: Crls, layer: Layer, *revoked: Any) -> None:
    octets = pki.crl(layer, revoked)
    crls.take(read_crl(octets, [pki.root, pki.domain, pki.intermediate], pki.now), octets)


def take_all(pki: ThrowawayPki, crls: Crls) -> None:
    for layer in Layer:
        take(pki, crls, layer)


async def post(client: HttpClient, port: int) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"secret"

    async with client.request("POST", f"https://localhost:{port}/", data=pieces()) as response:
        return await response.read(100)


async def test_a_server_whose_chain_holds_is_asked(
    pki: ThrowawayPki, tls: ssl.SSLContext, start: Start, client: HttpClient, revocation: Revocation
) -> None:
    take_all(pki, revocation.crls)
    assert await post(client, (await start(OK, tls)).port) == b"ok"


@pytest.mark.parametrize("layer", [Layer.TSP, Layer.DOMAIN])
async def test_no_byte_reaches_a_server_whose_certificate_or_authority_was_revoked(
    pki: ThrowawayPki,
    server: IssuedCertificate,
    tls: ssl.SSLContext,
    start: Start,
    client: HttpClient,
    revocation: Revocation,
    layer: Layer,
) -> None:
    take_all(pki, revocation.crls)
    take(pki, revocation.crls, layer, server.certificate if layer is Layer.TSP else pki.intermediate)
    there = await start(OK, tls)
    with pytest.raises(TlsFailed, match="certificate_revoked") as caught:
        await post(client, there.port)
    await asyncio.wait_for(there.ended.wait(), 5)
    assert there.received == b""
    assert (caught.value.temporary, caught.value.sent) == (True, False)


async def test_without_a_list_no_byte_is_sent(tls: ssl.SSLContext, start: Start, client: HttpClient) -> None:
    there = await start(OK, tls)
    with pytest.raises(TlsFailed, match="crl_missing"):
        await post(client, there.port)
    await asyncio.wait_for(there.ended.wait(), 5)
    assert there.received == b""


async def test_a_missing_list_is_fetched_and_the_request_goes_on(
    pki: ThrowawayPki, tls: ssl.SSLContext, start: Start, client: HttpClient, revocation: Revocation
) -> None:
    async def obtain(_: Chain) -> bool:
        take_all(pki, revocation.crls)
        return True

    revocation.obtain = obtain
    there = await start(OK, tls)
    assert await post(client, there.port) == b"ok"
    assert there.connections == 2


async def test_a_client_that_asks_for_no_oin_looks_at_revocation_too(
    trust: TrustStore, tls: ssl.SSLContext, start: Start, revocation: Revocation, client_keys: KeyPair
) -> None:
    there = await start(OK, tls)
    async with HttpClient(client_keys, trust, revocation=revocation) as client:
        with pytest.raises(TlsFailed, match="crl_missing"):
            await post(client, there.port)
    assert there.received == b""
