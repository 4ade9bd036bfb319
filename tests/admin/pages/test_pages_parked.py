# SPDX-License-Identifier: EUPL-1.2

"""What is parked, on the status page: tried again or given up once, by those who may, each with an audit entry."""

from datetime import timedelta
from typing import Any

import pytest

from adapter.store import (
    AuditFilter,
    AuditKind,
    DeliveryState,
    Flow,
    JobKind,
    JobState,
    NewDelivery,
    NewJob,
    Origin,
    add_job,
    claim_jobs,
    create_delivery,
    find_audit,
    find_jobs,
    get_delivery,
    park_job,
)
from tests.admin.house import Api
from tests.admin.pages.house import Browser, Sight


async def park(
    api: Api, *numbers: str, authority: str = "stad", reason: str = "the disk is full"
) -> list[int]:
    """Park the collecting of verzoeken; the ids of the jobs."""
    now = api.clock()
    for number in numbers:
        new = NewDelivery(
            authority=authority,
            sink="archief",
            flow=Flow.STAM,
            origin=Origin.NOTIFICATION,
            verzoeknummer=number,
        )
        await api.db.write(create_delivery, new, NewJob(JobKind.COLLECT, f"dso:{authority}"), now)
    claimed = await api.db.write(claim_jobs, "w", now, timedelta(minutes=1), 100, (), [JobKind.COLLECT])
    for job in claimed:
        await api.db.write(park_job, job, reason, now)
    return sorted(job.id for job in claimed)


async def parked(api: Api) -> list[int]:
    return sorted(job.id for job in await api.db.read(find_jobs, JobState.PARKED))


async def changes(api: Api, action: str) -> list[tuple[Any, ...]]:
    entries = await api.db.read(find_audit, AuditFilter(kind=AuditKind.CHANGE, action=action), 10)
    return sorted((one.subject, one.authority) for one in entries if one.outcome == "done")


def buttons(page: Sight) -> list[Any]:
    return page.find("//main//button[@name='only'] | //main//input[@type='checkbox']")


async def test_what_is_parked_is_listed_with_its_reason_and_where_to_look(api: Api, browser: Browser) -> None:
    await park(api, "1001", "1002")
    page = await browser.get("/parked")
    assert "the disk is full" in page.words
    assert "/verzoeken/stad/1001" in page.links()
    assert len(page.find("//tbody/tr")) == 2


async def test_nothing_parked_is_good_news(browser: Browser) -> None:
    assert "There is nothing to do." in (await browser.get("/parked")).words


async def test_what_is_parked_is_found_by_kind_and_reason(api: Api, browser: Browser) -> None:
    await park(api, "1001")
    await park(api, "1002", reason="no route")
    assert len((await browser.get("/parked?reason=ROUTE")).find("//tbody/tr")) == 1
    assert not (await browser.get("/parked?kind=send")).find("//tbody/tr")
    assert (await browser.get("/parked?kind=lost")).status == 400


async def test_one_is_tried_again_by_its_own_button_whatever_else_is_ticked(
    api: Api, browser: Browser
) -> None:
    first, second = await park(api, "1001", "1002")
    page = await browser.post("/parked/retry", {"only": str(first), f"item-{second}": "on"}, user="stad")
    assert page.status == 200
    assert "Tried again: 1." in page.words
    assert await parked(api) == [second]
    assert await changes(api, "parked.retry") == [("1001", "stad")]


async def test_several_are_tried_again_at_once_with_an_entry_for_each(api: Api, browser: Browser) -> None:
    ids = await park(api, "1001", "1002", "1003")
    page = await browser.post("/parked/retry", {f"item-{one}": "on" for one in ids[:2]})
    assert "Tried again: 2." in page.words
    assert await parked(api) == ids[2:]
    assert await changes(api, "parked.retry") == [("1001", "stad"), ("1002", "stad")]


async def test_what_was_tried_again_already_is_not_tried_twice(api: Api, browser: Browser) -> None:
    (one,) = await park(api, "1001")
    fields = {"only": str(one)}
    assert (await browser.post("/parked/retry", fields)).status == 200
    assert (await browser.post("/parked/retry", fields)).status == 409
    assert await changes(api, "parked.retry") == [("1001", "stad")]


async def test_giving_up_asks_why_first(api: Api, browser: Browser) -> None:
    ids = await park(api, "1001", "1002")
    asked = await browser.get(f"/parked/skip?item-{ids[0]}=on", user="stad")
    assert asked.status == 200
    assert asked.find("//main//input[@type='hidden']/@name") == [f"item-{ids[0]}"]
    assert asked.find("//input[@name='reason']/@required")
    assert await parked(api) == ids


