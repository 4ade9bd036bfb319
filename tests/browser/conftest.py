# SPDX-License-Identifier: EUPL-1.2

"""A real browser before the status page of a real daemon."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.life import PATIENCE, TOKENS, Town, town
from tests.servers import do_without

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--renderer-process-limit=1",
    "--in-process-gpu",
)
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium without a window.

    For one module: while Playwright is there its event loop runs in this thread, and no asynchronous test could.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        do_without("browser", "a browser", f"there is none of {', '.join(NAMES)}; install Debian's chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The daemon, with its life behind it; not made where there is no browser."""
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@dataclass
class Window:
    """A page of the browser, with all that went wrong in it."""

    page: Page
    town: Town
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.on("console", lambda said: said.type in {"error", "warning"} and self._note(said.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda one: one.url.startswith(self.town.url) or self._note(f"asked {one.url}"))
        page.on("response", lambda one: one.status >= 400 and self._note(f"{one.status} {one.url}"))

    def go(self, path: str) -> Page:
        self.page.goto(self.town.url + path)
        return self.page

    def path(self) -> str:
        """Where it is."""
        return self.page.url.removeprefix(self.town.url)

    def _note(self, what: str) -> None:
        self.troubles.append(what)


Open = Callable[..., Window]


@pytest.fixture(scope="module")
def contexts(chromium: Browser) -> Iterator[dict[str, BrowserContext]]:
    """Browsers of users, by who and how: to make one takes as long as a test."""
    made: dict[str, BrowserContext] = {}
    yield made
    for context in made.values():
        context.close()


@pytest.fixture
def browse(chromium: Browser, place: Town, contexts: dict[str, BrowserContext]) -> Iterator[Open]:
    """Open windows; nothing may go wrong in any of them."""
    windows: list[Window] = []

    def start(*, user: str = "beheer", **options: Any) -> Window:
        key = repr((user, sorted(options.items())))
        if key not in contexts:
            contexts[key] = new_context(chromium, user, locale="en", **options)
        windows.append(Window(contexts[key].new_page(), place))
        return windows[-1]

    yield start
    for window in windows:
        window.page.close()
    assert [one.troubles for one in windows if one.troubles] == []


def new_context(chromium: Browser, user: str, **options: Any) -> BrowserContext:
    """A browser in which a user has logged in."""
    login = aiohttp.encode_basic_auth(user, TOKENS[user], "utf-8")
    context = chromium.new_context(extra_http_headers={"Authorization": login}, **options)
    context.set_default_timeout(PATIENCE * 1000)
    return context
