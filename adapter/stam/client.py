# SPDX-License-Identifier: EUPL-1.2

"""The client of the REST API Verzoek afhandelen: the links to the files of a verzoek, the files they lead to, and
searching.

The API is known by its behaviour only (its OpenAPI document is not public): paths, the name of the OIN
header and the relation names are settings. What a link may lead to is decided here, for every link, before
anything is sent to it: the references are data from outside, and must not make the adapter send its
certificate and OIN to any other host.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from adapter.net import ClientCredentials, HttpClient, Throttle
from adapter.stam.asking import Asker, Identity, Request, RequestObserver, unobserved
from adapter.stam.download import Download, Downloaded
from adapter.stam.integrity import Expected
from adapter.stam.problems import FetchProblem
from adapter.stam.progress import Progress
from adapter.stam.references import LinkRules, References
from adapter.stam.strategies import JSON, ByReferences, Direct, DirectPaths, Paths, Strategy, Wanted
from adapter.store import Spool
from adapter.verzoek import Verzoekbericht

MAX_PAGE = 10 * 1024 * 1024

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class DsoSettings:
    """Where and on whose behalf to fetch.

    `url` is the base of the API, `references` the path of the references below it, with `{verzoeknummer}` in it,
    and `search` the path to search at. With `direct` no references are asked for. `parameters` go in the query of
    every address below `url`. `oin` goes in the header `oin_header`, and `api_key` in `api_key_header`. `hosts` are the
    hosts, or `host:port`, that links may lead to besides the host of `url`. What links say of size and digest of a file
    counts unless `check_announced` is false.
    """

    url: str
    oin: str
    references: str = "/verzoeken/{verzoeknummer}"
    direct: DirectPaths | None = None
    search: str = "/verzoeken/_zoek"
    parameters: tuple[tuple[str, str], ...] = ()
    oin_header: str = "OIN"
    api_key: str | None = field(default=None, repr=False)
    api_key_header: str = "x-api-key"
    hosts: tuple[str, ...] = ()
    links: LinkRules = field(default_factory=LinkRules)
    check_announced: bool = True


class VerzoekAfhandelen:
    """Fetches on behalf of one authority. Every method raises FetchProblem when it fails."""

    def __init__(
        self,
        http: HttpClient,
        settings: DsoSettings,
        clock: Callable[[], datetime],
        throttle: Throttle | None = None,
        tokens: ClientCredentials | None = None,
        observe: RequestObserver = unobserved,
    ) -> None:
        """Make a client that asks as fast as `throttle` lets it, with the access tokens of `tokens` where given.

        `observe` is told of each request.
        """
        identity = Identity(settings.oin, settings.oin_header, settings.api_key, settings.api_key_header)
        throttle = throttle or Throttle("Verzoek afhandelen")
        self._asker: Final = Asker(http, identity, throttle, tokens, clock, observe)
        self._paths: Final = Paths(settings.url, settings.parameters)
        self._search: Final = settings.search
        self._check_announced: Final = settings.check_announced
        self._strategy: Final = _strategy(settings, self._asker, self._paths)
        base = urlsplit(settings.url)
        self._scheme: Final = base.scheme
        self._places: Final = frozenset(
            {_place(base.hostname or "", base.port, base.scheme)}
            | {_configured_place(host, base.scheme) for host in settings.hosts}
        )

    @property
    def oin(self) -> str:
        """On whose behalf it asks."""
        return self._asker.identity.oin

    async def find(self, verzoeknummer: str, volgnummer: str | None = None) -> References:
        """The links to what belongs to a verzoek, as far as they are known without its STAM XML."""
        references = await self._strategy.find(Wanted(verzoeknummer, volgnummer))
        self._check_all(references)
        return references

    def complete(self, references: References, bericht: Verzoekbericht) -> References:
        """The links to everything, now that the STAM XML was read."""
        completed = self._strategy.complete(references, bericht)
        self._check_all(completed)
        return completed

    async def download(
        self, address: str, spool: Spool, progress: Progress, *, may_be_page: bool = False
    ) -> Downloaded:
        """Stream what a link leads to into the spool; `address` is that of a `Link`, with what is expected of the file.

        A body that is not what was announced is a temporary problem, and so is a page of HTML, unless it
        `may_be_page`. OSError and SpoolUnavailable say that the spool cannot be written to.
        """
        href, expected = Expected.split(address)
        self.check(href)
        download = Download(
            self._asker,
            href,
            f"fetching {_for_people(href)}",
            expected if self._check_announced else Expected(),
            progress,
            may_come_later=self._strategy.may_come_later,
            may_be_page=may_be_page,
        )
        return await download.into(spool)

    async def search(
        self, question: bytes, parameters: Mapping[str, str], headers: Mapping[str, str], what: str
    ) -> bytes:
        """Post a question, in JSON, to the place to search at, and return the JSON of the answer; `what` names it."""
        url = self._paths.below(self._search, tuple(parameters.items()))
        all_headers = {"Accept": JSON, "Content-Type": "application/json", **headers}
        async with self._asker.ask(Request("POST", url, what, all_headers, question)) as response:
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
                f"the references lead to {f'{parts.scheme}://{place}'!r}, which is not where Verzoek afhandelen is; "
                "if that is right, add the host to [authorities.….dso] hosts",
                temporary=False,
            )

    def _check_all(self, references: References) -> None:
        for link in references.links:
            self.check(link.href)


def _strategy(settings: DsoSettings, asker: Asker, paths: Paths) -> Strategy:
    if settings.direct is not None:
        return Direct(paths, settings.direct)
    return ByReferences(asker, paths, settings.references, settings.links)


def _for_people(href: str) -> str:
    """An address without its query, which can hold a key that does not belong in a log."""
    return href.partition("?")[0]


def _place(host: str, port: int | None, scheme: str) -> str:
    return f"{host.lower()}:{_PORTS.get(scheme, 0) if port is None else port}"


def _configured_place(text: str, scheme: str) -> str:
    parts = urlsplit(f"//{text}")
    return _place(parts.hostname or "", parts.port, scheme)