async def test_what_is_given_up_is_skipped_for_the_reason(api: Api, browser: Browser) -> None:
    (one,) = await park(api, "1001")
    page = await browser.post("/parked/skip", {f"item-{one}": "on", "reason": " by  hand "}, user="stad")
    assert "Skipped: 1." in page.words
    delivery = await api.db.read(get_delivery, 1)
    assert (delivery.state, delivery.reason) == (DeliveryState.SKIPPED, "by hand")
    (entry,) = await api.db.read(find_audit, AuditFilter(action="parked.skip"), 10)
    assert (entry.subject, entry.detail["reason"]) == ("1001", "by hand")
    assert (await browser.post("/parked/skip", {f"item-{one}": "on", "reason": "again"})).status == 409


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
async def test_nothing_is_given_up_without_a_reason_of_some_length(
    api: Api, browser: Browser, reason: str
) -> None:
    ids = await park(api, "1001")
    assert (await browser.post("/parked/skip", {"only": str(ids[0]), "reason": reason})).status == 400
    assert await parked(api) == ids


async def test_what_comes_again_by_itself_is_not_given_up(api: Api, browser: Browser) -> None:
    now = api.clock()
    await api.db.write(add_job, NewJob(JobKind.RECONCILE, "dso:stad"), "stad", 0, now)
    (job,) = await api.db.write(claim_jobs, "w", now, timedelta(minutes=1), 9, (), [JobKind.RECONCILE])
    await api.db.write(park_job, job, "no", now)
    page = await browser.get("/parked")
    assert len(page.find("//button[@name='only']")) == 1
    assert (await browser.post("/parked/skip", {"only": str(job.id), "reason": "why"})).status == 409
    assert await parked(api) == [job.id]


@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_who_may_only_look_sees_no_buttons_and_changes_nothing(
    api: Api, browser: Browser, action: str
) -> None:
    ids = await park(api, "1001", authority="dorp")
    page = await browser.get("/parked", user="kijker")
    assert "1001" in page.words
    assert not buttons(page)
    fields = {"only": str(ids[0]), "reason": "why"}
    assert (await browser.post(f"/parked/{action}", fields, user="kijker")).status == 403
    assert (await browser.get(f"/parked/skip?only={ids[0]}", user="kijker")).status == 403
    assert await parked(api) == ids


@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_who_may_repair_for_another_authority_changes_nothing_of_this_one(
    api: Api, browser: Browser, action: str
) -> None:
    """`hersteller` looks at stad and repairs dorp."""
    mine = await park(api, "1001", authority="dorp")
    others = await park(api, "1002", authority="stad")
    page = await browser.get("/parked", user="hersteller")
    assert page.find("//input[@type='checkbox']/@name") == [f"item-{mine[0]}"]
    fields = {f"item-{mine[0]}": "on", f"item-{others[0]}": "on", "reason": "why"}
    assert (await browser.post(f"/parked/{action}", fields, user="hersteller")).status == 403
    assert await parked(api) == [*mine, *others]


@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_what_is_of_an_authority_that_the_user_does_not_have_is_not_there(
    api: Api, browser: Browser, action: str
) -> None:
    ids = await park(api, "1001", authority="dorp")
    assert "1001" not in (await browser.get("/parked", user="stad")).text
    fields = {"only": str(ids[0]), "reason": "why"}
    assert (await browser.post(f"/parked/{action}", fields, user="stad")).status == 409
    assert await parked(api) == ids


async def test_who_chose_nothing_is_told_so(api: Api, browser: Browser) -> None:
    ids = await park(api, "1001")
    for page in (await browser.post("/parked/retry"), await browser.get("/parked/skip")):
        assert page.find("//h1/text()") == ["Parked"]
        assert "You chose nothing" in page.words
    assert await parked(api) == ids


@pytest.mark.parametrize("fields", [{"only": "x"}, {"item-": "on"}, {"item-1x": "on"}, {"only": "9" * 19}])
async def test_a_form_that_chooses_what_is_no_item_is_refused(
    browser: Browser, fields: dict[str, str]
) -> None:
    assert (await browser.post("/parked/retry", fields)).status == 400


async def test_more_than_a_hundred_at_once_are_refused(browser: Browser) -> None:
    assert (await browser.post("/parked/retry", {f"item-{one}": "on" for one in range(101)})).status == 400


async def test_what_is_parked_is_a_table_for_a_spreadsheet(api: Api, browser: Browser) -> None:
    await park(api, "1001", reason="=cmd|x")
    found = await browser.get("/parked.csv", language="nl", user="stad")
    lines = found.text.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(";1001;;dso:stad;1;'=cmd|x")
    assert "1001" not in (await browser.get("/parked.csv", user="kijker")).text
