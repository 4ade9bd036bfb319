# SPDX-License-Identifier: EUPL-1.2

"""The overview: what needs somebody, and how things are."""

from datetime import timedelta

import pytest

from adapter.admin import EVERYBODY, Ending, Health, Trouble, create_admin_app
from adapter.admin.pages.charts import Column, bars
from adapter.store import DeliveryState, StoreUnavailable, pause_lane
from tests.admin.house import Api
from tests.admin.pages.house import Browser, Sight, verzoek

DAY = timedelta(days=1)


def needs(found: Sight) -> list[str]:
    return [" ".join(" ".join(one.itertext()).split()) for one in found.find("//ul[@class='needs']/li")]


def figures(found: Sight) -> dict[str, str]:
    return {
        one.xpath("string(dt)"): one.xpath("string(dd[1])")
        for one in found.find("//dl[@class='figures']/div")
    }


async def test_where_all_is_well_nothing_is_asked(browser: Browser, api: Api) -> None:
    await verzoek(api, "1")
    found = await browser.get("/")
    assert "There is nothing you have to do: all goes well." in found.words
    assert figures(found) == {"On its way": "0", "Parked": "0", "Came in": "1", "Delivered": "1"}


async def test_what_is_parked_is_asked_for_and_leads_to_it(browser: Browser, api: Api) -> None:
    await verzoek(api, "1", state=DeliveryState.PARKED)
    await verzoek(api, "2", state=DeliveryState.READY)
    found = await browser.get("/")
    assert needs(found)[0].startswith("Action needed 1 verzoek of stad is parked")
    assert figures(found) == {"On its way": "1", "Parked": "1", "Came in": "2", "Delivered": "0"}
    (href,) = found.find("//ul[@class='needs']//a/@href")
    assert "1" in [one.text for one in (await browser.get(href)).find("//tbody//th//a")]


async def test_a_paused_lane_is_said_to_those_whose_work_it_has(browser: Browser, api: Api) -> None:
    await api.db.write(pause_lane, "sink:stad/archief", "maintenance")
    assert needs(await browser.get("/")) == ["Attention sink:stad/archief is paused maintenance"]
    assert needs(await browser.get("/", user="kijker")) == []


async def test_what_is_of_another_authority_is_not_counted(browser: Browser, api: Api) -> None:
    await verzoek(api, "1", "stad", state=DeliveryState.PARKED)
    found = await browser.get("/", user="kijker")
    assert "stad" not in found.words
    assert figures(found) == {"On its way": "0", "Parked": "0", "Came in": "0", "Delivered": "0"}


async def test_trends_are_charts_with_a_table_that_says_the_same(browser: Browser, api: Api) -> None:
    await verzoek(api, "1")
    await verzoek(api, "2", at=api.clock() - 3 * DAY)
    found = await browser.get("/")
    hours, days = found.find("//figure")
    assert "Delivered or closed 1" in hours.xpath("string(.//svg/@aria-label)")
    assert "Delivered or closed 2" in days.xpath("string(.//svg/@aria-label)")
    for figure, length in ((hours, 24), (days, 14)):
        assert len(figure.xpath(".//svg/g")) == len(figure.xpath(".//tbody/tr")) == length
    assert sum(int(cell) for cell in days.xpath(".//tbody/tr/td[1]/text()")) == 2


async def test_what_ends_and_why_it_is_not_ready_is_said(api: Api, aiohttp_client: object) -> None:
    now = api.clock()
    endings = (
        Ending("own", "stad", "stad.pem", now - DAY),
        Ending("partner", "dorp", "CPA-2 (signing)", now + 5 * DAY),
        Ending("root", "", "CN=Root", now + 900 * DAY),
    )

    async def full() -> list[Trouble]:
        return [Trouble("only 1 MiB is free", stops=EVERYBODY)]

    health = Health({"disk": full}, api.metrics)
    app = create_admin_app(health=health, metrics=api.metrics, api=api.parts, endings=lambda: endings)
    api.client = await aiohttp_client(app)  # type: ignore[operator]
    browser = Browser(api)
    found = needs(await browser.get("/"))
    assert found[0] == "Action needed The adapter is not ready only 1 MiB is free"
    assert found[1].startswith("Action needed Certificate · stad : has ended on")
    assert found[2].startswith("Attention Certificate of the partner · dorp : ends on")
    assert len(found) == 3
    seen = (await browser.get("/", user="kijker")).words
    assert "CPA-2 (signing)" in seen
    assert "CN=Root" in seen
    assert "stad.pem" not in seen


async def test_a_store_that_does_not_answer_is_said(
    browser: Browser, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(type(api.db), "read", unavailable)
    found = await browser.get("/")
    assert (found.status, found.find("//h1/text()")) == (503, ["Not available now"])
    assert "server is away" not in found.text


async def test_what_costs_much_is_read_once_a_minute_for_all(browser: Browser, api: Api) -> None:
    assert figures(await browser.get("/"))["Came in"] == "0"
    await verzoek(api, "1", state=DeliveryState.PARKED)
    found = figures(await browser.get("/"))
    assert (found["Came in"], found["Parked"]) == ("0", "1")
    api.clock.shift += timedelta(minutes=2)
    assert figures(await browser.get("/"))["Came in"] == "1"


def test_bars_stand_on_each_other_below_a_round_number() -> None:
    chart = bars("x", ("a", "b"), [Column("one", (3, 1)), Column("two", (0, 0)), Column("three", (70, 0))])
    assert (chart.top, chart.totals) == (80, (73, 1))
    lower, upper = chart.bars[0].pieces
    assert lower.y == pytest.approx(upper.y + upper.height)
    assert chart.bars[1].pieces == ()
    assert chart.bars[0].title == "one: a 3, b 1"


def test_a_chart_of_nothing_is_empty() -> None:
    assert bars("x", ("a",), []).bars == ()
