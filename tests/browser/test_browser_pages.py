# SPDX-License-Identifier: EUPL-1.2

"""Every page of the status page, in a real browser: nothing goes wrong in it, and everybody can use it."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from playwright.sync_api import Page as Shown

from adapter.rendering import Language
from tests.browser.conftest import Open, Window, new_context
from tests.browser.life import EVIL, Town
from tests.browser.sites import GONE_TO, crawl

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
TAKEN_ALONG = frozenset(
    (
        *("verzoeken.csv", "messages.csv", "parked.csv", "audit.csv"),
        *("verzoek.evidence", "message.evidence", "message.envelope", "message.part", "cpa.document"),
    )
)
SEEN = tuple(page.name for page in GONE_TO if page.name not in TAKEN_ALONG)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
DESKTOP = (1280, 900)
SCREEN: dict[str, Any] = {"media": "screen", "color_scheme": "light", "reduced_motion": "no-preference"}
MOST_TABS = 25
"""How far the keyboard goes on a long page."""

Places = tuple[Mapping[str, str], Mapping[str, str]]


@pytest.fixture(scope="module")
def places(chromium: Browser, place: Town) -> Places:
    """Where each page is, and each download."""
    context = new_context(chromium, "beheer")
    try:
        return crawl(context.request, place.url)
    finally:
        context.close()


@pytest.fixture(scope="module")
def screenshots() -> Path:
    """Where pictures of this run are kept, for people to look at."""
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    return SCREENSHOTS


@pytest.fixture(scope="module")
def window(chromium: Browser, place: Town) -> Iterator[Window]:
    """The window in which one page after another is looked at."""
    context = new_context(chromium, "beheer", locale="nl")
    yield Window(context.new_page(), place)
    context.close()


@dataclass(frozen=True)
class Sight:
    """A page that is to be looked at from all sides."""

    name: str
    path: str
    window: Window

    @property
    def page(self) -> Shown:
        return self.window.page

    @contextmanager
    def seen(self, width: int = DESKTOP[0], height: int = DESKTOP[1], **media: Any) -> Iterator[Shown]:
        """The page in a window of a size, and for media."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(**(SCREEN | media))
        try:
            yield self.page
        finally:
            self.page.emulate_media(**SCREEN)


@pytest.fixture(scope="module", params=SEEN)
def sight(request: pytest.FixtureRequest, places: Places, window: Window) -> Sight:
    """Each page in turn, loaded once in Dutch."""
    window.troubles.clear()
    found = Sight(request.param, places[0][request.param], window)
    window.go(found.path)
    return found


def violations(page: Shown, only: Sequence[str], *, by: str = "tag") -> list[str]:
    """What axe has to say of a page, by rules or by tags of rules."""
    options = {"resultTypes": ["violations"], "runOnly": {"type": by, "values": list(only)}}
    found: Any = Axe().run(page, options=options).response
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def overflow(page: Shown) -> list[str]:
    """What stands out of the window on the right, where that has to be scrolled for it."""
    found: list[str] = page.evaluate(
        """() => {
            const room = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= room) { return []; }
            const clips = (one) => one && (getComputedStyle(one).overflowX !== "visible" || clips(one.parentElement));
            const beyond = [...document.querySelectorAll("body *")]
                .filter((one) => one.getBoundingClientRect().right > room + 1);
            const seen = beyond.filter((one) => !clips(one.parentElement));
            return (seen.length ? seen : beyond).map((one) => one.outerHTML.slice(0, 120));
        }"""
    )
    return found


def test_links_lead_to_every_page_and_every_download(places: Places) -> None:
    pages, downloads = places
    assert set(pages) == set(SEEN)
    assert set(downloads) == TAKEN_ALONG


def test_a_page_breaks_no_rule_of_accessibility(sight: Sight) -> None:
    with sight.seen() as page:
        assert page.locator("html").get_attribute("lang") == "nl"
        assert violations(page, RULES) == []


def test_a_page_can_be_read_in_the_dark(sight: Sight) -> None:
    with sight.seen(color_scheme="dark", reduced_motion="reduce") as page:
        assert violations(page, ["color-contrast"], by="rule") == []


def test_a_page_fits_in_a_narrow_window(sight: Sight) -> None:
    with sight.seen(320, 700) as page:
        assert overflow(page) == []


def test_a_page_fits_with_letters_twice_as_large(sight: Sight) -> None:
    size = "parseFloat(getComputedStyle(document.querySelector('main')).fontSize)"
    with sight.seen() as page:
        before = page.evaluate(size)
        session = page.context.new_cdp_session(page)
        session.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
        after, beyond = page.evaluate(size), overflow(page)
        session.send("Page.setFontSizes", {"fontSizes": {"standard": 16, "fixed": 13}})
        session.detach()
    assert after == 2 * before
    assert beyond == []


def test_a_page_does_not_move_for_who_wants_that(sight: Sight) -> None:
    with sight.seen(reduced_motion="reduce") as page:
        assert page.evaluate(MOVING) == []


def test_a_page_is_whole_on_paper(sight: Sight) -> None:
    with sight.seen(718, 1000, media="print") as page:  # A4 within its margins; what is wider is cut off
        assert page.get_by_role("heading", level=1).is_visible()
        assert not page.locator("nav.menu").is_visible()
        assert not page.locator("[data-live-switch]").is_visible()
        assert overflow(page) == []


def test_a_page_is_as_its_pictures(sight: Sight, screenshots: Path) -> None:
    for language in (Language.NL, Language.EN):
        if language is Language.EN:
            sight.window.go(f"{sight.path}{'&' if '?' in sight.path else '?'}lang=en")
        for name, size in (("desktop", DESKTOP), ("mobile", (390, 844))):
            with sight.seen(*size) as page:
                assert page.locator("html").get_attribute("lang") == language
                page.screenshot(path=screenshots / f"{sight.name}-{language}-{name}.png", full_page=True)


def test_a_page_can_be_used_with_the_keyboard_alone(sight: Sight) -> None:
    reached: list[Any] = []
    with sight.seen() as page:
        for _ in range(min(page.evaluate(CONTROLS), MOST_TABS)):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(WHERE))
    assert reached[0]["href"] == "#main"
    assert [one["html"] for one in reached if not one["is_shown"]] == []
    order = [one["place"] for one in reached]  # a date has several fields in one place
    assert order == sorted(order), "the order of the keyboard is not that of the page"


def test_nothing_went_wrong_in_a_page(sight: Sight) -> None:
    """The last look at each: no error, no refusal by its policy, nothing asked of another site or in vain."""
    assert sight.window.troubles == []


WHERE = """() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    return {
        place: [...document.querySelectorAll("*")].indexOf(one),
        href: one.getAttribute("href"),
        html: one.outerHTML.slice(0, 120),
        is_shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
            && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    };
}"""
"""What has the focus, and whether somebody sees that."""

CONTROLS = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")]
    .filter((one) => !one.disabled && one.checkVisibility()).length"""

MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
    const style = getComputedStyle(one);
    const takes = (times) => times.split(",").some((time) => parseFloat(time) > 0.01);
    return takes(style.transitionDuration) || takes(style.animationDuration);
}).map((one) => one.outerHTML.slice(0, 120))"""


def test_what_a_stranger_chose_is_shown_and_not_run(browse: Open, place: Town) -> None:
    page = browse().go(f"/verzoeken/voorbeeldstad/{place.delivered[0].verzoeknummer}")
    assert page.get_by_text(f"{EVIL}.pdf").first.is_visible()
    assert "overgenomen" not in page.title()
