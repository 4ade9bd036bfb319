# SPDX-License-Identifier: EUPL-1.2

"""Octets straight onto a connection to the endpoint for partners, as no well-behaved client writes them."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapter.pki import client_context
from tests.msh.house import PATIENCE, House, Request, wrap

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def connected(house: House) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of DSO-LV, with its certificate."""
    context = client_context(house.keys["dso"], house.world.trust)
    reader, writer = await asyncio.open_connection(
        "localhost", house.world.ports.adapter, ssl=context, server_hostname="localhost"
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answers(house: House, *octets: bytes) -> list[int]:
    """Send octets, and return the status of every answer until the endpoint hangs up."""
    async with connected(house) as (reader, writer):
        for piece in octets:
            writer.write(piece)
        return statuses(await until_closed(reader))


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the endpoint closes the connection, which it must."""
    received = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while chunk := await reader.read(65536):
                received += chunk
        except ConnectionError:
            pass  # it hung up on what was still being sent
    return received


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d+) ", received, re.MULTILINE)]


def head(*headers: str | bytes, close: bool = True) -> bytes:
    """The head of a request of an ebMS message; `headers` are written as they are."""
    lines = [b"POST /ebms HTTP/1.1", b"Host: localhost", b'SOAPAction: "ebXML"']
    lines += [b"Connection: close"] if close else []
    lines += [line if isinstance(line, bytes) else line.encode() for line in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def message(house: House) -> Request:
    """A message that would be accepted."""
    return wrap(house.draft().make())


def typed(request: Request) -> str:
    return f"Content-Type: {request.headers['Content-Type']}"
