# SPDX-License-Identifier: EUPL-1.2

"""Messages on the status page: looked through, read, taken along as they were; each look is in the audit trail."""

import csv
import io
import json
from zipfile import ZipFile

import aiohttp
import pytest

from adapter.store import (
    AuditFilter,
    AuditKind,
    Direction,
    Flow,
    MessageKind,
    MessageState,
    NewDelivery,
    Origin,
    create_delivery,
    find_audit,
    insert_message,
)
from adapter.store.schema import payload
from tests.admin.house import TOKENS, Api
from tests.admin.pages.house import Browser
from tests.memory import measured_peak
from tests.messages import new_message

HOSTILE = "<script>alert(1)</script>"
SANDBOX = "default-src 'none'; sandbox"


def login(user: str = "beheer") -> dict[str, str]:
    token = aiohttp.encode_basic_auth(user, TOKENS[user], "utf-8")
    return {"Authorization": token, "Sec-Fetch-Site": "same-origin"}


async def looks(api: Api, action: str) -> list[tuple[str | None, str | None]]:
    entries = await api.db.read(find_audit, AuditFilter(kind=AuditKind.LOOK, action=action), 10)
    return [(one.subject, one.authority) for one in entries if one.outcome == "done"]


async def test_messages_are_listed_the_newest_first_with_the_name_of_their_partner(
    api: Api, browser: Browser
) -> None:
    for name in ("m1@dso", "m2@dso"):
        await api.received(name, b"<x/>")
    page = await browser.get("/messages")
    assert page.status == 200
    assert page.words.index("m2@dso") < page.words.index("m1@dso")
    assert "DSO-LV" in page.words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("message_id=%3Cm1@dso%3E", ["m1@dso"]),
        ("conversation_id=conversation-m2@dso", ["m2@dso"]),
        ("direction=out", []),
        ("state=received&kind=business", ["m1@dso", "m2@dso"]),
        ("authority=dorp", ["m2@dso"]),
        ("authority=elders", []),
        ("until=2001-01-01", []),
    ],
)
async def test_messages_are_found_by_what_is_known_of_them(
    api: Api, browser: Browser, query: str, found: list[str]
) -> None:
    await api.received("m1@dso")
    await api.received("m2@dso", authority="dorp")
    page = await browser.get(f"/messages?{query}")
    assert sorted(page.find("//tbody//code/text()")) == found


@pytest.mark.parametrize(
    "query", ["before=x", "before=1-x", f"before={'9' * 18}-1", "state=lost", "since=2001-01-01"]
)
async def test_a_list_that_cannot_be_says_so(browser: Browser, query: str) -> None:
    assert (await browser.get(f"/messages?{query}")).status == 400


async def test_a_long_list_goes_on_page_by_page(api: Api, browser: Browser) -> None:
    for number in range(60):
        await api.received(f"m{number}@dso", sink=None)
    first = await browser.get("/messages")
    (older,) = first.find("//nav[contains(@class, 'pager')]//a[@rel='next']/@href")
    second = await browser.get(older)
    rows = [len(page.find("//table/tbody/tr")) for page in (first, second)]
    assert rows == [50, 10]
    assert "m0@dso" in second.words


