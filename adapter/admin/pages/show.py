# SPDX-License-Identifier: EUPL-1.2

"""Rendering: a view as a page, and an error as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment

from adapter.admin.calls import ApplicationApi, Call
from adapter.admin.guard import caller
from adapter.admin.pages.badges import look_of
from adapter.admin.pages.page import BASE_WORDS, Link, Page, StatusPage, View, Visit, language_of, words_of
from adapter.admin.pages.theme import Asset
from adapter.config import Role
from adapter.observe import installed_version
from adapter.rendering import DUTCH_TIME, Language, templates_of

HOME: Final = "overview"
"""The page that every other is below."""

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Vary": "Accept-Language",
}
_DETAILED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT})
"""Errors of which the text of the refusal says more than its status does."""


@dataclass(frozen=True, slots=True)
class Site:
    """What every page is rendered with."""

    api: ApplicationApi
    status: StatusPage
    pages: Mapping[str, Page]
    assets: Mapping[str, Asset]

    def visit(self, page: Page, call: Call) -> Visit:
        """A visit of a user to a page."""
        language, is_chosen = language_of(call.request)
        return Visit(call, self.status, page, self.pages, language, is_chosen)

    def page(self, visit: Visit, view: View, code: int = 200) -> web.Response:
        """The page that shows a view."""
        words = visit.words
        context = {
            "w": words,
            "title": words["title"],
            "visit": visit,
            "url": visit.url,
            "trail": self._trail(visit, view),
            "menu": self._menu(visit, visit.page),
            "languages": [(one, visit.in_language(one)) for one in Language],
            "done": visit.said(),
            "user": visit.call.user.name,
            "topic": view.topic,
            "events": visit.url("events", {"of": view.topic}),
            "now": visit.now,
            **view.context,
        }
        return self._render(view.template, visit.language, context, code)

    def error(self, request: web.Request, code: int, text: str) -> web.Response:
        """An error as a page; with the menu where a user was let through."""
        language, _ = language_of(request)
        words = words_of(BASE_WORDS, language)
        errors: Mapping[str, Any] = words["errors"]
        told = errors.get(str(code)) or errors["other"]
        call = caller(request)
        context = {
            "w": {},
            "told": told,
            "title": told["title"],
            "code": code,
            "detail": text if code in _DETAILED else "",
        }
        if call is None:
            return self._render("error.html.j2", language, {**_NOBODY, **context}, code)
        visit = self.visit(self.pages[HOME], call)
        return self.page(
            visit,
            View(
                "error.html.j2", {**context, "menu": self._menu(visit, None), "languages": [], "events": None}
            ),
            code,
        )

    def _render(
        self, template: str, language: Language, context: Mapping[str, object], code: int
    ) -> web.Response:
        text = (
            _templates()
            .get_template(template)
            .render(
                language=language,
                b=words_of(BASE_WORDS, language),
                assets=self.assets,
                has_theme=self.status.theme is not None,
                environment=self.api.config().environment,
                version=installed_version(),
                Role=Role,
                **context,
            )
        )
        return web.Response(text=text, content_type="text/html", status=code, headers=_HEADERS)

    def _menu(self, visit: Visit, here: Page | None) -> list[dict[str, object]]:
        return [
            {
                "label": page.menu_label(visit.language),
                "href": visit.url(page.name),
                "is_here": here is not None and here.words_name == page.words_name,
                "is_parent": here is not None and here.path.startswith(f"{page.path}/"),
            }
            for page in self.pages.values()
            if page.in_menu and visit.may(page.role)
        ]

    def _trail(self, visit: Visit, view: View) -> list[Link]:
        if visit.page.name == HOME:
            return []
        home = self.pages[HOME]
        return [Link(home.menu_label(visit.language), visit.url(HOME)), *view.trail]


@cache
def _templates() -> Environment:
    templates = templates_of("adapter.admin.pages", "templates")
    templates.filters |= {"size": _size, "span": _span, "day": _day, "twice": lambda value: (value, value)}
    templates.globals["look_of"] = look_of
    return templates


def _size(octets: int, language: Language) -> str:
    """A number of octets as people read it."""
    size, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    text = f"{size:.0f}" if unit == "B" or size >= 100 else f"{size:.1f}"
    return f"{text.replace('.', ',') if language is Language.NL else text} {unit}"


def _span(time: timedelta, language: Language) -> str:
    """A length of time as people say it, in its two largest units."""
    words = words_of(BASE_WORDS, language)["units"]
    seconds = int(time.total_seconds())
    parts: list[str] = []
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if seconds >= length or (unit == "seconds" and not parts):
            parts.append(f"{seconds // length} {words[unit]}")
            seconds %= length
    return " ".join(parts[:2])


def _day(moment: datetime) -> str:
    """A day in Dutch time."""
    return f"{moment.astimezone(DUTCH_TIME):%d-%m-%Y}"


_NOBODY: Final[Mapping[str, object]] = {
    "visit": None,
    "trail": [],
    "menu": [],
    "languages": [],
    "done": None,
    "user": None,
    "topic": None,
    "events": None,
}
