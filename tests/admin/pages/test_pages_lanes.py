# SPDX-License-Identifier: EUPL-1.2

"""Lanes on the status page: paused with a reason, resumed, by those who may repair for their authority."""

from typing import Any
from urllib.parse import quote

import pytest

from adapter.admin.pages import lanes as pages
from adapter.store import AuditFilter, AuditKind, JobKind, NewJob, add_job, find_audit, lanes, pause_lane
from tests.admin.house import Api
from tests.admin.pages.house import Browser

WITH_WORK = "//tbody/tr[td[@class='number'][1] != '0']"
SINK = "sink:stad/archief"
PATH = f"/lanes/{quote(SINK, safe='')}"


@pytest.fixture
async def busy(api: Api) -> None:
    """Work in a lane of each authority."""
    for authority in ("stad", "dorp"):
        job = NewJob(JobKind.DELIVER, f"sink:{authority}/archief")
        await api.db.write(add_job, job, authority, 1, api.clock())


async def paused(api: Api) -> list[tuple[str, str | None]]:
    return [(one.name, one.reason) for one in await api.db.read(lanes) if one.paused]


async def changes(api: Api) -> list[tuple[Any, ...]]:
    entries = await api.db.read(find_audit, AuditFilter(kind=AuditKind.CHANGE), 10)
    return [(one.action, one.subject, one.authority, str(one.outcome)) for one in entries[::-1]]


@pytest.mark.usefixtures("busy")
async def test_lanes_are_listed_with_what_waits_in_them(browser: Browser) -> None:
    page = await browser.get("/lanes")
    assert len(page.find(WITH_WORK)) == 2
    assert SINK in page.text
    assert len((await browser.get("/lanes?authority=dorp")).find(WITH_WORK)) == 1


async def test_a_lane_without_work_can_be_paused_before_the_maintenance_of_what_is_behind_it(
    api: Api, browser: Browser
) -> None:
    page = await browser.get("/lanes")
    assert SINK in page.text
    assert page.find(WITH_WORK) == []
    await browser.post(f"{PATH}/pause", {"reason": "maintenance"}, user="stad")
    assert await paused(api) == [(SINK, "maintenance")]


@pytest.mark.usefixtures("busy")
async def test_of_many_authorities_only_lanes_with_work_are_listed_until_one_is_chosen(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "WITH_IDLE", 1)
    every = await browser.get("/lanes")
    assert len(every.find("//tbody/tr")) == len(every.find(WITH_WORK)) == 2
    assert "Lanes without work are listed when you choose an authority." in every.words
    one = await browser.get("/lanes?authority=stad")
    assert len(one.find("//tbody/tr")) > len(one.find(WITH_WORK)) == 1


@pytest.mark.usefixtures("busy")
async def test_a_lane_is_paused_for_a_reason_and_resumed(api: Api, browser: Browser) -> None:
    asked = await browser.get(f"{PATH}/pause", user="stad")
    assert asked.find("//input[@name='reason']/@required")
    page = await browser.post(f"{PATH}/pause", {"reason": " maintenance "}, user="stad")
    assert "The lane is paused." in page.words
    assert "maintenance" in page.words
    assert await paused(api) == [(SINK, "maintenance")]
    assert "The lane is open." in (await browser.post(f"{PATH}/resume", user="stad")).words
    assert await paused(api) == []
    assert await changes(api) == [
        ("lane.pause", SINK, "stad", "done"),
        ("lane.resume", SINK, "stad", "done"),
    ]


@pytest.mark.usefixtures("busy")
async def test_a_lane_is_paused_and_resumed_once(api: Api, browser: Browser) -> None:
    assert (await browser.post(f"{PATH}/resume")).status == 409
    assert (await browser.post(f"{PATH}/pause", {"reason": "first"})).status == 200
    assert (await browser.post(f"{PATH}/pause", {"reason": "second"})).status == 409
    assert (await browser.get(f"{PATH}/pause")).find("//h1/text()") == ["Lanes"]
    assert await paused(api) == [(SINK, "first")]


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
async def test_a_lane_is_not_paused_without_a_reason_of_some_length(
    api: Api, browser: Browser, reason: str
) -> None:
    assert (await browser.post(f"{PATH}/pause", {"reason": reason})).status == 400
    assert await paused(api) == []


@pytest.mark.usefixtures("busy")
async def test_who_may_only_look_changes_no_lane(api: Api, browser: Browser) -> None:
    """`hersteller` looks at stad and repairs dorp; `kijker` looks at dorp."""
    page = await browser.get("/lanes", user="kijker")
    assert not page.find("//main//form[@method='post'] | //main//a[contains(@class, 'button')]")
    other = f"/lanes/{quote('sink:dorp/archief', safe='')}"
    for path, user in ((PATH, "hersteller"), (other, "kijker")):
        for action in ("pause", "resume"):
            assert (await browser.post(f"{path}/{action}", {"reason": "why"}, user=user)).status == 403
        assert (await browser.get(f"{path}/pause", user=user)).status == 403
    assert await paused(api) == []


@pytest.mark.usefixtures("busy")
async def test_the_lane_of_another_authority_is_not_there(api: Api, browser: Browser) -> None:
    await api.db.write(pause_lane, "sink:dorp/archief", "geheim")
    page = await browser.get("/lanes", user="stad")
    assert "dorp" not in page.text
    other = f"/lanes/{quote('sink:dorp/archief', safe='')}"
    for action in ("pause", "resume"):
        assert (await browser.post(f"{other}/{action}", {"reason": "why"}, user="stad")).status == 404
        assert (await browser.post(f"/lanes/none/{action}", {"reason": "why"}, user="stad")).status == 404
    assert (await browser.get(f"{other}/pause", user="stad")).status == 404
    assert await paused(api) == [("sink:dorp/archief", "geheim")]