async def test_a_message_is_shown_with_its_parts_and_what_happened(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso", b"octets")
    page = await browser.get(f"/messages/{row}")
    assert page.status == 200
    assert "m1@dso" in page.words
    assert "deel0.txt" in page.words
    assert "Received and stored" in page.words
    assert await looks(api, "message.show") == [("m1@dso", "stad")]


async def test_what_a_partner_wrote_is_text_on_the_page(api: Api, browser: Browser) -> None:
    envelope = f"<Envelope><a>{HOSTILE.replace('<', '&lt;')}</a></Envelope>".encode()
    row = await api.received(
        "m1@dso",
        conversation_id=HOSTILE,
        action=HOSTILE,
        envelope=envelope,
        http_headers=((HOSTILE, HOSTILE),),
    )
    for path in (f"/messages/{row}", "/messages"):
        page = await browser.get(path)
        assert not page.find("//script[not(@src)]")
        assert HOSTILE in page.words


@pytest.mark.parametrize("envelope", [b"<no", b"\x00\xff", b"", b"<a>" * 300])
async def test_an_envelope_that_is_no_message_is_said_to_be_so(
    api: Api, browser: Browser, envelope: bytes
) -> None:
    row = await api.received("m1@dso", envelope=envelope)
    page = await browser.get(f"/messages/{row}")
    assert page.status == 200
    assert "cannot be read" in page.words


async def test_the_envelope_is_given_as_text_that_a_browser_does_nothing_with(
    api: Api, browser: Browser
) -> None:
    row = await api.received("m1@dso", envelope=HOSTILE.encode())
    raw = await browser.get(f"/messages/{row}/envelope")
    assert raw.text == HOSTILE
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.headers["Content-Security-Policy"] == SANDBOX
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert await looks(api, "message.fetch") == [("m1@dso", "stad")]


async def test_a_part_is_to_be_kept_under_a_safe_name_and_never_shown(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso", HOSTILE.encode())
    await api.db.write(
        lambda conn: conn.execute(
            payload.update().values(name='../../a"b\r\n\u202e.html', content_type="text/html")
        )
    )
    part = await browser.get(f"/messages/{row}/parts/0")
    assert part.text == HOSTILE
    assert part.headers["Content-Type"] == "application/octet-stream"
    assert part.headers["Content-Disposition"].startswith("attachment; filename=")
    assert not any(bad in part.headers["Content-Disposition"] for bad in ("/", "\u202e", "\n"))
    assert part.headers["Content-Security-Policy"] == SANDBOX
    assert part.headers["Content-Length"] == str(len(HOSTILE))
    assert await looks(api, "message.fetch") == [("m1@dso", "stad")]


async def test_a_part_that_is_there_no_more_is_said_to_be_gone(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso", b"octets")
    await api.db.write(lambda conn: conn.execute(payload.update().values(inline=None, spool_key=None)))
    assert (await browser.get(f"/messages/{row}/parts/0")).status == 410
    page = await browser.get(f"/messages/{row}")
    assert "removed by retention" in page.words
    assert (await browser.get(f"/messages/{row}/parts/1")).status == 404


async def test_a_message_is_taken_along_as_evidence(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso", b"octets")
    answer = await browser.api.client.get(f"/messages/{row}/evidence", headers=login())
    made = ZipFile(io.BytesIO(await answer.read()))
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="message-m1@dso.zip"')
    assert json.loads(made.read("manifest.json"))["message"] == "m1@dso"
    assert made.read("messages/001-received-verzoeknotificatie/payloads/deel0.txt") == b"octets"
    assert await looks(api, "message.evidence") == [("m1@dso", "stad")]


async def test_evidence_with_a_part_of_64_mib_passes_in_little_memory(api: Api) -> None:
    row = await api.received("m1@dso", b"x")
    async with api.spool.writer() as writer:
        for _ in range(256):
            await writer.write(bytes(2**18))
        content = await writer.commit()
    values = {"size": content.size, "sha256": content.sha256, "inline": None, "spool_key": content.key}
    await api.db.write(lambda conn: conn.execute(payload.update().values(values)))
    size = 0
    with measured_peak() as peak:
        async with api.client.get(f"/messages/{row}/evidence", headers=login()) as answer:
            async for chunk in answer.content.iter_chunked(2**16):
                size += len(chunk)
    assert size > 64 * 2**20
    assert peak.octets < 16 * 2**20


async def test_an_answer_leads_to_what_it_answers_and_back(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso")
    answer = new_message(
        api.clock(),
        authority="stad",
        cpa_id=api.authority("stad").cpa_id,
        direction=Direction.OUT,
        kind=MessageKind.ACKNOWLEDGMENT,
        message_id="ack@ons",
        ref_to_message_id="m1@dso",
    )
    other = await api.db.write(insert_message, answer, None, api.clock(), state=MessageState.TRANSMITTED)
    assert f"/messages/{other}" in (await browser.get(f"/messages/{row}")).links()
    assert f"/messages/{row}" in (await browser.get(f"/messages/{other}")).links()


@pytest.mark.parametrize("place", ["", "/envelope", "/parts/0", "/evidence"])
async def test_a_message_of_another_authority_is_not_there(api: Api, browser: Browser, place: str) -> None:
    row = await api.received("m1@dso", b"octets", authority="stad")
    assert (await browser.get(f"/messages/{row}{place}", user="kijker")).status == 404
    assert (await browser.get(f"/messages/{row + 1000}{place}")).status == 404
    assert (await browser.get(f"/messages/x{place}")).status == 404
    assert "m1@dso" not in (await browser.get("/messages", user="kijker")).text


async def test_messages_are_a_table_for_a_spreadsheet(api: Api, browser: Browser) -> None:
    await api.received("m1@dso", conversation_id="=HYPERLINK(1)")
    await api.received("m2@dso", authority="dorp")
    found = await browser.get("/messages.csv?authority=stad", language="nl")
    assert found.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert found.headers["Content-Disposition"].startswith('attachment; filename="messages.csv"')
    rows = list(csv.DictReader(io.StringIO(found.text.removeprefix("\ufeff")), delimiter=";"))
    assert [(row["MessageId"], row["ConversationId"]) for row in rows] == [("m1@dso", "'=HYPERLINK(1)")]
    assert rows[0]["Richting"] == "Ontvangen"
    assert await looks(api, "messages.export") == [(None, "stad")]
    english = await browser.get("/messages.csv", user="kijker")
    assert [row["MessageId"] for row in csv.DictReader(io.StringIO(english.text.removeprefix("\ufeff")))] == [
        "m2@dso"
    ]


async def test_a_table_for_a_spreadsheet_is_of_a_period(browser: Browser) -> None:
    assert (await browser.get("/messages.csv?since=2001-01-01")).status == 400


async def test_evidence_of_a_verzoek_is_of_one_authority(api: Api, browser: Browser) -> None:
    row = await api.received("m1@dso", b"octets", sink=None)
    new = NewDelivery(
        authority="stad",
        sink="archief",
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        message=row,
        verzoeknummer="1001",
    )
    await api.db.write(create_delivery, new, None, api.clock())
    answer = await browser.api.client.get("/evidence/stad/1001", headers=login())
    made = ZipFile(io.BytesIO(await answer.read()))
    assert json.loads(made.read("manifest.json"))["verzoek"] == "1001"
    assert await looks(api, "verzoek.evidence") == [("1001", "stad")]
    for path, user in (
        ("/evidence/stad/1001", "kijker"),
        ("/evidence/dorp/1001", "beheer"),
        ("/evidence/stad/1", "beheer"),
    ):
        assert (await browser.get(path, user=user)).status == 404


async def test_verzoeken_are_a_table_for_a_spreadsheet(api: Api, browser: Browser) -> None:
    for authority in ("stad", "dorp"):
        new = NewDelivery(
            authority=authority,
            sink="archief",
            flow=Flow.STAM,
            origin=Origin.NOTIFICATION,
            verzoeknummer=f"=1{authority}",
        )
        await api.db.write(create_delivery, new, None, api.clock())
    found = await browser.get("/verzoeken.csv", user="kijker")
    (row,) = csv.DictReader(io.StringIO(found.text.removeprefix("\ufeff")))
    assert (row["Authority"], row["State"]) == ("dorp", "Being collected")
    assert "'=1dorp" in row.values()
    assert await looks(api, "verzoeken.export") == [(None, "dorp")]
    assert "/verzoeken.csv?state=parked" in (await browser.get("/verzoeken?state=parked")).links()
