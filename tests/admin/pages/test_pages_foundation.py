# SPDX-License-Identifier: EUPL-1.2

"""What holds for every page: who may see it, what protects it, its languages, its errors."""

import asyncio
import re
from importlib.resources import files
from pathlib import Path

import pytest

from adapter.admin.pages.badges import LOOKS
from adapter.admin.pages.page import Page, words_of
from adapter.admin.pages.site import PAGES
from adapter.admin.pages.theme import read_theme
from adapter.config import ConfigProblem
from adapter.rendering import Language, preferred_language
from adapter.store import AuditFilter, AuditKind, Event, add_event, find_audit
from tests.admin.house import TOKENS, Api
from tests.admin.pages.house import Browser, sample
from tests.waiting import until_stored

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
WORDS = sorted({path.name.split(".")[0] for path in (files("adapter.admin.pages") / "words").iterdir()})


@each_page
async def test_a_page_is_closed_to_whoever_does_not_log_in(browser: Browser, page: Page) -> None:
    found = await browser._go(page.method, sample(page), None, {}, None)
    assert found.status == 401
    assert found.headers.getall("WWW-Authenticate")[0] == 'Basic realm="stam-adapter", charset="UTF-8"'
    assert found.find("//h1/text()") == ["Log in"]
    assert not found.find("//nav")


@each_page
async def test_a_page_lets_nothing_in_from_elsewhere(browser: Browser, page: Page) -> None:
    found = await browser._go(page.method, sample(page), None, {}, None)
    assert found.headers["Content-Security-Policy"] == POLICY
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert found.headers["Referrer-Policy"] == "no-referrer"
    assert found.headers["Cache-Control"] == "no-store"
    assert found.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert not found.find("//*[@style] | //style | //script[not(@src)] | //*[starts-with(name(@*), 'on')]")
    assert all(
        str(one).startswith("/") for one in found.find("//@src | //link/@href | //a/@href[not(. = '#main')]")
    )


@pytest.mark.parametrize("language", Language)
async def test_a_page_is_in_the_language_that_the_browser_asks_for(
    browser: Browser, language: Language
) -> None:
    found = await browser.get("/", language=language)
    assert found.find("/html/@lang") == [language]
    assert found.find("//h1/text()") == [words_of("overview", language)["title"]]
    assert not [href for href in found.links() if "lang=" in href and "?lang=" not in href]


async def test_the_language_that_was_chosen_is_kept_by_every_link_and_form(browser: Browser) -> None:
    found = await browser.get("/?lang=nl", language="en")
    assert found.find("/html/@lang") == ["nl"]
    assert all("lang=" in href for href in found.links())
    for form in found.find("//form"):
        assert "lang=nl" in form.get("action") or form.xpath(".//input[@name='lang'][@value='nl']")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "nl"),
        ("en-GB,en;q=0.9", "en"),
        ("nl-NL,nl;q=0.9,en;q=0.8", "nl"),
        ("de,en;q=0.5,nl;q=0.4", "en"),
        ("fr", "nl"),
        ("*", "nl"),
        ("en;q=0", "nl"),
        ("en;q=high", "nl"),
    ],
)
def test_the_language_is_the_one_a_browser_likes_most(accepted: str | None, language: str) -> None:
    assert preferred_language(accepted) == language


@pytest.mark.parametrize("name", WORDS)
def test_both_languages_have_the_same_words(name: str) -> None:
    dutch, english = (_flat(words_of(name, language)) for language in Language)
    assert dutch.keys() == english.keys()
    assert all(text.strip() for text in (*dutch.values(), *english.values()))


@pytest.mark.parametrize("name", WORDS)
def test_no_word_has_the_name_of_what_a_dictionary_can_do(name: str) -> None:
    assert not {part for key in _flat(words_of(name, Language.NL)) for part in key.split("/")} & set(
        dir(dict)
    )


@pytest.mark.parametrize("language", Language)
def test_every_state_has_a_look_and_a_word(language: Language) -> None:
    states = words_of("base", language)["states"]
    assert {kind: set(words) for kind, words in states.items()} == {
        kind: set(looks) for kind, looks in LOOKS.items()
    }


@pytest.mark.parametrize("name", ["style.css", "live.js", "favicon.svg"])
async def test_files_of_pages_are_for_everybody_and_may_be_kept(browser: Browser, name: str) -> None:
    page = await browser.get("/")
    (href,) = page.find(f"//@href[contains(., '{name}')] | //@src[contains(., '{name}')]")
    found = await browser.get(href, user=None)
    assert found.status == 200
    assert "immutable" in found.headers["Cache-Control"]
    assert (await browser.get(f"/static/{name}?v=old", user=None)).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/none.css", "/static/..%2Fsite.py", "/nothing"])
async def test_what_is_not_there_is_a_page_for_people_and_json_for_software(
    browser: Browser, path: str
) -> None:
    found = await browser.get(path, user=None)
    assert (found.status, found.find("//h1/text()")) == (404, ["There is no such page"])
    software = await browser.get(path, user=None, Accept="*/*")
    assert (software.status, software.text) == (404, '{"error": "not found"}')


