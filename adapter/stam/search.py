# SPDX-License-Identifier: EUPL-1.2

"""Searching at Verzoek afhandelen (`_zoek`): which verzoeken lie in an area, or have a number, since a day.

Known of the answer is that it has pages, and that a hit has at least verzoeknummer, doel, bevoegd gezag and
behandeldienst, of whoever it is: the caller leaves alone what is not its own (STAM 4.1). Its names and its form are
not public. So the names are settings, and an answer is read as a bag of hits: every object with a verzoeknummer is
one, wherever it stands.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from adapter.config import AreaForm, Paging, SearchRequestConfig, SearchResponseConfig
from adapter.observe import get_logger
from adapter.stam.client import VerzoekAfhandelen
from adapter.stam.problems import FetchProblem
from adapter.verzoek import MAX_NUMBER_LENGTH

log = get_logger(__name__)

MAX_PAGES: Final = 500
MAX_DEPTH: Final = 32

Area = tuple[tuple[float, float], ...]
"""The corners of a polygon in RD (x, y), anticlockwise; the last is the first."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to ask and how to read the answer; `page_size` is how many hits to ask for at a time."""

    page_size: int = 50
    request: SearchRequestConfig = field(default_factory=SearchRequestConfig)
    response: SearchResponseConfig = field(default_factory=SearchResponseConfig)


@dataclass(frozen=True, slots=True)
class Question:
    """What to search for: the verzoeken in `area`, or the one with this number, from `since` to `until`."""

    since: datetime
    until: datetime
    area: Area | None = None
    verzoeknummer: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A verzoek that was found; organisations by their OIN. `volgnummer` and `doel` only where the answer has them."""

    verzoeknummer: str
    volgnummer: str | None = None
    doel: str | None = None
    bevoegd_gezag: str | None = None
    behandeldienst: str | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of ours, each once, in the order of the answer.

    `foreign` counts the hits of others, `unusable` those without an OIN or with an impossible verzoeknummer.
    `complete` is false when there were more than MAX_PAGES pages.
    """

    hits: tuple[Hit, ...]
    foreign: int = 0
    unusable: int = 0
    complete: bool = True


class VerzoekZoeken:
    """Searches on behalf of one authority. Raises FetchProblem when it fails."""

    def __init__(self, client: VerzoekAfhandelen, settings: SearchSettings) -> None:
        self._client: Final = client
        self._settings: Final = settings

    async def search(self, question: Question) -> SearchResult:
        """Ask page after page, until one brings nothing new or says that it is the last."""
        found: dict[Hit, None] = {}
        complete = False
        for number in range(MAX_PAGES):
            page = await self._page(question, number)
            new = [hit for hit in page.hits if hit not in found]
            found.update(dict.fromkeys(new))
            if not new or page.is_last(self._settings.page_size):
                complete = True
                break
        return self._sorted_out(found, complete)

    async def _page(self, question: Question, number: int) -> "_Page":
        names = self._settings.request
        paging = {names.page: names.first_page + number, names.page_size: self._settings.page_size}
        in_query = names.paging is Paging.QUERY
        body = question_body(question, names, {} if in_query else paging)
        parameters = {key: str(value) for key, value in paging.items()} if in_query else {}
        asks_area = question.area is not None and names.crs_header
        headers = {names.crs_header: names.crs} if asks_area else {}
        what = f"searching for verzoeken, page {number + 1}"
        try:
            data = await self._client.search(json.dumps(body).encode(), parameters, headers, what)
        except FetchProblem as problem:
            if number and problem.status == 404:  # some APIs say so of a page behind the last
                return _Page((), is_hal=False, has_next=False)
            raise
        return await asyncio.to_thread(_read_page, data, self._settings.response, what)

    def _sorted_out(self, found: Mapping[Hit, None], complete: bool) -> SearchResult:
        ours: list[Hit] = []
        foreign = unusable = 0
        for hit in found:
            organisations = {hit.bevoegd_gezag, hit.behandeldienst} - {None}
            if not organisations or not _is_number(hit.verzoeknummer):
                unusable += 1
            elif self._client.oin in organisations:
                ours.append(hit)
            else:
                foreign += 1
        if unusable:
            log.warning(
                "hits without an OIN, or with an impossible verzoeknummer, are left alone; if the names in the "
                "answer are others, correct [authorities.….reconcile.response]",
                action="reconcile.unusable_hits",
                hits=unusable,
            )
        return SearchResult(tuple(ours), foreign, unusable, complete)


