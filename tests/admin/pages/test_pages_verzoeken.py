# SPDX-License-Identifier: EUPL-1.2

"""Looking for verzoeken on the status page."""

from datetime import UTC, datetime, timedelta

import pytest

from adapter.store import DeliveryState
from tests.admin.house import Api
from tests.admin.pages.house import EVIL, Browser, Sight, verzoek

DAY = timedelta(days=1)


def numbers(found: Sight) -> list[str]:
    assert found.status == 200, found.words
    return [str(text) for text in found.find("//tbody//th//a/text()")]


async def test_the_newest_verzoeken_come_first_and_messages_are_not_among_them(
    browser: Browser, api: Api
) -> None:
    for number in ("1", "2", "3"):
        await verzoek(api, number)
    await api.received("m1@dso", b"message")
    assert numbers(await browser.get("/verzoeken")) == ["3", "2", "1"]


async def test_a_verzoek_is_found_by_its_number_however_old_it_is(browser: Browser, api: Api) -> None:
    await verzoek(api, "2020010100001", at=api.clock() - 900 * DAY)
    await verzoek(api, "2020010100002")
    assert numbers(await browser.get("/verzoeken")) == ["2020010100002"]
    assert numbers(await browser.get("/verzoeken?verzoeknummer=+2020010100001+")) == ["2020010100001"]


async def test_verzoeken_are_chosen_by_state_authority_and_project(browser: Browser, api: Api) -> None:
    await verzoek(api, "1", state=DeliveryState.PARKED)
    await verzoek(api, "2", state=DeliveryState.COLLECTING)
    await verzoek(api, "3", "dorp", project="p1")
    assert numbers(await browser.get("/verzoeken?state=parked")) == ["1"]
    assert numbers(await browser.get("/verzoeken?state=collecting&authority=stad")) == ["2"]
    assert numbers(await browser.get("/verzoeken?authority=dorp&state=")) == ["3"]
    assert numbers(await browser.get("/verzoeken?project=p1")) == ["3"]


async def test_verzoeken_are_chosen_by_days_in_dutch_time(browser: Browser, api: Api) -> None:
    await verzoek(api, "1", at=datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC))
    await verzoek(api, "2", at=datetime(2026, 2, 28, 23, 0, 0, tzinfo=UTC))
    await verzoek(api, "3", at=datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC))
    await verzoek(api, "4", at=datetime(2026, 3, 1, 23, 0, 0, tzinfo=UTC))
    assert numbers(await browser.get("/verzoeken?since=2026-03-01&until=2026-03-01")) == ["3", "2"]


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "since=yesterday",
        "until=2026-13-01",
        "since=0001-01-01",
        "before=x",
        "before=1",
        f"verzoeknummer={'1' * 201}",
        "since=2020-01-01&until=2026-01-01",
    ],
)
async def test_what_cannot_be_asked_is_said(browser: Browser, query: str) -> None:
    found = await browser.get(f"/verzoeken?{query}")
    assert (found.status, found.find("//h1/text()")) == (400, ["This request is not right"])


async def test_a_long_list_is_read_a_page_at_a_time_and_keeps_what_was_asked(
    browser: Browser, api: Api
) -> None:
    start = api.clock() - DAY
    for number in range(51):
        await verzoek(
            api, str(100 + number), state=DeliveryState.COLLECTING, at=start + timedelta(seconds=number)
        )
    first = await browser.get("/verzoeken?state=collecting")
    assert len(numbers(first)) == 50
    assert not first.find("//nav[@aria-label='Pages']//a[text()='To the newest']")
    (older,) = first.find("//a[@rel='next']/@href")
    second = await browser.get(older)
    assert numbers(second) == ["100"]
    assert second.find("//select[@name='state']/option[@selected]/@value") == ["collecting"]
    (newest,) = second.find("//nav[@aria-label='Pages']//a/@href")
    assert numbers(await browser.get(newest)) == numbers(first)


async def test_nothing_found_is_said(browser: Browser) -> None:
    assert "No verzoeken were found" in (await browser.get("/verzoeken?verzoeknummer=none")).words


async def test_a_user_sees_and_may_choose_only_its_authorities(browser: Browser, api: Api) -> None:
    await verzoek(api, "1", "stad")
    await verzoek(api, "2", "dorp")
    found = await browser.get("/verzoeken", user="kijker")
    assert numbers(found) == ["2"]
    assert not found.find("//select[@name='authority']")
    for query in ("authority=stad", "verzoeknummer=1"):
        assert numbers(await browser.get(f"/verzoeken?{query}", user="kijker")) == []


async def test_what_a_partner_chose_is_text(browser: Browser, api: Api) -> None:
    await verzoek(api, EVIL, state=DeliveryState.PARKED, reason=EVIL, doel=EVIL)
    found = await browser.get("/verzoeken")
    assert numbers(found) == [EVIL]
    assert found.words.count(EVIL) >= 3
    assert len(found.find("//script")) == 1
    (href,) = found.find("//tbody//th//a/@href")
    assert (await browser.get(href)).status == 200