async def test_a_link_on_another_site_leads_to_a_page_but_its_forms_and_scripts_reach_nothing(
    browser: Browser,
) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    link = {**foreign, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await browser._go("GET", "/", "beheer", link, None)).status == 200
    for how in ({"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}):
        assert (await browser._go("GET", "/", "beheer", foreign | how, None)).status == 403
    for page in PAGES:
        if page.method == "POST":
            assert (await browser._go("POST", sample(page), "beheer", link, {})).status == 403


async def test_too_many_failed_logins_are_told_in_the_language_of_the_browser(browser: Browser) -> None:
    for _ in range(10):
        wrong = {"Authorization": "Bearer guess", "Accept-Language": "nl"}
        assert (await browser._go("GET", "/", None, wrong, None)).status == 401
    found = await browser.get("/", language="nl")
    assert (found.status, found.find("//h1/text()")) == (429, ["Even wachten"])
    assert int(found.headers["Retry-After"]) in range(1, 61)


async def test_who_has_no_role_for_a_page_is_told_and_it_is_in_the_audit_trail(
    browser: Browser, api: Api
) -> None:
    for page in PAGES:
        if page.method == "POST":
            found = await browser._go("POST", sample(page), "kijker", {"Accept-Language": "en"}, {})
            assert (found.status, found.find("//h1/text()")) == (403, ["You may not do this"]), page.name
    refused = await api.db.read(find_audit, AuditFilter(actor="kijker", kind=AuditKind.CHANGE), 99)
    assert len(refused) == len([page for page in PAGES if page.method == "POST"])


# --- live


async def test_an_open_page_is_told_of_a_change_of_what_it_may_see(api: Api) -> None:
    live = asyncio.create_task(api.live.watch())
    login = {"Authorization": f"Bearer {TOKENS['stad']}"}
    async with api.client.get("/events", headers=login) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readuntil(b"\n\n") == b"retry: 10000\n\n"
        await until_stored(api.db, lambda: asyncio.sleep(0, api.live.is_watching), 10)
        for authority in ("dorp", "stad"):
            event = Event(api.clock(), authority, "verzoek.created", verzoeknummer="1")
            await api.db.write(add_event, event)
        told = b": alive\n\n"
        while told == b": alive\n\n":
            told = await stream.content.readuntil(b"\n\n")
        assert told == b"event: change\ndata: {}\n\n"
        live.cancel()
        assert (await stream.content.read()).replace(b": alive\n\n", b"") == b""
    await asyncio.gather(live, return_exceptions=True)


async def test_a_user_has_so_many_streams_and_no_more(api: Api) -> None:
    login = {"Authorization": f"Bearer {TOKENS['stad']}"}
    streams = [await api.client.get("/events", headers=login) for _ in range(5)]
    assert [one.status for one in streams] == [200, 200, 200, 200, 204]
    other = await api.client.get("/events", headers={"Authorization": f"Bearer {TOKENS['kijker']}"})
    assert other.status == 200
    for one in (*streams, other):
        one.close()


async def test_pages_that_went_away_leave_their_room_at_once(api: Api) -> None:
    login = {"Authorization": f"Bearer {TOKENS['stad']}"}
    for _ in range(5):
        async with api.client.get("/events", headers=login) as stream:
            assert stream.status == 200
            await stream.content.readuntil(b"\n\n")
            gone = [one for one in api.live._streams if one.is_open]
        async with asyncio.timeout(10):
            while any(one.is_open for one in gone):  # noqa: ASYNC110 - a connection that ends sets no event
                await asyncio.sleep(0.01)


# --- the house style


def test_the_example_of_a_house_style_sets_tokens_that_there_are() -> None:
    def tokens(text: str) -> set[str]:
        return set(re.findall(r"^ +(--[a-z0-9-]+):", text, re.MULTILINE))

    ours = (files("adapter.admin.pages") / "static" / "style.css").read_text("utf-8")
    example = read_theme(Path("config/thema.css")).decode()
    assert tokens(example)
    assert tokens(example) <= tokens(ours)


def test_every_token_that_is_used_is_set() -> None:
    ours = (files("adapter.admin.pages") / "static" / "style.css").read_text("utf-8")
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", ours)) <= set(
        re.findall(r"^  (--[a-z0-9-]+):", ours, re.MULTILINE)
    )


def test_a_house_style_is_a_style_sheet(tmp_path: Path) -> None:
    theme = tmp_path / "thema.css"
    theme.write_text(
        '/* { */ :root { --utrecht-link-color: #00609a; --logo: url("data:image/png;base64,AA=="); }'
    )
    assert read_theme(theme) == theme.read_bytes()


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "is no text"),
        (b"hello", "is no style sheet"),
        (b":root { a: b;", "is no style sheet"),
        (b'@import "other.css"; a { b: c }', "loads something"),
        (b"a { background: url(https://elsewhere.example/a.png) }", "loads something"),
        (b"a { background: url( '/a.png' ) }", "loads something"),
        (b"a{}" + b" " * 300_000, "is larger than 256 KiB"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:20],
)
def test_what_is_no_house_style_is_refused_with_the_fix(
    tmp_path: Path, octets: bytes | None, reason: str
) -> None:
    theme = tmp_path / "thema.css"
    if octets is not None:
        theme.write_bytes(octets)
    with pytest.raises(ConfigProblem, match=reason):
        read_theme(theme)


def _flat(words: object, name: str = "") -> dict[str, str]:
    if not isinstance(words, dict):
        return {name: str(words)}
    return {
        key: text for part, value in words.items() for key, text in _flat(value, f"{name}/{part}").items()
    }
