# SPDX-License-Identifier: EUPL-1.2

"""The simulated Verzoek afhandelen serves parts of files, asks for keys and tokens, and does wrong as it is told."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer

from adapter.simulator import (
    DEFAULT_BASE,
    TOKEN_PATH,
    AgreementPlan,
    ApiSettings,
    DocumentSpec,
    SentMessage,
    SimulatedDso,
    SimulatedMsh,
    TokenSettings,
    VerzoekAfhandelenApi,
    VerzoekSpec,
    create_world,
    make_verzoek,
    parse_faults,
)

GEMEENTE = "00000099000000001000"
NUMBER = "2023073100048"
ONE = f"{DEFAULT_BASE}/verzoeken/{NUMBER}"
SIZE = 300_000
WE = {"Authorization": encode_basic_auth("wij", "geheim")}
OTHERS = {"Authorization": encode_basic_auth("wij", "anders")}

Client = TestClient[web.Request, web.Application]
Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts an API with one verzoek of one document, and gives it with a client."""
    async with AsyncExitStack() as stack:

        async def start_api(**settings: object) -> tuple[VerzoekAfhandelenApi, Client]:
            api = VerzoekAfhandelenApi(ApiSettings(require_certificate=False, **settings))  # type: ignore[arg-type]
            api.publish(make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, documents=(DocumentSpec("a.pdf", SIZE),))))
            client = await stack.enter_async_context(TestClient(TestServer(api.application())))
            client.session.headers["OIN"] = GEMEENTE
            return api, client

        yield start_api


def document_of(api: VerzoekAfhandelenApi) -> str:
    return f"{ONE}/documenten/{api.verzoeken[0].documents[0].document_id}"


def octets_of(api: VerzoekAfhandelenApi) -> bytes:
    return b"".join(api.verzoeken[0].documents[0].content.blocks())


async def link_of(client: Client) -> dict[str, Any]:
    body = await (await client.get(ONE)).json(content_type=None)
    (link,) = body["_links"]["document"]
    return dict(link)


