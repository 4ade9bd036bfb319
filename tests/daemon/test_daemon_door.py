# SPDX-License-Identifier: EUPL-1.2

"""The door of a listener: who is let in, who is turned away, and that nobody is counted for ever."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.config import Listen
from adapter.daemon.door import Doorkeeper, open_doors
from adapter.observe import Metrics
from adapter.pki import ThrowawayPki, TrustStore, load_key_pair, server_context
from tests.e2e.conftest import until

LIMIT = 3

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def keeper(metrics: Metrics) -> Doorkeeper:
    return Doorkeeper(
        LIMIT,
        metrics.connections.labels(listener="ebms"),
        metrics.connections_turned_away_total.labels(listener="ebms"),
    )


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def listening(keeper: Doorkeeper, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    (door,) = await open_doors(Listen("127.0.0.1", 0), keeper)
    port = int(door.getsockname()[1])
    server = await asyncio.start_server(echo, sock=door, ssl=context)
    try:
        yield port
        await until(has(keeper, 0))
    finally:
        server.close()


async def knock(port: int) -> Connection:
    return await asyncio.open_connection("127.0.0.1", port)


async def is_served(connection: Connection) -> bool:
    reader, writer = connection
    try:
        writer.write(b"hello")
        return await reader.read(100) == b"hello"
    except ConnectionError:
        return False


def has(keeper: Doorkeeper, number: int) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def reached() -> bool:
        return keeper.inside == number

    return reached


async def leave(*connections: Connection) -> None:
    for _, writer in connections:
        writer.close()


async def test_one_more_than_there_is_room_for_is_turned_away(keeper: Doorkeeper, metrics: Metrics) -> None:
    async with listening(keeper) as port:
        guests = [await knock(port) for _ in range(LIMIT)]
        assert [await is_served(guest) for guest in guests] == [True] * LIMIT
        late = await knock(port)
        assert not await is_served(late)
        assert b"connections_turned_away_total" in metrics.render()
        assert metrics.registry.get_sample_value("stam_adapter_connections", {"listener": "ebms"}) == LIMIT
        await leave(*guests, late)


async def test_when_one_leaves_another_is_let_in(keeper: Doorkeeper) -> None:
    async with listening(keeper) as port:
        guests = [await knock(port) for _ in range(LIMIT)]
        assert [await is_served(guest) for guest in guests] == [True] * LIMIT
        await leave(guests.pop())
        await until(has(keeper, LIMIT - 1))
        guests.append(await knock(port))
        assert await is_served(guests[-1])
        await leave(*guests)


async def test_a_tls_handshake_that_fails_counts_no_longer(keeper: Doorkeeper, tmp_path: Path) -> None:
    pki = ThrowawayPki()
    keys = load_key_pair(*pki.issue("localhost", None, key_size=2048).write(tmp_path, "server"))
    async with listening(keeper, server_context(keys, TrustStore([pki.root]))) as port:
        silent = [await knock(port) for _ in range(LIMIT)]
        await until(has(keeper, LIMIT))
        for _, writer in silent:
            writer.write(b"this is no TLS\r\n\r\n")
        await until(has(keeper, 0))
        await leave(*silent)


async def test_a_port_that_is_taken_is_an_error(keeper: Doorkeeper) -> None:
    async with listening(keeper) as port:
        with pytest.raises(OSError, match="in use"):
            await open_doors(Listen("127.0.0.1", port), keeper)


async def test_a_name_that_stands_for_several_addresses_gets_several_doors(keeper: Doorkeeper) -> None:
    doors = await open_doors(Listen("localhost", 0), keeper)
    assert doors
    for door in doors:
        door.close()


async def test_being_full_is_one_line_in_the_log(
    keeper: Doorkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(keeper) as port:
        guests = [await knock(port) for _ in range(LIMIT)]
        assert [await is_served(guest) for guest in guests] == [True] * LIMIT
        for _ in range(5):
            late = await knock(port)
            assert not await is_served(late)
            await leave(late)
        await leave(*guests)
    shown = capsys.readouterr().out
    assert shown.count("connections.full") == 1
    assert shown.count("connections.taken") == 1
