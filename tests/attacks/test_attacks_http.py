# SPDX-License-Identifier: EUPL-1.2

"""Attacks on the HTTP of the endpoint for partners, by name, over real connections.

Whatever comes, it is answered or hung up on, nothing that stands in one request is taken for another, and nothing is
kept.
"""

import asyncio
import gzip

import pytest

from tests.attacks.wire import (
    SMUGGLED,
    answers,
    connected,
    head,
    message,
    statuses,
    typed,
    until_closed,
)
from tests.msh.bad_input import small
from tests.msh.conftest import Open
from tests.msh.house import House

CHUNKED = "Transfer-Encoding: chunked"


async def assert_refused(house: House, *octets: bytes, status: int = 400) -> None:
    """One answer, then the end of the connection; nothing is kept and nothing broke."""
    assert await answers(house, *octets) == [status]
    assert house.lines("request.failed") == []
    await house.assert_nothing_kept()


# --- what is too much


async def test_a_header_line_of_1_mb(house: House) -> None:
    await assert_refused(house, head("X-Long: " + "x" * 2**20, "Content-Length: 0"))


async def test_a_request_line_of_1_mb(house: House) -> None:
    await assert_refused(house, b"POST /" + b"x" * 2**20 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def test_a_flood_of_headers(house: House) -> None:
    await assert_refused(house, head(*(f"X-{number}: x" for number in range(10_000)), "Content-Length: 0"))


async def test_a_chunk_extension_without_end(open_house: Open) -> None:
    """It is no octet of the body, and so no sending."""
    house = await open_house(**small(read_timeout="300ms"))
    async with connected(house) as (reader, writer):
        writer.write(head(typed(message(house)), CHUNKED) + b"5")
        closed = asyncio.create_task(until_closed(reader))
        while not closed.done():
            writer.write(b";x=y" * 1000)
            await asyncio.wait([closed], timeout=0.01)
        assert statuses(await closed) == [408]
    await house.assert_nothing_kept()


async def test_a_flood_of_trailers(house: House) -> None:
    trailers = b"".join(b"X-%d: x\r\n" % number for number in range(10_000))
    await assert_refused(
        house, head(typed(message(house)), CHUNKED), b"5\r\nhello\r\n0\r\n", trailers, b"\r\n"
    )


async def test_a_gzip_bomb_is_not_unpacked(house: House) -> None:
    bomb = gzip.compress(bytes(64 * 2**20))
    headers = (typed(message(house)), "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    await assert_refused(house, head(*headers), bomb, status=415)


# --- what is no HTTP


@pytest.mark.parametrize(
    "line",
    [
        b"X-Nul: a\0b",
        b"X-Return: a\rb",
        b"X-Folded: a\r\n b",
        b"X Space: a",
        b"X-Space : a",
        b": no name",
        b"no colon",
    ],
    ids=["NUL", "bare CR", "obs-fold", "space in the name", "space before the colon", "no name", "no colon"],
)
async def test_a_header_that_readers_disagree_on(house: House, line: bytes) -> None:
    request = message(house)
    await assert_refused(
        house, head(typed(request), f"Content-Length: {len(request.body)}", line), request.body
    )


@pytest.mark.parametrize(
    "octets",
    [b"\x00\x01\x02", b"EHLO mail.example", b"B\xe9\xe9 / HTTP/1.1", b"GET /<script> HTTP/x"],
    ids=["binary", "SMTP", "a method of other letters", "no version"],
)
async def test_what_is_no_http_learns_nothing(house: House, octets: bytes) -> None:
    """Neither what this is nor what it sent, and the log has one line without a trace."""
    async with connected(house) as (reader, writer):
        writer.write(octets + b"\r\n\r\n")
        answer = await until_closed(reader)
    said, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(answer) == [400]
    assert body == b""
    assert b"Server: http\r\n" in said
    assert b"aiohttp" not in said
    (line,) = house.lines("request.refused")
    assert (line["reason"], line["status"]) == ("no_http", 400)
    assert "exc_info" not in line


# --- request smuggling


async def test_smuggling_by_cl_te(house: House) -> None:
    body = b"0\r\n\r\n" + SMUGGLED
    await assert_refused(house, head(f"Content-Length: {len(body)}", CHUNKED, close=False), body)


async def test_smuggling_by_te_cl(house: House) -> None:
    chunk = b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"
    await assert_refused(house, head(CHUNKED, "Content-Length: 4", close=False), chunk)


@pytest.mark.parametrize("lengths", [("5", "50"), ("5", "5"), ("5, 50",), ("5, 5",)])
async def test_smuggling_by_a_second_content_length(house: House, lengths: tuple[str, ...]) -> None:
    await assert_refused(
        house, head(*(f"Content-Length: {each}" for each in lengths), close=False), b"hello" + SMUGGLED
    )


@pytest.mark.parametrize("length", ["+5", "-5", "0x5", "5_0", "", "5.0", "٥", "9" * 40])
async def test_smuggling_by_a_content_length_that_is_no_number(house: House, length: str) -> None:
    await assert_refused(house, head(f"Content-Length: {length}", close=False), b"hello" + SMUGGLED)


@pytest.mark.parametrize(
    "coding",
    [
        "chunked, identity",
        "identity, chunked, identity",
        "xchunked",
        "chunked\x0b",
        "\x0bchunked",
        "chunked;q=1",
        '"chunked"',
        "chunked, chunked",
    ],
)
async def test_smuggling_by_a_transfer_encoding_that_is_not_plainly_chunked(
    house: House, coding: str
) -> None:
    await assert_refused(house, head(f"Transfer-Encoding: {coding}", close=False), b"0\r\n\r\n" + SMUGGLED)


async def test_smuggling_by_two_transfer_encodings(house: House) -> None:
    await assert_refused(
        house, head(CHUNKED, "Transfer-Encoding: identity", close=False), b"0\r\n\r\n" + SMUGGLED
    )


@pytest.mark.parametrize(
    "size", [b"FFFFFFFFFFFFFFFFF", b"10000000000000005", b"-5", b"0x5", b"5 5", b" 5", b""]
)
async def test_a_chunk_size_that_overflows_or_is_none(house: House, size: bytes) -> None:
    await assert_refused(house, head(typed(message(house)), CHUNKED), size + b"\r\nhello\r\n0\r\n\r\n")


async def test_a_chunk_that_ends_in_a_lone_line_feed(house: House) -> None:
    await assert_refused(house, head(typed(message(house)), CHUNKED), b"5\nhello\n0\n\n")


async def test_a_second_request_in_one_piece_with_the_first_is_answered_by_itself(house: House) -> None:
    """Pipelining is HTTP: the octets behind a message are a request, judged as one, and never part of the message."""
    request = message(house)
    first = head(typed(request), f"Content-Length: {len(request.body)}", close=False) + request.body
    second = b"GET /other HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert await answers(house, first + second) == [204, 404]
    assert await house.received() == 1


async def test_octets_behind_a_message_that_are_no_request_spoil_it(house: House) -> None:
    """Who sends both at once is not to be trusted with where a message ends; a partner would come again."""
    request = message(house)
    first = head(typed(request), f"Content-Length: {len(request.body)}", close=False) + request.body
    await assert_refused(house, first + b"\0garbage\r\n\r\n")


# --- slow loris


@pytest.fixture
def impatient_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.daemon.listener.IDLE", 0.2)


@pytest.mark.usefixtures("impatient_head")
@pytest.mark.parametrize(
    "octets", [b"", b"POST /ebms HTTP/1.1\r\nHost: local"], ids=["silence", "half a head"]
)
async def test_a_slow_loris_that_stops_in_its_first_head(open_house: Open, octets: bytes) -> None:
    house = await open_house()
    assert await answers(house, octets) == []


@pytest.mark.usefixtures("impatient_head")
async def test_a_slow_loris_with_a_header_now_and_then(open_house: Open) -> None:
    """What trickles in does not begin the time anew."""
    house = await open_house()
    async with connected(house) as (reader, writer):
        writer.write(b"POST /ebms HTTP/1.1\r\n")
        closed = asyncio.create_task(until_closed(reader))
        while not closed.done():
            writer.write(b"X-Slow: 1\r\n")
            await asyncio.wait([closed], timeout=0.05)
        assert statuses(await closed) == []


@pytest.mark.usefixtures("impatient_head")
async def test_a_slow_loris_that_stops_in_its_second_head(open_house: Open) -> None:
    house = await open_house()
    first = b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert await answers(house, first + b"POST /ebms HT") == [404]
