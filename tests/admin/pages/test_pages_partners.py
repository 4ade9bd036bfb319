# SPDX-License-Identifier: EUPL-1.2

"""Partners on the status page: what passed, and a Ping whose answer is awaited, but not for ever."""

import asyncio
from datetime import timedelta

import pytest

from adapter.store import (
    AuditFilter,
    JobKind,
    MessageKind,
    MessageState,
    find_audit,
    find_jobs,
    find_messages,
    set_message_state,
)
from tests.admin.house import Api
from tests.admin.pages.house import Browser, Sight
from tests.waiting import until_stored


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.admin.pages.partners.PATIENCE", timedelta(milliseconds=300))


async def pinged(api: Api, browser: Browser, state: MessageState, reason: str | None = None) -> Sight:
    """Press the button, and let this become of the Ping."""

    async def is_there() -> bool:
        return bool(await api.db.read(find_messages, kind=MessageKind.PING))

    async def answer() -> None:
        await until_stored(api.db, is_there, 5)
        (ping,) = await api.db.read(find_messages, kind=MessageKind.PING)
        await api.db.write(set_message_state, ping.id, MessageState.CREATED, state, reason, api.clock())

    answering = asyncio.create_task(answer())
    page = await browser.post(f"/partners/{api.authority('stad').cpa_id}/ping", user="stad")
    await answering
    return page


async def test_partners_are_listed_with_what_passed_and_when(api: Api, browser: Browser) -> None:
    await api.received("m1@dso")
    page = await browser.get("/partners")
    assert page.words.count("DSO-LV (simulatie)") == 2
    assert api.authority("stad").cpa_id in page.text
    assert len((await browser.get("/partners?authority=stad")).find("//tbody/tr")) == 1
    assert len((await browser.get("/partners?q=SIMULATIE")).find("//tbody/tr")) == 2
    assert not (await browser.get("/partners?q=niemand")).find("//tbody/tr")


async def test_a_partner_that_answers_is_said_to_have_answered(api: Api, browser: Browser) -> None:
    page = await pinged(api, browser, MessageState.ANSWERED)
    assert page.status == 200
    assert "answered the ping in" in page.words
    (entry,) = await api.db.read(find_audit, AuditFilter(action="ping"), 10)
    assert (entry.actor, entry.subject, entry.authority) == ("stad", api.authority("stad").cpa_id, "stad")
    assert [job.kind for job in await api.db.read(find_jobs)] == [JobKind.SEND]


async def test_a_partner_that_cannot_be_reached_is_said_so_with_the_reason(
    api: Api, browser: Browser
) -> None:
    page = await pinged(api, browser, MessageState.FAILED, "connection refused")
    assert "did not answer the ping" in page.words
    assert "connection refused" in page.words


async def test_a_partner_that_says_nothing_keeps_nobody_waiting(api: Api, browser: Browser) -> None:
    page = await browser.post(f"/partners/{api.authority('stad').cpa_id}/ping", user="stad")
    assert page.status == 200
    assert "was not answered yet" in page.words


async def test_who_may_only_look_pings_nobody(api: Api, browser: Browser) -> None:
    cpa_id = api.authority("dorp").cpa_id
    assert not (await browser.get("/partners", user="kijker")).find("//main//form[@method='post']")
    assert (await browser.post(f"/partners/{cpa_id}/ping", user="kijker")).status == 403
    own = api.authority("stad").cpa_id
    assert (await browser.post(f"/partners/{own}/ping", user="hersteller")).status == 403
    assert await api.db.read(find_jobs) == []


async def test_the_partner_of_another_authority_is_not_there(api: Api, browser: Browser) -> None:
    cpa_id = api.authority("dorp").cpa_id
    assert cpa_id not in (await browser.get("/partners", user="stad")).text
    assert (await browser.post(f"/partners/{cpa_id}/ping", user="stad")).status == 404
    assert (await browser.post("/partners/none/ping", user="stad")).status == 404
    assert await api.db.read(find_jobs) == []