def question_body(
    question: Question, names: SearchRequestConfig, paging: Mapping[str, int]
) -> dict[str, Any]:
    """The question as the API wants it, ready for JSON."""
    body: dict[str, Any] = {}
    if question.verzoeknummer is not None:
        _put(body, names.verzoeknummer, question.verzoeknummer)
    elif question.area is not None:
        _put(body, names.area, _polygon(question.area, names.area_form))
    _put(body, names.since, question.since.strftime(names.dates))
    _put(body, names.until, question.until.strftime(names.dates))
    for name, value in paging.items():
        _put(body, name, value)
    return body


def _put(body: dict[str, Any], name: str, value: object) -> None:
    *objects, last = name.split(".")
    for key in objects:
        body = body.setdefault(key, {})
    body[last] = value


def _polygon(area: Area, form: AreaForm) -> object:
    if form is AreaForm.WKT:
        return f"POLYGON(({', '.join(f'{x} {y}' for x, y in area)}))"
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in area]]}


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it was read; `has_next` is what its HAL links say, if it has any."""

    hits: tuple[Hit, ...]
    is_hal: bool
    has_next: bool

    def is_last(self, size: int) -> bool:
        """Whether it is sure to be the last: only links tell, for a short page may be all that a server gives."""
        return self.is_hal and not self.has_next and len(self.hits) < size


def _read_page(data: bytes, names: SearchResponseConfig, what: str) -> _Page:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise FetchProblem(
            f"{what}: the answer is not readable JSON: {problem}", temporary=False
        ) from problem
    if not isinstance(document, dict | list):
        raise FetchProblem(f"{what}: the answer is no JSON object or list", temporary=False)
    hits = tuple(_hits(document, names, what, 0))
    if not hits and _has_objects(document):
        raise FetchProblem(
            f"{what}: the answer lists objects, but none with {' or '.join(names.verzoeknummer)}; "
            "name the field of the verzoeknummer in [authorities.….reconcile.response]",
            temporary=False,
        )
    links = document.get("_links") if isinstance(document, dict) else None
    return _Page(hits, is_hal=isinstance(links, dict), has_next=isinstance(links, dict) and "next" in links)


def _hits(node: object, names: SearchResponseConfig, what: str, depth: int) -> Iterator[Hit]:
    if depth > MAX_DEPTH:
        raise FetchProblem(f"{what}: the answer is nested deeper than {MAX_DEPTH} levels", temporary=False)
    if isinstance(node, list):
        for item in node:
            yield from _hits(item, names, what, depth + 1)
    elif isinstance(node, dict):
        number = None if "_embedded" in node else _text(node, names.verzoeknummer)
        if number is not None:
            yield _hit(node, number, names)
            return
        for key, value in node.items():
            if key != "_links":
                yield from _hits(value, names, what, depth + 1)


def _hit(node: Mapping[str, Any], number: str, names: SearchResponseConfig) -> Hit:
    return Hit(
        verzoeknummer=number,
        volgnummer=_text(node, names.volgnummer),
        doel=_text(node, names.doel),
        bevoegd_gezag=_oin(_text(node, names.bevoegd_gezag)),
        behandeldienst=_oin(_text(node, names.behandeldienst)),
    )


def _text(node: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these names that has a text, or a whole number, which is taken for one."""
    for name in names:
        value = _at(node, name.split("."))
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _at(node: object, path: Sequence[str]) -> object:
    for part in path:
        if not isinstance(node, dict):
            return None
        node = next((value for key, value in node.items() if key.casefold() == part.casefold()), None)
    return node


def _oin(text: str | None) -> str | None:
    """An OIN without the URN that may stand before it."""
    return None if text is None else text.rpartition(":")[2]


def _is_number(text: str) -> bool:
    return text.isprintable() and len(text) <= MAX_NUMBER_LENGTH and bool(text.strip("."))


def _has_objects(document: object) -> bool:
    """Whether it has a list with an object in it, which must have been meant for a hit."""
    if isinstance(document, list):
        return any(isinstance(item, dict) for item in document)
    if isinstance(document, dict):
        return any(_has_objects(value) for key, value in document.items() if key != "_links")
    return False
