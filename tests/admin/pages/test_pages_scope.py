# SPDX-License-Identifier: EUPL-1.2

"""A user of one authority sees nothing of another: every page, with everything in the store that it could show."""

import pytest

from adapter.admin.pages.page import Page
from adapter.admin.pages.site import PAGES
from adapter.config import Role
from adapter.rendering import Language
from adapter.store import DeliveryState, agreement_versions, pause_lane
from tests.admin.house import Api
from tests.admin.pages.house import SHOWN, Browser, sample, verzoek

MARK = "2026999900001"
"""Stands in all that is of the other authority."""


async def other_authority(api: Api) -> dict[str, str]:
    """Something of stad for every page; the variables of their paths."""
    await verzoek(api, MARK, "stad", state=DeliveryState.PARKED, reason=f"parked {MARK}", name=f"{MARK}.pdf")
    message = await api.received(f"{MARK}@dso", b"payload", authority="stad")
    lane = "sink:stad/archief"
    await api.db.write(pause_lane, lane, f"paused {MARK}")
    return {
        "authority": "stad",
        "verzoeknummer": MARK,
        "messageId": f"{MARK}@dso",
        "message": str(message),
        "cpaId": api.authority("stad").cpa_id,
        "lane": lane,
        "position": "0",
        "version": str((await api.db.read(agreement_versions, ["stad"]))[0].id),
    }


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "events"], ids=lambda page: page.name
)
async def test_nothing_of_another_authority_is_seen_or_changed(
    browser: Browser, api: Api, page: Page
) -> None:
    variables = await other_authority(api)
    path = sample(page, **variables)
    for user in ("kijker", "dorper"):  # looks at, and administers, another authority
        found = await browser._go(page.method, path, user, {"Accept-Language": "en"}, {})
        if "{" in page.path:
            assert found.status in {403, 404, 415, 400}, (user, found.status)
        else:
            refused = {403} if page.role is not Role.LOOK else set()
            bad_form = {400} if page.method == "POST" else set()
            assert found.status in {200, *refused, *bad_form}, (user, found.status)
        if found.status == 200:
            seen = found.text.replace(str(found.url), "")
            assert MARK not in seen
            assert api.authority("stad").cpa_id not in seen
            assert "stad" not in found.words


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.name)
async def test_every_page_has_all_its_words_and_no_more_than_one_heading(
    browser: Browser, api: Api, page: Page, language: Language
) -> None:
    variables = await other_authority(api)
    found = await browser.get(sample(page, **variables), language=language)
    assert found.status == 200, found.words
    if not found.headers["Content-Type"].startswith("text/html"):
        return
    assert found.find("/html/@lang") == [language]
    assert len(found.find("//h1")) == 1
    assert len(found.find("//main")) == 1
    for table in found.find("//table"):
        assert table.xpath("caption")
        assert all(head.get("scope") for head in table.xpath(".//th"))
    labelled = set(found.find("//label/@for"))
    assert {str(one) for one in found.find("//input[not(@type='hidden')]/@id | //select/@id")} <= labelled
    ids = found.find("//@id")
    assert len(ids) == len(set(ids))
    assert found.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert not found.find("//*[@style] | //style | //script[not(@src)]")


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.name)
async def test_every_link_of_a_page_leads_somewhere_in_the_chosen_language(
    browser: Browser, api: Api, page: Page
) -> None:
    variables = await other_authority(api)
    path = sample(page, **variables)
    found = await browser.get(f"{path}?lang=nl", language="en")
    if not found.headers["Content-Type"].startswith("text/html"):
        return
    for href in dict.fromkeys(found.links()):
        assert "lang=" in href, href
        there = await browser.get(href)
        assert there.status == 200, href
