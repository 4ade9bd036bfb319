# SPDX-License-Identifier: EUPL-1.2

"""What an operator does on the status page, in a real browser: with JavaScript, without it, and with the keyboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from adapter.store import DeliveryState
from tests.browser.conftest import Open, Window
from tests.browser.life import Town

each_browser = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])


@each_browser
def test_a_parked_verzoek_is_tried_again_and_delivered(browse: Open, place: Town, script: bool) -> None:
    verzoek = place.parked.pop()
    page = browse(java_script_enabled=script).go("/parked")
    page.get_by_role("link", name=verzoek.verzoeknummer).click()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status").first).to_be_visible()
    place.settles(DeliveryState.DELIVERED, verzoek)
    page.goto(page.url)
    expect(page.locator(".badge").first).to_have_text("Delivered")


@each_browser
def test_what_is_chosen_of_the_parked_is_given_up_with_a_reason(
    browse: Open, place: Town, script: bool
) -> None:
    verzoek = place.parked.pop()
    page = browse(java_script_enabled=script).go("/parked")
    page.get_by_role("row").filter(has_text=verzoek.verzoeknummer).get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Skip (what|the)? ?chosen|^Skip chosen")).click()
    page.get_by_role("textbox").fill("buiten het systeem om afgehandeld")
    page.locator("main form button[type=submit]").last.click()
    place.settles(DeliveryState.SKIPPED, verzoek)
    page.goto(f"{place.url}/verzoeken/voorbeeldstad/{verzoek.verzoeknummer}")
    expect(page.locator("main")).to_contain_text("buiten het systeem om afgehandeld")


@each_browser
def test_a_partner_is_pinged(browse: Open, script: bool) -> None:
    page = browse(java_script_enabled=script).go("/partners?authority=voorbeeldstad")
    page.get_by_role("button", name="Ping").first.click()
    expect(page.locator("#pinged")).to_contain_text("answered the ping")


@each_browser
def test_a_lane_is_paused_and_resumed(browse: Open, script: bool) -> None:
    page = browse(java_script_enabled=script).go("/lanes")
    lane = page.get_by_role("row").filter(has_text="sink:s-gravenhage/archief")
    lane.get_by_role("link", name="Pause").click()
    page.get_by_role("textbox").fill("onderhoud zaaksysteem")
    page.get_by_role("button", name="Pause").click()
    expect(lane).to_contain_text("onderhoud zaaksysteem")
    lane.get_by_role("button", name="Resume").click()
    expect(lane.get_by_role("link", name="Pause")).to_be_visible()


@each_browser
def test_a_verzoek_is_found_by_its_number(browse: Open, place: Town, script: bool) -> None:
    wanted = place.delivered[0].verzoeknummer
    page = browse(java_script_enabled=script).go("/verzoeken")
    page.get_by_role("searchbox").fill(wanted)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("rowheader")).to_have_text([wanted])


@each_browser
def test_the_language_that_was_chosen_stays(browse: Open, script: bool) -> None:
    page = browse(java_script_enabled=script).go("/")
    page.get_by_role("link", name="Nederlands").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    page.get_by_role("navigation").first.get_by_role("link", name="Verzoeken").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    page.get_by_role("button", name="Zoeken").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")


def listening(window: Window, path: str) -> Page:
    """A page that is told of changes from now on, and knows when it is loaded again."""
    with window.page.expect_response(re.compile("/events")):
        window.go(path)
    window.page.evaluate("window.isThePage = true")
    return window.page


def test_a_page_that_is_open_shows_what_happens_without_being_loaded_again(browse: Open, place: Town) -> None:
    page = listening(browse(), "/verzoeken")
    verzoek = place.announce()
    expect(page.locator("[data-news]")).to_be_visible(timeout=30_000)
    assert page.evaluate("window.isThePage")
    page.locator("[data-news] a").click()
    expect(page.get_by_role("rowheader").first).to_have_text(verzoek.verzoeknummer)


def test_figures_of_the_overview_are_renewed_by_themselves(browse: Open, place: Town) -> None:
    page = listening(browse(), "/")
    figure = page.locator("[data-live] .figure").nth(1).locator("dd").first
    before = int(figure.inner_text())
    place.announce(is_broken=True)
    expect(figure).to_have_text(str(before + 1), timeout=30_000)
    assert page.evaluate("window.isThePage")


def test_live_updates_are_switched_off_and_stay_so(browse: Open, place: Town) -> None:
    page = browse().go("/verzoeken")
    switch = page.locator("[data-live-switch] button")
    on = switch.inner_text()
    switch.click()
    expect(switch).not_to_have_text(on)
    page.reload()
    expect(switch).not_to_have_text(on)
    switch.click()
    expect(switch).to_have_text(on)


def test_the_first_thing_a_keyboard_comes_to_skips_the_menu(browse: Open) -> None:
    page = browse().go("/verzoeken")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    expect(page.locator(".skip-link")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_who_may_only_look_is_offered_nothing_to_do(browse: Open, place: Town) -> None:
    window = browse(user="kijker")
    verzoek = place.delivered[0].verzoeknummer
    for path in ("/parked", "/partners", "/lanes", f"/verzoeken/voorbeeldstad/{verzoek}"):
        page = window.go(path)
        assert page.locator("main form[method=post] button").count() == 0, path
    assert "s-gravenhage" not in window.go("/").locator("main").inner_text()
