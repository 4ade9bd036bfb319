# SPDX-License-Identifier: EUPL-1.2

"""A page, one visit to it, and what it shows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlencode

from aiohttp import hdrs, web
from sqlalchemy import Connection

from adapter.admin.calls import Audited, Call, Refused, bad_request, not_found
from adapter.admin.endings import Ending
from adapter.admin.health import Health
from adapter.admin.pages.kept import Kept
from adapter.admin.pages.live import Live
from adapter.config import Environment, Role
from adapter.rendering import Language, Words, fill_path, preferred_language, read_words

P = ParamSpec("P")
R = TypeVar("R")

BASE_WORDS: Final = "base"
_WORDS: Final = "adapter.admin.pages"
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_COUNT: Final = 9


@dataclass(frozen=True, slots=True)
class Link:
    """A place with its name, as in the trail above a page."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows: a template, and what that needs beside what every page has.

    `trail` is where the page is, from the overview on, without either. `looked` has what is personal in it, as
    subject and authority. `topic` is the verzoeknummer or MessageId that the page is about: it is told of changes to
    that only.
    """

    template: str
    context: Mapping[str, object] = field(default_factory=dict)
    trail: Sequence[Link] = ()
    looked: Sequence[tuple[str, str]] = ()
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What pages work with beside the parts of the API: health, what ends one day, who is told of changes, and what is
    read once for many visits.
    """

    health: Health
    live: Live
    kept: Kept = field(default_factory=Kept)
    endings: Callable[[], Sequence[Ending]] = tuple
    theme: bytes | None = None


def words_of(name: str, language: Language) -> Words:
    """The words of a page, or of all."""
    return read_words(_WORDS, f"words/{name}", language)


def language_of(request: web.Request) -> tuple[Language, bool]:
    """The language of a request, and whether it was chosen (`?lang=`) rather than the browser's."""
    chosen = request.query.get("lang")
    if chosen in set(Language):
        return Language(chosen), True
    return preferred_language(request.headers.get(hdrs.ACCEPT_LANGUAGE)), False


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of a user to a page."""

    call: Call
    status: StatusPage
    page: "Page"
    pages: Mapping[str, "Page"]
    language: Language
    is_chosen: bool

    @property
    def scope(self) -> frozenset[str]:
        """The authorities for which the user has the role that this page needs."""
        return self.call.scope

    @property
    def words(self) -> Words:
        """The words of this page."""
        return words_of(self.page.words_name, self.language)

    @property
    def base_words(self) -> Words:
        """The words of all pages."""
        return words_of(BASE_WORDS, self.language)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.call.api.clock()

    @property
    def environment(self) -> Environment:
        """Where the adapter runs."""
        return self.call.api.config().environment

    async def read(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Read from the store; one function is one view of it."""
        return await self.call.api.db.read(function, *args, **kwargs)

    def may(self, role: Role, authority: str | None = None) -> bool:
        """Whether the user has a role: for an authority, or for any."""
        if authority is None:
            return self.call.user.may(role)
        return authority in self.call.user.scope(self.call.api.authorities(), role)

    def variable(self, name: str) -> str:
        """A variable of the path."""
        return self.call.path(name)

    def authority(self) -> str:
        """The authority in the path. Raises Refused: 404 where it is not there for this user, 403 for another role."""
        name = self.variable("authority")
        if name not in self.call.visible:
            raise not_found(f"there is no authority {name}")
        if name not in self.scope:
            raise self.call.denied(name)
        return name

    def url(self, name: str, query: Mapping[str, object] | None = None, **variables: object) -> str:
        """The address of a page, in the language of this visit; what is None in the query is left out."""
        return fill_path(self.pages[name].path, **variables) + self._query(dict(query or {}))

    def here(self, **changes: object) -> str:
        """The address of this page with the present query, but for these parameters; None leaves one out."""
        query: dict[str, object] = dict(self.call.request.query)
        query.pop("done", None)
        query.pop("count", None)
        return self.call.request.rel_url.raw_path + self._query(query | changes)

    def in_language(self, language: Language) -> str:
        """The address of this page in a language."""
        return self.here(lang=language)

    async def form(self) -> Mapping[str, str]:
        """The fields of the form that was sent. Raises Refused (415) for any other body."""
        if self.call.request.content_type != _FORM:
            raise Refused(415, "this takes a form")
        try:
            fields = await self.call.request.post()
        except (ValueError, LookupError) as problem:
            raise bad_request("the form cannot be read") from problem
        return {name: value for name, value in fields.items() if isinstance(value, str)}

    def done(self, what: str, to: str, count: int | None = None) -> web.Response:
        """Send the browser to a page that says what was done: a text of the table `done` in the words of that page."""
        query = urlencode({"done": what} | ({"count": count} if count is not None else {}))
        place = f"{to}{'&' if '?' in to else '?'}{query}"
        return web.Response(status=303, headers={hdrs.LOCATION: place})

    def said(self) -> str | None:
        """The text of what was done just now, where this page was gone to for that."""
        texts = self.words.get("done", {})
        text = texts.get(self.call.query("done") or "")
        count = self.call.query("count") or "0"
        if text is None or not (count.isascii() and count.isdigit() and len(count) <= _LONGEST_COUNT):
            return None
        return str(text).format(count=int(count))

    def _query(self, query: dict[str, object]) -> str:
        if self.is_chosen:
            query.setdefault("lang", self.language)
        given = {name: str(value) for name, value in query.items() if value is not None}
        return f"?{urlencode(given)}" if given else ""


Shown = View | web.StreamResponse


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or a change that a form on a page asks for.

    A variable in `path` takes one segment. `audited` is None for what changes nothing and shows nothing personal.
    `words` is the name of its files of words, where that is not its own.
    """

    method: str
    path: str
    name: str
    answer: Callable[[Visit], Awaitable[Shown]]
    role: Role = Role.LOOK
    audited: Audited | None = None
    in_menu: bool = False
    words: str | None = None

    @property
    def words_name(self) -> str:
        """The name of its files of words."""
        return self.words or self.name

    def menu_label(self, language: Language) -> str:
        """What it is called in the menu."""
        words: Mapping[str, Any] = words_of(self.words_name, language)
        return str(words.get("menu") or words["title"])
