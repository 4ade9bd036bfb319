"""The client of the REST API Verzoek afhandelen: the references of a verzoek, the files they lead to, and searching.

The API is known by its behaviour only (its OpenAPI document is not public): paths, the name of the OIN
header and the relation names are settings. What a link may lead to is decided here, for every link, before
anything is sent to it: the references are data from outside, and must not make the adapter send its
certificate and OIN to any other host.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from adapter.net import HttpClient, NetProblem, Response
from adapter.stam.problems import FetchProblem, status_problem
from adapter.stam.references import LinkRules, References, ReferencesProblem, read_references
from adapter.store import SpoolWriter

MAX_REFERENCES = 5 * 1024 * 1024
MAX_PAGE = 10 * 1024 * 1024
MAX_ERROR = 64 * 1024

_PORTS: Final = {"http": 80, "https": 443}
_JSON: Final = "application/hal+json, application/json"
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class DsoSettings:
    """Where and on whose behalf to fetch.

    `url` is the base of the API, `references` the path of the references below it, with `{verzoeknummer}` in it,
    and `search` the path to search at. `oin` goes in the header `oin_header`. `hosts` are the hosts, or
    `host:port`, that links may lead to besides the host of `url`.
    """

    url: str
    oin: str
    references: str = "/verzoeken/{verzoeknummer}"
    search: str = "/verzoeken/_zoek"
    oin_header: str = "OIN"
    hosts: tuple[str, ...] = ()
    links: LinkRules = field(default_factory=LinkRules)


class VerzoekAfhandelen:
    """Fetches on behalf of one authority. Every method raises FetchProblem when it fails."""

    def __init__(self, http: HttpClient, settings: DsoSettings, clock: Callable[[], datetime]) -> None:
        self._http: Final = http
        self._settings: Final = settings
        self._clock: Final = clock
        base = urlsplit(settings.url)
        self._scheme: Final = base.scheme
        self._places: Final = frozenset(
            {_place(base.hostname or "", base.port, base.scheme)}
            | {_configured_place(host, base.scheme) for host in settings.hosts}
        )

    @property
    def oin(self) -> str:
        """On whose behalf it asks."""
        return self._settings.oin

    async def references(self, verzoeknummer: str) -> References:
        """The links to everything that belongs to a verzoek."""
        url = self._references_url(verzoeknummer)
        what = f"the references of verzoek {verzoeknummer}"
        async with self._ask("GET", url, what, {"Accept": _JSON}, asking_references=True) as response:
            body = await response.read(MAX_REFERENCES)
        try:
            return await asyncio.to_thread(read_references, body, url, self._settings.links)
        except ReferencesProblem as problem:
            raise FetchProblem(f"{what}: {problem.reason}", temporary=False) from problem

    async def download(self, href: str, writer: SpoolWriter, *, may_be_page: bool = False) -> str | None:
        """Stream what a link leads to into a writer, which stays to be committed; return its media type.

        A body that is shorter or longer than its Content-Length is a temporary problem, and so is a page of HTML,
        unless it `may_be_page`.
        """
        self.check(href)
        what = f"fetching {_for_people(href)}"
        async with self._ask("GET", href, what, {"Accept": "*/*"}, may_be_page=may_be_page) as response:
            async for chunk in response.iter_chunks():
                await writer.write(chunk)
            _check_length(response.headers, writer.size, href)
            return _media_type(response.headers)

    async def search(
        self, question: bytes, parameters: Mapping[str, str], headers: Mapping[str, str], what: str
    ) -> bytes:
        """Post a question, in JSON, to the place to search at, and return the JSON of the answer; `what` names it."""
        url = self._below(self._settings.search)
        if parameters:
            url += ("&" if "?" in url else "?") + urlencode(parameters)
        all_headers = {"Accept": _JSON, "Content-Type": "application/json", **headers}
        async with self._ask("POST", url, what, all_headers, data=question) as response:
            return await response.read(MAX_PAGE)

    def check(self, href: str) -> None:
        """Refuse, as permanent, a link that does not lead to the API itself or to a configured host."""
        try:
            parts = urlsplit(href)
            place = _place(parts.hostname or "", parts.port, parts.scheme)
        except ValueError as problem:
            raise FetchProblem(f"the link {href[:200]!r} is not a URL", temporary=False) from problem
        if parts.scheme != self._scheme or parts.username is not None or place not in self._places:
            raise FetchProblem(
                f"the references lead to {parts.scheme}://{place}, which is not where Verzoek afhandelen is; "
                "if that is right, add the host to [authorities.….dso] hosts",
                temporary=False,
            )

    def _references_url(self, verzoeknummer: str) -> str:
        # Dots are not encoded by `quote`, and a number of dots only would climb in the path.
        if not verzoeknummer.strip("."):
            raise FetchProblem(f"{verzoeknummer!r} is no verzoeknummer", temporary=False)
        return self._below(
            self._settings.references.replace("{verzoeknummer}", quote(verzoeknummer, safe=""))
        )

    def _below(self, path: str) -> str:
        return f"{self._settings.url.rstrip('/')}/{path.lstrip('/')}"

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        url: str,
        what: str,
        headers: Mapping[str, str],
        *,
        data: bytes | None = None,
        asking_references: bool = False,
        may_be_page: bool = False,
    ) -> AsyncIterator[Response]:
        """A request with the OIN, answered with 200 and no page for people; anything else is a FetchProblem."""
        # Nothing compressed: a document is stored, digested and measured as DSO-LV serves it.
        all_headers = {
            **headers,
            self._settings.oin_header: self._settings.oin,
            "Accept-Encoding": "identity",
        }
        try:
            async with self._http.request(method, url, headers=all_headers, data=data) as response:
                if response.status != 200:
                    body = await _beginning(response)
                    raise status_problem(
                        response.status,
                        body,
                        response.headers.get("Retry-After"),
                        self._clock(),
                        what=what,
                        asking_references=asking_references,
                    )
                if not may_be_page and _media_type(response.headers) in _PAGES:
                    raise FetchProblem(
                        f"{what}: a page of HTML came instead: something before Verzoek afhandelen answers, as during "
                        "maintenance",
                        temporary=True,
                    )
                yield response
        except NetProblem as problem:
            raise FetchProblem(f"{what}: {problem}", temporary=problem.temporary) from problem


async def _beginning(response: Response) -> bytes:
    """The body of an error, up to MAX_ERROR bytes: it is for people, and may be anything."""
    body = bytearray()
    async for chunk in response.iter_chunks():
        body += chunk
        if len(body) >= MAX_ERROR:
            break
    return bytes(body[:MAX_ERROR])


def _check_length(headers: Mapping[str, str], size: int, href: str) -> None:
    declared = headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and int(declared) != size:
        raise FetchProblem(f"fetching {_for_people(href)}: {size} of {declared} bytes came", temporary=True)


def _for_people(href: str) -> str:
    """An address without its query, which can hold a key that does not belong in a log."""
    return href.partition("?")[0]


def _media_type(headers: Mapping[str, str]) -> str | None:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() or None


def _place(host: str, port: int | None, scheme: str) -> str:
    return f"{host.lower()}:{port or _PORTS.get(scheme, 0)}"


def _configured_place(text: str, scheme: str) -> str:
    parts = urlsplit(f"//{text}")
    return _place(parts.hostname or "", parts.port, scheme)
