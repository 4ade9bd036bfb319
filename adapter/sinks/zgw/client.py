# SPDX-License-Identifier: EUPL-1.2

"""The ZGW APIs as a sink asks them: JSON with a token in each request, problem documents, pages (ZGW 1.x)."""

import asyncio
import json
import re
from collections.abc import AsyncIterable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from adapter.delivery import Json, Permanent, SinkContext, StepFailed, Temporary
from adapter.net import HttpClient
from adapter.sinks.connection import Answer, ask, open_client, refusal
from adapter.sinks.naming import bounded
from adapter.sinks.zgw.options import ZgwOptions
from adapter.sinks.zgw.token import Credentials

_CRS: Final = {"Accept-Crs": "EPSG:4326", "Content-Crs": "EPSG:4326"}
"""What zaken insist on, and the others pass over."""

_ANSWER: Final = 8 * 1024 * 1024
_PAGES: Final = 100
_SMALL: Final = 128 * 1024
"""Octets of JSON that may be read or written in the event loop."""

_FINAL: Final = frozenset({400, 404, 405, 406, 410, 412, 413, 415, 422})
"""Statuses of requests that will not do better another time."""

_OF_CLOCKS: Final = frozenset({"future_not_allowed"})
"""Codes of a 400 that is over when the clocks of both sides agree."""

_MOST_SAID: Final = 10
_SAID: Final = 500
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)


class Refused(StepFailed):
    """The server said no: `codes` are what it found wrong, given as the name and code of each parameter."""

    def __init__(self, outcome: Temporary | Permanent, params: tuple[tuple[str, str], ...]) -> None:
        super().__init__(outcome, undone=True)
        self.codes = frozenset(code for _, code in params)


class ZgwClient:
    """Asks the three APIs; every method raises StepFailed, and Refused where the server refused."""

    def __init__(self, options: ZgwOptions, context: SinkContext) -> None:
        urls = {"zaken": options.zaken, "documenten": options.documenten, "catalogi": options.catalogi}
        self._http: HttpClient = open_client(options, urls, context)
        self._credentials = Credentials(options)
        self._clock = context.clock
        self._versions: dict[str, tuple[int, ...]] = {}
        self._bases = {name: url.rstrip("/") for name, url in urls.items()}

    def url(self, api: str, resource: str) -> str:
        """The address of a resource of the API `zaken`, `documenten` or `catalogi`."""
        return f"{self._bases[api]}/{resource}"

    def version(self, api: str) -> tuple[int, ...]:
        """The version of an API, as its last answer gave it; empty before one did."""
        return self._versions.get(self._bases[api], ())

    async def get(self, url: str, what: str) -> dict[str, Any]:
        """The object at a URL; `what` says what it is, for people."""
        return _object(await _parsed(await self._ask("GET", url, what), what), what)

    async def find(self, url: str, query: Mapping[str, str], what: str) -> list[dict[str, Any]]:
        """Everything that a query finds, on all its pages; resources without pages answer with a list."""
        found: list[dict[str, Any]] = []
        target: str | None = f"{url}?{urlencode(query)}" if query else url
        for _ in range(_PAGES):
            if target is None:
                return found
            document = await _parsed(await self._ask("GET", target, what), what)
            if isinstance(document, list):
                return [_object(each, what) for each in document]
            page = _object(document, what)
            results = page.get("results")
            if not isinstance(results, list):
                raise _unusable(what, "there are no results in it")
            found += [_object(each, what) for each in results]
            target = page.get("next") or None
        raise _unusable(what, f"it has more than {_PAGES} pages; is the query understood?")

    async def create(self, url: str, body: Json, what: str) -> dict[str, Any]:
        """Makes an object; what the server made of it."""
        data = await _serialized(body)
        answer = await self._ask("POST", url, what, {"Content-Type": "application/json"}, data)
        return _object(await _parsed(answer, what), what)

    async def order(self, url: str, body: Json, what: str) -> None:
        """Asks for something to be done that has no answer but success."""
        data = await _serialized(body)
        await self._ask("POST", url, what, {"Content-Type": "application/json"}, data)

    async def put(self, url: str, headers: Mapping[str, str], data: AsyncIterable[bytes], what: str) -> None:
        """Sends content as it comes."""
        await self._ask("PUT", url, what, headers, data)

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.close()

    async def _ask(
        self,
        method: str,
        url: str,
        what: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
    ) -> Answer:
        now = self._clock()
        token = await self._credentials.token(int(now.timestamp()))
        sent = {"Authorization": f"Bearer {token}", "Accept": "application/json", **_CRS, **(headers or {})}
        answer = await ask(self._http, method, url, headers=sent, data=data, limit=_ANSWER)
        self._note_version(url, answer.headers.get("API-version", ""))
        if not answer.is_success:
            raise _failure(answer, refusal(answer, what, now))
        return answer

    def _note_version(self, url: str, version: str) -> None:
        match = _VERSION.match(version)
        if match is not None:
            numbers = tuple(map(int, match.groups()))
            self._versions.update(
                {base: numbers for base in self._bases.values() if url.startswith(f"{base}/")}
            )


def text_in(document: Json, key: str, what: str) -> str:
    """A text that an answer has to have; StepFailed where it has none."""
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise _unusable(what, f"it has no {key}")
    return value


def _failure(answer: Answer, failed: StepFailed) -> StepFailed:
    """What a refusal means to a ZGW API; anything that is not known to be final may pass."""
    if answer.status >= 500:
        return failed
    code, params = _problem(answer.body)
    reason = failed.outcome.reason + _said(params)
    of_clocks = any(found in _OF_CLOCKS for _, found in params)
    # a token that is too old, too new, or not signed with the secret there: put right by clocks and by people
    of_access = answer.status in {401, 403} and code != "permission_denied"
    if (answer.status in _FINAL and not of_clocks) or (answer.status == 403 and not of_access):
        return Refused(Permanent(reason), params)
    if isinstance(failed.outcome, Temporary):
        return Refused(replace(failed.outcome, reason=reason), params)
    return Refused(Temporary(reason), params)


def _problem(body: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The code of a problem document, and name and code of each parameter that it finds wrong."""
    try:
        document = json.loads(body) if len(body) <= _SMALL else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return "", ()
    listed = document.get("invalidParams")
    params = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    named = tuple((str(one.get("name", "")), str(one.get("code", ""))) for one in params)
    return str(document.get("code", "")), named


def _said(params: tuple[tuple[str, str], ...]) -> str:
    """The parameters for people; what was sent stays out of it, since that may be personal."""
    shown = ", ".join(f"{name}: {code}" for name, code in params[:_MOST_SAID])
    return f" ({bounded(shown, _SAID)})" if shown else ""


async def _parsed(answer: Answer, what: str) -> Any:
    try:
        if len(answer.body) <= _SMALL:
            return json.loads(answer.body)
        return await asyncio.to_thread(json.loads, answer.body)
    except (ValueError, RecursionError) as error:
        raise _unusable(what, "it is not JSON") from error


async def _serialized(body: Json) -> bytes:
    if isinstance(body.get("inhoud"), str) or "zaakgeometrie" in body:
        return await asyncio.to_thread(_json, body)
    return _json(body)


def _json(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _object(document: Any, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise _unusable(what, "it is not an object")
    return document


def _unusable(what: str, why: str) -> StepFailed:
    """An answer that is no answer: a page of a proxy, perhaps, so that it may pass."""
    return StepFailed(Temporary(f"{what}: the answer cannot be used: {why}"), undone=False)
