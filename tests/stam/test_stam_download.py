# SPDX-License-Identifier: EUPL-1.2

"""A download goes on where it broke off, when it is sure to be the same file, and is kept only when it is what was
announced.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from adapter.observe import Metrics
from adapter.stam import Downloaded, Progress, VerzoekAfhandelen
from adapter.stam.download import MAX_CONTINUATIONS, MAX_STARTS
from adapter.stam.integrity import Expected
from adapter.store import FileSpool, Spool
from tests.stam.house import AUTHORITY
from tests.stam.scripted import Dso, download, problem_of

SIZE = 1_000_000
DATA = hashlib.shake_128(b"een bijlage").digest(SIZE)
HALF = 400_000
TAG = {"ETag": '"een"'}
DATES = {
    "Last-Modified": "Tue, 02 Jan 2024 11:00:00 GMT",
    "Date": "Tue, 02 Jan 2024 12:00:00 GMT",
}


class Watching(Progress):
    """Lets a server wait until so many octets were taken from it."""

    def __init__(self) -> None:
        super().__init__(Metrics(), AUTHORITY, "bijlage")
        self._came = asyncio.Condition()
        self._so_far = 0

    def received(self, octets: int, so_far: int, total: int | None) -> None:
        super().received(octets, so_far, total)
        self._so_far = so_far
        self._told = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def until(self, octets: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: self._so_far >= octets)


@dataclass
class Line:
    """A client, a server that gives its answers one after the other, and what is between them."""

    dso: Dso
    client: VerzoekAfhandelen
    spool: FileSpool
    watching: Watching = field(default_factory=Watching)

    @property
    def url(self) -> str:
        return self.dso.url + "/bijlage"

    @property
    def requests(self) -> list[web.Request]:
        return self.dso.requests

    async def fetch(self, *answers: "Reply", expected: Expected | None = None) -> Downloaded:
        left = list(answers)

        async def next_answer(request: web.Request) -> web.StreamResponse:
            return await self._give(request, left.pop(0))

        self.dso.answer = next_answer
        with self.watching as progress:
            return await self.client.download((expected or Expected()).on(self.url), self.spool, progress)

    async def has_all(self, downloaded: Downloaded) -> bool:
        content = downloaded.content
        return content.sha256 == hashlib.sha256(DATA).hexdigest() and await self.spool.read(content) == DATA

    def left_over(self) -> list[str]:
        return [path.name for path in self.spool._root.rglob("*") if path.is_file()]

    async def _give(self, request: web.Request, reply: "Reply") -> web.StreamResponse:
        begin = begin_of(request) if "Range" in request.headers else 0
        said = reply(begin)
        response = web.StreamResponse(status=said.status, headers=dict(said.headers))
        if said.length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = said.length
        await response.prepare(request)
        await response.write(said.body)
        if said.breaks and request.transport is not None:
            if said.body:
                # what it has but did not take yet, it loses with the connection
                await self.watching.until(begin + len(said.body))
            request.transport.close()
        return response


@dataclass(frozen=True)
class Said:
    """An answer; without a length it is chunked."""

    body: bytes
    status: int
    length: int | None
    headers: dict[str, str]
    breaks: bool = False


Reply = Callable[[int], Said]
"""What is answered to who asks for the octets from so many on."""


def begin_of(request: web.Request) -> int:
    return int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))


def all_of_it(data: bytes = DATA, status: int = 200, **headers: str) -> Reply:
    return lambda _: Said(data, status, len(data), named(headers))


def half(**headers: str) -> Reply:
    """The beginning, and then the connection breaks."""
    return lambda _: Said(DATA[:HALF], 200, SIZE, headers, breaks=True)


def of_unknown_size(data: bytes, **headers: str) -> Reply:
    """Chunks without an end."""
    return lambda _: Said(data, 200, None, headers, breaks=True)


def rest(
    *, shift: int = 0, end: int = SIZE, of: int | str = SIZE, data: bytes | None = None, **headers: str
) -> Reply:
    """The octets that are asked for, or shifted by so many, to before `end`; or other `data` as if it were."""

    def reply(begin: int) -> Said:
        begin += shift
        body = DATA[begin:end] if data is None else data
        return Said(body, 206, len(body), {**named(headers), **given(begin, end, of)})

    return reply


def some_of_the_rest(octets: int) -> Reply:
    """So many of the octets that are asked for, and then the connection breaks."""
    return lambda begin: Said(
        DATA[begin : begin + octets], 206, SIZE - begin, given(begin, SIZE, SIZE), breaks=True
    )


def given(begin: int, end: int, of: int | str) -> dict[str, str]:
    return {"Content-Range": f"bytes {begin}-{end - 1}/{of}"}


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def line(dso: Dso, dso_client: VerzoekAfhandelen, spool: FileSpool) -> Line:
    return Line(dso, dso_client, spool)


async def test_a_download_that_breaks_off_is_continued_where_it_was(line: Line) -> None:
    assert await line.has_all(await line.fetch(half(**TAG), rest(**TAG)))
    first, second = [each.headers for each in line.requests]
    assert not {"Range", "If-Range"} & set(first)
    assert (second["Range"], second["If-Range"]) == (f"bytes={HALF}-", '"een"')


async def test_without_an_etag_the_date_of_the_last_change_identifies_the_file(line: Line) -> None:
    assert await line.has_all(await line.fetch(half(**DATES), rest()))
    assert line.requests[1].headers["If-Range"] == DATES["Last-Modified"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"zwak"'},
        {"ETag": 'W/"zwak"', **DATES},
        {"ETag": "zonder aanhalingstekens"},
        {**TAG, "Accept-Ranges": "none"},
        {"Last-Modified": DATES["Date"], "Date": DATES["Date"]},
        {"Last-Modified": "onlangs"},
    ],
    ids=["nothing", "weak", "weak beside a date", "no etag", "no ranges", "changed just now", "no date"],
)
async def test_what_does_not_identify_the_file_is_not_continued_by(
    line: Line, headers: dict[str, str]
) -> None:
    problem = await problem_of(line.fetch(half(**headers)))
    assert problem.temporary
    assert "the connection broke" in problem.reason
    assert len(line.requests) == 1


async def test_it_is_continued_as_often_as_it_breaks_off(line: Line) -> None:
    downloaded = await line.fetch(half(**TAG), *[some_of_the_rest(100_000)] * 5, rest())
    assert await line.has_all(downloaded)


async def test_it_is_not_continued_for_ever(line: Line) -> None:
    problem = await problem_of(line.fetch(half(**TAG), *[some_of_the_rest(1)] * MAX_CONTINUATIONS))
    assert problem.temporary
    assert len(line.requests) == 1 + MAX_CONTINUATIONS


async def test_a_continuation_that_brings_nothing_ends_the_attempt(line: Line) -> None:
    assert (await problem_of(line.fetch(half(**TAG), some_of_the_rest(0)))).temporary
    assert len(line.requests) == 2


async def test_a_part_that_is_not_the_last_is_followed_by_the_next(line: Line) -> None:
    assert await line.has_all(await line.fetch(half(**TAG), rest(end=700_000), rest()))


async def test_a_file_of_unknown_size_is_continued_to_its_end(line: Line) -> None:
    begun = of_unknown_size(DATA[:HALF], **TAG)
    assert await line.has_all(await line.fetch(begun, rest(end=700_000), rest()))


async def test_nothing_behind_the_last_octet_means_that_it_was_the_last(line: Line) -> None:
    end = all_of_it(b"", 416, Content_Range=f"bytes */{SIZE}")
    assert await line.has_all(await line.fetch(of_unknown_size(DATA, **TAG), end))


WRONG_RESTS: Sequence[tuple[str, Reply]] = [
    ("the whole file, as it changed", all_of_it(b"x" * 900_000)),
    ("a part from before", rest(shift=-1)),
    ("a part behind a gap", rest(shift=1)),
    ("a part of a file of another size", rest(of=1_200_000)),
    ("a part that ends behind the file", rest(end=SIZE + 1, of="*", data=b"x" * (SIZE + 1 - HALF))),
    ("a part that ends before it begins", rest(end=5, data=b"x")),
    ("a part that is shorter than it says", rest(data=b"x")),
    ("a part that is longer than it says", rest(data=b"x" * SIZE)),
    ("a part of another version", rest(ETag='"twee"')),
    ("a part that does not say of what", all_of_it(DATA[HALF:], 206)),
    ("parts of several ranges", all_of_it(b"--x", 206, Content_Type="multipart/byteranges; boundary=x")),
    ("nothing there", all_of_it(b"", 416, Content_Range="bytes */5")),
    ("nothing there, of no size", all_of_it(b"", 416)),
]


@pytest.mark.parametrize("wrong", [one for _, one in WRONG_RESTS], ids=[name for name, _ in WRONG_RESTS])
async def test_what_is_not_the_rest_of_the_same_file_begins_it_again(line: Line, wrong: Reply) -> None:
    assert await line.has_all(await line.fetch(half(**TAG), wrong, all_of_it()))
    assert "Range" not in line.requests[2].headers


async def test_a_file_that_changes_time_after_time_is_left_for_later(line: Line) -> None:
    problem = await problem_of(line.fetch(*[half(**TAG), all_of_it()] * MAX_STARTS))
    assert problem.temporary
    assert "the file changed while it was fetched" in problem.reason
    assert line.left_over() == []


def digest(algorithm: str) -> str:
    return base64.b64encode(hashlib.new(algorithm, DATA).digest()).decode()


DIGESTS = {
    "Repr-Digest": f"sha-512=:{digest('sha512')}:, sha-256=:{digest('sha256')}:",
    "Content-Digest": f"sha-256=:{digest('sha256')}:",
    "Digest": f"SHA-256={digest('sha256')}",
    "Content-MD5": digest("md5"),
}


@pytest.mark.parametrize("name", DIGESTS)
async def test_a_digest_in_the_headers_that_is_right_is_kept(line: Line, name: str) -> None:
    assert await line.has_all(await line.fetch(all_of_it(**{name: DIGESTS[name]})))


@pytest.mark.parametrize("name", DIGESTS)
async def test_a_digest_in_the_headers_that_differs_is_not_kept(line: Line, name: str) -> None:
    problem = await problem_of(line.fetch(all_of_it(DATA[::-1], **{name: DIGESTS[name]})))
    assert problem.temporary
    assert "it is not kept, as its" in problem.reason
    assert line.left_over() == []


async def test_a_digest_of_the_first_answer_is_of_all_parts_together(line: Line) -> None:
    begun = half(**TAG, **{"Repr-Digest": DIGESTS["Repr-Digest"]})
    of_the_part_only = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert await line.has_all(await line.fetch(begun, rest(**of_the_part_only)))


async def test_parts_that_do_not_make_the_file_are_not_kept(line: Line) -> None:
    begun = half(**TAG, **{"Repr-Digest": DIGESTS["Repr-Digest"]})
    problem = await problem_of(line.fetch(begun, rest(data=b"x" * (SIZE - HALF))))
    assert "its sha-" in problem.reason
    assert line.left_over() == []


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (Expected(999_999), "it has 1000000 bytes, and 999999 were announced"),
        (Expected(digests={"sha-256": "00" * 32}), "its sha-256 is"),
        (Expected(digests={"sha-512": "00" * 64}), "its sha-512 is"),
    ],
)
async def test_what_the_link_announced_otherwise_is_not_kept(
    line: Line, expected: Expected, reason: str
) -> None:
    problem = await problem_of(line.fetch(all_of_it(), expected=expected))
    assert problem.temporary
    assert reason in problem.reason
    assert line.left_over() == []


async def test_a_size_that_cannot_be_right_is_noticed_before_the_file_is_fetched(line: Line) -> None:
    endless: Reply = lambda _: Said(b"", 200, SIZE, {})  # noqa: E731
    assert "2000 were announced" in (await problem_of(line.fetch(endless, expected=Expected(2000)))).reason


async def test_what_is_as_the_link_announced_is_kept(line: Line) -> None:
    digests = {"sha-256": hashlib.sha256(DATA).hexdigest(), "sha-512": hashlib.sha512(DATA).hexdigest()}
    assert await line.has_all(await line.fetch(all_of_it(), expected=Expected(SIZE, digests)))


async def test_progress_is_counted_and_said_now_and_then(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool
) -> None:
    metrics = Metrics()
    dso.gives(body=DATA)
    with capture_logs() as lines, Progress(metrics, AUTHORITY, "a.pdf", timedelta()) as progress:
        assert 'downloads_running{authority="voorbeeldstad"} 1.0' in metrics.render().decode()
        await dso_client.download(dso.url, spool, progress)
        progress.continued(HALF, SIZE, "it broke")
    text = metrics.render().decode()
    assert 'downloads_running{authority="voorbeeldstad"} 0.0' in text
    assert 'download_bytes_total{authority="voorbeeldstad"} 1e+06' in text
    assert 'downloads_continued_total{authority="voorbeeldstad"} 1.0' in text
    *_, last, continued = lines
    assert (last["action"], last["path"]) == ("verzoek.file_progress", "a.pdf")
    assert (last["received"], last["total"]) == (SIZE, SIZE)
    assert (continued["action"], continued["received"]) == ("verzoek.file_continued", HALF)


async def test_a_small_file_says_nothing_of_its_progress(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool
) -> None:
    dso.gives(body=DATA)
    with capture_logs() as lines:
        await download(dso_client, dso.url, spool)
    assert lines == []