async def test_the_rest_of_a_file_can_be_had(start: Start) -> None:
    api, client = await start()
    etag = (await client.get(document_of(api))).headers["ETag"]
    async with client.get(document_of(api), headers={"Range": "bytes=100000-", "If-Range": etag}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 100000-{SIZE - 1}/{SIZE}"
        assert await response.read() == octets_of(api)[100_000:]


async def test_a_piece_from_the_middle_can_be_had(start: Start) -> None:
    api, client = await start()
    async with client.get(document_of(api), headers={"Range": "bytes=65530-65545"}) as response:
        assert await response.read() == octets_of(api)[65_530:65_546]


async def test_a_part_of_another_version_is_answered_with_the_whole(start: Start) -> None:
    api, client = await start()
    headers = {"Range": "bytes=100000-", "If-Range": '"een andere"'}
    async with client.get(document_of(api), headers=headers) as response:
        assert response.status == 200
        assert await response.read() == octets_of(api)


async def test_nothing_is_behind_the_end(start: Start) -> None:
    api, client = await start()
    async with client.get(document_of(api), headers={"Range": f"bytes={SIZE}-"}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{SIZE}"


async def test_without_ranges_there_is_only_the_whole(start: Start) -> None:
    api, client = await start()
    api.faults.no_ranges = True
    async with client.get(document_of(api), headers={"Range": "bytes=1-"}) as response:
        assert response.status == 200
        assert "ETag" not in response.headers


async def test_a_document_that_keeps_changing_has_another_etag_each_time(start: Start) -> None:
    api, client = await start()
    api.faults.changing.add("*")
    etags = [(await client.get(document_of(api))).headers["ETag"] for _ in range(3)]
    assert len(set(etags)) == 3


async def test_a_part_breaks_off_half_way_too(start: Start) -> None:
    api, client = await start()
    api.faults.cut.add(document_of(api).rpartition("/")[2])
    with pytest.raises(ClientPayloadError):
        await (await client.get(document_of(api), headers={"Range": "bytes=100-"})).read()


async def test_every_document_can_break_off_once(start: Start) -> None:
    api, client = await start()
    api.faults.cut.add("*")
    for path in (document_of(api), f"{ONE}/xml"):
        with pytest.raises(ClientPayloadError):
            await (await client.get(path)).read()
        assert (await (await client.get(path)).read()) != b""


async def test_size_and_digest_are_announced_when_told_so(start: Start) -> None:
    api, client = await start(announces=True)
    digest = hashlib.sha256(octets_of(api))
    link = await link_of(client)
    assert (link["size"], link["sha256"]) == (SIZE, digest.hexdigest())
    async with client.get(document_of(api)) as response:
        expected = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        assert response.headers["Repr-Digest"] == expected


async def test_nothing_is_announced_otherwise(start: Start) -> None:
    _, client = await start()
    assert not {"size", "sha256"} & (await link_of(client)).keys()


async def test_a_wrong_size_and_a_wrong_digest_are_announced_when_told_so(start: Start) -> None:
    api, client = await start()
    api.faults.wrong_size.add("*")
    api.faults.wrong_digest.add("*")
    link = await link_of(client)
    assert link["size"] == SIZE + 1
    assert link["sha256"] != hashlib.sha256(octets_of(api)).hexdigest()


async def test_a_file_can_be_too_short_or_too_long_as_if_that_were_all(start: Start) -> None:
    api, client = await start()
    api.faults.truncate.add("*")
    assert await (await client.get(document_of(api))).read() == octets_of(api)[: SIZE // 2]
    api.faults.truncate.clear()
    api.faults.extend.add("*")
    data = await (await client.get(document_of(api))).read()
    assert len(data) > SIZE
    assert data.startswith(octets_of(api))


async def test_too_many_requests_count_down(start: Start) -> None:
    api, client = await start()
    api.faults.too_many = 1
    api.faults.retry_after = timedelta(seconds=7)
    first, second = await client.get(ONE), await client.get(ONE)
    assert (first.status, first.headers["Retry-After"], second.status) == (429, "7", 200)


async def test_latency_and_slowness_delay_and_change_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, client = await start()
    api.faults.latency = timedelta(seconds=3)
    api.faults.bytes_per_second = 1000
    slept: list[float] = []
    monkeypatch.setattr(asyncio, "sleep", _noting(slept))
    assert await (await client.get(document_of(api))).read() == octets_of(api)
    assert sum(slept) == pytest.approx(3 + SIZE / 1000)


def _noting(slept: list[float]) -> Callable[[float], Any]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return sleep


async def test_how_many_ask_at_a_time_is_counted(start: Start) -> None:
    api, client = await start()
    await client.get(ONE)
    assert api.most_at_once == 1


async def test_an_api_key_is_asked_for_when_told_so(start: Start) -> None:
    _, client = await start(api_key="sleutel")
    assert (await client.get(ONE)).status == 401
    assert (await client.get(ONE, headers={"x-api-key": "anders"})).status == 401
    assert (await client.get(ONE, headers={"x-api-key": "sleutel"})).status == 200


async def test_a_token_is_asked_for_when_told_so_and_ends(start: Start) -> None:
    api, client = await start(tokens=TokenSettings("wij", "geheim"))
    assert (await client.get(ONE)).status == 401
    form = {"grant_type": "client_credentials"}
    answer = await client.post(TOKEN_PATH, data=form, headers=WE)
    bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
    assert (await client.get(ONE, headers=bearer)).status == 200
    api.faults.expire_tokens = 1
    assert (await client.get(ONE, headers=bearer)).status == 401


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({}, WE, 400),
        ({"grant_type": "password"}, WE, 400),
        ({"grant_type": "client_credentials", "scope": "x"}, WE, 400),
        ({"grant_type": "client_credentials"}, {}, 401),
        ({"grant_type": "client_credentials"}, OTHERS, 401),
        ({"grant_type": "client_credentials", "client_secret": "geheim"}, WE, 401),
    ],
)
async def test_no_token_for_who_asks_wrongly(
    start: Start, form: dict[str, str], headers: dict[str, str], status: int
) -> None:
    _, client = await start(tokens=TokenSettings("wij", "geheim"))
    assert (await client.post(TOKEN_PATH, data=form, headers=headers)).status == status


async def test_notifications_that_are_held_back_come_in_the_other_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await asyncio.to_thread(create_world, tmp_path / "world", {"voorbeeldstad": AgreementPlan()})
    came: list[str] = []
    dso = SimulatedDso(world)
    resend = SimulatedMsh.resend

    async def note(msh: SimulatedMsh, sent: SentMessage) -> SentMessage:
        came.append(sent.message_id)
        return await resend(msh, sent)

    monkeypatch.setattr(SimulatedMsh, "resend", note)
    async with dso:
        dso.faults.hold_notifications = 2
        authority = world.authorities[0]
        numbers = ("2023073100048", "2023073100049", "2023073100050")
        sent = [await dso.announce(authority, make_verzoek(VerzoekSpec(n, authority.oin))) for n in numbers]
        assert [verzoek.verzoeknummer for verzoek in dso.api.verzoeken] == list(numbers)
        assert came == []
        await dso.release()
        assert came == [sent[1].message_id, sent[0].message_id]
        assert await dso.release() == ()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("unavailable=3", "unavailable", 3),
        ("retry_after=30s", "retry_after", timedelta(seconds=30)),
        ("latency=250ms", "latency", timedelta(milliseconds=250)),
        ("bytes_per_second=100 kB", "bytes_per_second", 100_000),
        ("no_ranges", "no_ranges", True),
        ("wrong_size", "wrong_size", {"*"}),
        ("cut=xml", "cut", {"xml"}),
    ],
)
def test_a_fault_can_be_written_as_text(text: str, name: str, value: object) -> None:
    assert getattr(parse_faults([text]), name) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("onzin=1", "known are .*, unavailable, "),
        ("_changes=1", "known are"),
        ("unavailable", "write a number"),
        ("unavailable=veel", "write a number"),
        ("latency=3", "is not a duration"),
        ("no_ranges=1", "takes no value"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_what_is_known(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_faults([text])
