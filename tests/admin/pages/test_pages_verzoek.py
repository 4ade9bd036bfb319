# SPDX-License-Identifier: EUPL-1.2

"""One verzoek on the status page: what is known of it, and what can be done about it."""

import hashlib

import pytest

from adapter.store import (
    AuditFilter,
    AuditKind,
    AuditOutcome,
    DeliveryState,
    JobKind,
    JobState,
    find_audit,
    get_delivery,
    jobs_for,
)
from tests.admin.house import Api
from tests.admin.pages.house import EVIL, Browser, Sight, verzoek

PAGE = "/verzoeken/stad/2026030100001"
NUMBER = "2026030100001"


def lines(found: Sight) -> list[str]:
    return [" ".join(one.text_content().split()) for one in found.find("//ol[@class='timeline']/li//strong")]


async def audits(api: Api, **wanted: object) -> list[tuple[str, str, str | None, str | None]]:
    found = await api.db.read(find_audit, AuditFilter(**wanted), 50)  # type: ignore[arg-type]
    return [(one.actor, one.action, one.subject, one.authority) for one in found]


async def test_the_timeline_goes_from_the_notification_to_the_sink(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER)
    found = await browser.get(PAGE)
    assert lines(found) == [
        "The verzoek is to be collected",
        "The files of the verzoek are known",
        "2 files fetched",
        "The verzoek was collected completely",
        "Delivered",
    ]
    assert "Reference at the sink: ZAAK-1" in found.words
    assert all(one.endswith("Z") for one in found.find("//time/@datetime"))


async def test_its_files_have_size_and_digest(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER, name="situatie.pdf")
    found = await browser.get(PAGE)
    assert "situatie.pdf" in found.words
    digests = [one.text for one in found.find("//table[caption='Files']//code")]
    assert digests == [hashlib.sha256(octets).hexdigest() for octets in (b"<verzoek/>", b"document")]


async def test_looking_at_it_is_in_the_audit_trail(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER)
    assert (await browser.get(PAGE, user="stad")).status == 200
    assert await audits(api, kind=AuditKind.LOOK) == [("stad", "verzoek.show", NUMBER, "stad")]


async def test_where_the_audit_trail_cannot_be_written_nothing_is_shown(
    browser: Browser, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verzoek(api, NUMBER)

    async def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(type(api.db), "write", broken)
    found = await browser.get(PAGE)
    assert found.status == 500
    assert NUMBER not in found.words


@pytest.mark.parametrize(
    "path", ["/verzoeken/stad/none", "/verzoeken/nobody/1", "/verzoeken/dorp/2026030100001"]
)
async def test_what_is_not_there_is_no_page(browser: Browser, api: Api, path: str) -> None:
    await verzoek(api, NUMBER)
    assert (await browser.get(path)).status == 404


async def test_a_parked_verzoek_says_why_and_is_tried_again_without_javascript(
    browser: Browser, api: Api
) -> None:
    row = await verzoek(api, NUMBER, state=DeliveryState.PARKED, reason="the sink is full")
    found = await browser.get(PAGE, user="stad")
    assert "This verzoek is parked and waits for you. the sink is full" in found.words
    (form,) = found.find("//form[@method='post']")
    done = await browser.post(form.get("action"), user="stad")
    assert "The verzoek is tried again (1)." in done.words
    assert done.url.startswith(PAGE)
    (job,) = await api.db.read(jobs_for, JobKind.DELIVER, row)
    assert job.state is JobState.READY
    assert await audits(api, kind=AuditKind.CHANGE) == [("stad", "verzoek.retry", NUMBER, "stad")]
    again = await browser.post(form.get("action"), user="stad")
    assert "Nothing of this verzoek was parked; nothing was changed." in again.words
    assert len(await audits(api, kind=AuditKind.CHANGE)) == 1


async def test_giving_up_asks_first_and_wants_a_reason(browser: Browser, api: Api) -> None:
    row = await verzoek(api, NUMBER, state=DeliveryState.PARKED)
    found = await browser.get(PAGE)
    (href,) = found.find("//a[text()='Skip…']/@href")
    asked = await browser.get(href)
    assert "This cannot be undone" in asked.words
    (form,) = asked.find("//form[@method='post']")
    assert form.xpath(".//input[@name='reason'][@required]")
    assert (await browser.post(form.get("action"), {"reason": "  "})).status == 400
    assert (await api.db.read(get_delivery, row)).state is DeliveryState.PARKED
    done = await browser.post(form.get("action"), {"reason": f"by hand {EVIL}"})
    assert "The verzoek was skipped (1)." in done.words
    assert lines(done)[-1] == "Skipped by an operator"
    assert f"by hand {EVIL}" in done.words
    assert await audits(api, kind=AuditKind.CHANGE, outcome=AuditOutcome.DONE) == [
        ("beheer", "verzoek.skip", NUMBER, "stad")
    ]
    assert (await browser.get(href)).status == 409


async def test_a_message_of_what_was_done_is_one_of_ours(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER)
    for query in ("done=nothing", "done=retried&count=many", "done=retried&count=1234567890"):
        assert not (await browser.get(f"{PAGE}?{query}")).find("//div[@role='status']")


async def test_who_may_only_look_is_offered_nothing_and_refused_what_it_asks(
    browser: Browser, api: Api
) -> None:
    await verzoek(api, "1", "stad", state=DeliveryState.PARKED)
    await verzoek(api, "1", "dorp", state=DeliveryState.PARKED)
    found = await browser.get("/verzoeken/stad/1", user="hersteller")  # looks at stad, repairs dorp
    assert "A user with the role repair can try it again" in found.words
    assert not found.find("//form")
    assert (await browser.post("/verzoeken/stad/1/retry", user="hersteller")).status == 403
    assert (await browser.get("/verzoeken/stad/1/skip", user="hersteller")).status == 403
    assert (await browser.post("/verzoeken/stad/1/skip", {"reason": "x"}, user="hersteller")).status == 403
    assert (await browser.post("/verzoeken/dorp/1/retry", user="hersteller")).status == 200
    refused = await audits(api, outcome=AuditOutcome.REFUSED)
    assert [entry[1:3] for entry in refused] == [
        ("verzoek.skip", "1"),
        ("verzoek.show", "1"),
        ("verzoek.retry", "1"),
    ]


async def test_only_a_form_is_taken(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER, state=DeliveryState.PARKED)
    response = await api.client.post(
        f"{PAGE}/retry", json={}, headers={"Authorization": "Bearer the-token-of-beheer"}
    )
    assert response.status == 415


async def test_what_a_partner_chose_is_text(browser: Browser, api: Api) -> None:
    row = await verzoek(api, NUMBER, state=DeliveryState.PARKED, reason=EVIL, doel=EVIL, name=f"{EVIL}.pdf")
    found = await browser.get(PAGE)
    assert found.words.count(EVIL) >= 4
    assert len(found.find("//script")) == 1
    skip = await browser.get(f"{PAGE}/skip")
    assert EVIL in skip.words
    assert len(skip.find("//script")) == 1
    assert row


async def test_verzoeken_of_the_same_application_lead_to_each_other(browser: Browser, api: Api) -> None:
    await verzoek(api, NUMBER, project="p1")
    await verzoek(api, "2026030100002", project="p1")
    found = await browser.get(PAGE)
    assert "/verzoeken/stad/2026030100002" in found.links()
