# SPDX-License-Identifier: EUPL-1.2

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapter.admin.rest.multipart import _head
from adapter.store import Direction, find_messages, message_payloads
from tests.admin.house import API, TOKENS, Api, properties

MEBI = 1024 * 1024

pytestmark = pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning")  # of aiohttp, about itself


def form(api: Api, *payloads: bytes, **changes: Any) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field(
        "requestProperties", json.dumps(properties(api, **changes)), content_type="application/json"
    )
    for number, octets in enumerate(payloads):
        data.add_field("attachment", octets, filename=f"deel{number}.bin", content_type="application/x-deel")
    return data


async def stored(api: Api, message_id: str) -> Any:
    (message,) = await api.db.read(find_messages, message_id=message_id, direction=Direction.OUT)
    return message, await api.db.read(message_payloads, message.id)


async def test_a_message_is_sent_in_parts(api: Api) -> None:
    large = bytes(range(256)) * 4 * 1024  # 1 MiB
    response = await api.call("POST", "/ebms/messages/mtom", data=form(api, b"klein", large), user="stad")
    assert response.status == 200, await response.text()
    assert response.content_type == "text/plain"
    message, payloads = await stored(api, await response.text())
    assert [await api.spool.read(payload.content) for payload in payloads] == [b"klein", large]
    assert [(p.name, p.content_type) for p in payloads] == [
        ("deel0.bin", "application/x-deel"),
        ("deel1.bin", "application/x-deel"),
    ]
    assert api.audits() == [("stad", "message.send", message.message_id)]


async def raw(api: Api, body: bytes | AsyncIterator[bytes], content_type: str | None = None) -> Any:
    headers = {"Content-Type": content_type or "multipart/form-data; boundary=grens"}
    return await api.call("POST", "/ebms/messages/mtom", data=body, headers=headers)


def part(headers: str, body: bytes) -> bytes:
    return b"--grens\r\n" + headers.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body + b"\r\n"


def given(api: Api) -> bytes:
    head = 'Content-Disposition: form-data; name="requestProperties"\nContent-Type: application/json'
    return part(head, json.dumps(properties(api)).encode())


END = b"--grens--\r\n"
ATTACHMENT = (
    'Content-Disposition: form-data; name="attachment"; filename="test.txt"\nContent-Type: text/plain'
)


async def test_parts_may_be_in_base64_in_any_order_and_have_a_content_id(api: Api) -> None:
    body = part(f"{ATTACHMENT}\nContent-Transfer-Encoding: base64", b"U2FtcGxlIG1lc3\r\nNhZ2Uu")
    body += part(f"{ATTACHMENT}\nContent-ID: <eigen@stad>", b"binary \x00\r\n--gren") + given(api) + END
    response = await raw(api, body)
    assert response.status == 200, await response.text()
    _, payloads = await stored(api, await response.text())
    assert [await api.spool.read(p.content) for p in payloads] == [
        b"Sample message.",
        b"binary \x00\r\n--gren",
    ]
    assert payloads[1].content_id == "eigen@stad"


BIG = b"x" * 300_000


@pytest.mark.parametrize(
    "attack",
    [
        "no properties",
        "two properties",
        "other part",
        "nested",
        "unfinished",
        "unfinished part",
        "nothing",
        "quoted-printable",
        "bad base64",
        "properties no json",
        "nameless",
    ],
)
async def test_a_form_that_is_none_leaves_nothing_behind(api: Api, attack: str) -> None:
    big, own = part(ATTACHMENT, BIG), given(api)
    body = {
        "no properties": big + END,
        "two properties": big + own + own + END,
        "other part": big + own + part('Content-Disposition: form-data; name="other"', b"x") + END,
        "nested": big + part("Content-Type: multipart/mixed; boundary=x", b"--x--") + own + END,
        "unfinished": big + own,
        "unfinished part": own + big[:-100],
        "nothing": b"",
        "quoted-printable": big
        + part(f"{ATTACHMENT}\nContent-Transfer-Encoding: quoted-printable", b"x")
        + END,
        "bad base64": big + own + part(f"{ATTACHMENT}\nContent-Transfer-Encoding: base64", b"abcde") + END,
        "properties no json": big
        + part('Content-Disposition: form-data; name="requestProperties"', b"x")
        + END,
        "nameless": big + own + part("Content-Type: text/plain", b"x") + END,
    }[attack]
    response = await raw(api, body)
    assert response.status == 400, await response.text()
    assert api.files() == []
    assert await api.db.read(find_messages) == []


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
async def test_a_form_without_boundary_is_a_bad_request(api: Api, content_type: str) -> None:
    assert (await raw(api, given(api) + END, content_type)).status == 400


async def test_another_type_is_not_read(api: Api) -> None:
    assert (await raw(api, b"{}", "application/json")).status == 415
    assert (await raw(api, b"x", "multipart/related; boundary=grens")).status == 415


async def test_payloads_that_are_not_agreed_are_removed(api: Api) -> None:
    response = await api.call("POST", "/ebms/messages/mtom", data=form(api, BIG, action="andere"))
    assert response.status == 400
    assert api.files() == []


async def test_payloads_larger_than_a_message_may_be_are_refused_while_they_come(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield given(api) + b"--grens\r\n" + ATTACHMENT.replace("\n", "\r\n").encode() + b"\r\n\r\n"
        while sent < 400:
            sent += 1
            yield b"x" * MEBI

    try:
        response = await raw(api, endless())
        assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the connection was closed while more came
    assert sent < 200  # the limit is 100 MiB; the rest is what buffers hold
    assert api.files() == []


async def test_a_message_is_fetched_in_parts(api: Api) -> None:
    large = bytes(range(256)) * 4 * 1024
    await api.received("m1@dso", b"klein", large)
    headers = {"Authorization": f"Bearer {TOKENS['stad']}"}
    response = await api.client.get(f"{API}/ebms/messages/mtom/m1@dso?process=true", headers=headers)
    assert response.status == 200
    assert response.content_type == "multipart/form-data"
    parts = []
    reader = aiohttp.MultipartReader.from_response(response)
    while (one := await reader.next()) is not None:
        assert isinstance(one, aiohttp.BodyPartReader)
        parts.append((one.name, one.filename, one.headers["Content-ID"], bytes(await one.read())))
    name, filename, content_id, octets = parts.pop(0)
    assert (name, filename, content_id) == ("properties", None, "<properties>")
    assert json.loads(octets)["messageId"] == "m1@dso"
    assert json.loads(octets)["messageStatus"] == "PROCESSED"
    assert parts == [
        ("attachment", "deel0.txt", "<part0@dso>", b"klein"),
        ("attachment", "deel1.txt", "<part1@dso>", large),
    ]
    assert await api.json("/ebms/messages/unprocessed") == []


async def test_what_a_partner_chose_cannot_add_a_header(api: Api) -> None:
    facts = {"type": "text/plain\r\nX-Evil: 1", "id": "a\r\nb", "filename": 'a"; x="\r\ny\u0130'}
    lines = _head("grens", "attachment", facts).decode("ascii").split("\r\n")
    assert lines == [
        "--grens",
        "Content-Type: text/plain__X-Evil: 1",
        "Content-Transfer-Encoding: binary",
        'Content-Disposition: form-data; name="attachment"; filename="a%22; x=%22__y_"',
        "Content-ID: <a__b>",
        "",
        "",
    ]
