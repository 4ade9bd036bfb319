# SPDX-License-Identifier: EUPL-1.2

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapter.pki import KeyPair, ThrowawayPki, TrustStore, server_context

SERVER, CLIENT = "00000001001100415000", "00000003123456780000"


@dataclass
class RawServer:
    """A server that keeps every octet it receives and answers with given octets."""

    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


Start = Callable[..., Awaitable[RawServer]]


@pytest.fixture(scope="session")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture
def trust(pki: ThrowawayPki) -> TrustStore:
    return TrustStore([pki.root])


@pytest.fixture
def client_keys(pki: ThrowawayPki, tmp_path: Path) -> KeyPair:
    return pki.issue("Client", CLIENT).key_pair(tmp_path, "client")


@pytest.fixture
def tls(pki: ThrowawayPki, trust: TrustStore, tmp_path: Path) -> ssl.SSLContext:
    return server_context(pki.issue("Server", SERVER).key_pair(tmp_path, "server"), trust)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start raw servers on loopback; ``keep`` leaves the connection open after the answer."""
    async with contextlib.AsyncExitStack() as stack:

        async def start_server(
            answer: bytes, context: ssl.SSLContext | None = None, *, keep: bool = False
        ) -> RawServer:
            state = RawServer()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                state.connections += 1
                with contextlib.suppress(OSError):
                    while data := await reader.read(65536):
                        state.received += data
                        if answer:
                            writer.write(answer)
                            await writer.drain()
                        if answer and not keep:
                            break
                writer.close()
                state.ended.set()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            state.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
            return state

        yield start_server
