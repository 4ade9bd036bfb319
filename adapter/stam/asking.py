# SPDX-License-Identifier: EUPL-1.2

"""One request to the API Verzoek afhandelen: on whose behalf, with what credentials, in its turn, and what its answer
means. Whatever goes wrong is a FetchProblem.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from adapter.net import (
    ClientCredentials,
    HttpClient,
    NetProblem,
    Response,
    Resting,
    Throttle,
    TokenProblem,
    is_about_server,
    wait_asked,
)
from adapter.observe import span
from adapter.stam.problems import FetchProblem, status_problem

MAX_ERROR: Final = 64 * 1024

RequestObserver = Callable[[str, float], None]
"""Who wants to know of each request how it was answered, and after how many seconds."""

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: the OIN and the header it goes in, and an API key with its header, where there is one."""

    oin: str
    oin_header: str = "OIN"
    api_key: str | None = field(default=None, repr=False)
    api_key_header: str = "x-api-key"

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every request."""
        key = {self.api_key_header: self.api_key} if self.api_key is not None else {}
        return {self.oin_header: self.oin, **key}


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask; `what` names it for people.

    `accepted` are the statuses that are an answer. A 404 is temporary for what `may_come_later`, and a page of HTML is
    only an answer where it `may_be_page`.
    """

    method: str
    url: str
    what: str
    headers: Mapping[str, str]
    data: bytes | None = None
    accepted: frozenset[int] = frozenset({HTTPStatus.OK})
    may_come_later: bool = False
    may_be_page: bool = False


def unobserved(_outcome: str, _seconds: float) -> None:
    """Nobody wants to know."""


class Asker:
    """Sends the requests of one authority.

    Args:
        http: the connections.
        identity: who asks.
        throttle: how fast; an answer 429 or 503 with Retry-After rests it.
        tokens: where access tokens come from; None to send none.
        clock: the time, for dates in Retry-After.
        observe: told of each request what class of status was answered (``2xx``), or ``no_answer``, and after how
            many seconds.

    """

    def __init__(
        self,
        http: HttpClient,
        identity: Identity,
        throttle: Throttle,
        tokens: ClientCredentials | None,
        clock: Callable[[], datetime],
        observe: RequestObserver = unobserved,
    ) -> None:
        self.identity: Final = identity
        self._http: Final = http
        self._throttle: Final = throttle
        self._tokens: Final = tokens
        self._clock: Final = clock
        self._observe: Final = observe

    @asynccontextmanager
    async def ask(self, request: Request) -> AsyncIterator[Response]:
        """Ask in turn; the turn lasts as long as the block, in which the answer is read. Raises FetchProblem."""
        what = request.what
        try:
            async with self._throttle.turn(), self._answered(request) as response:
                if response.status not in request.accepted:
                    raise await self._refused(request, response)
                if not request.may_be_page and media_type(response.headers) in _PAGES:
                    raise FetchProblem(
                        f"{what}: a page of HTML came instead: something before Verzoek afhandelen answers, as during "
                        "maintenance",
                        temporary=True,
                    )
                yield response
        except Resting as resting:
            raise FetchProblem(f"{what}: {resting}", temporary=True, after=resting.left) from resting
        except NetProblem as problem:
            raise FetchProblem(f"{what}: {problem}", temporary=problem.temporary) from problem
        except TokenProblem as problem:
            raise self._without_token(what, problem) from problem

    @asynccontextmanager
    async def _answered(self, request: Request) -> AsyncIterator[Response]:
        """The answer; a token that is refused is replaced once."""
        async with AsyncExitStack() as stack:
            token = await self._tokens.token() if self._tokens is not None else None
            response = await stack.enter_async_context(self._send(request, token))
            if response.status == HTTPStatus.UNAUTHORIZED and self._tokens is not None and token is not None:
                await stack.aclose()
                self._tokens.drop(token)
                response = await stack.enter_async_context(self._send(request, await self._tokens.token()))
            yield response

    @asynccontextmanager
    async def _send(self, request: Request, token: str | None) -> AsyncIterator[Response]:
        async with AsyncExitStack() as stack:
            host = urlsplit(request.url).hostname or ""
            asked = {"http.request.method": request.method, "server.address": host}
            here = stack.enter_context(span("dso.request", **asked))
            started = time.perf_counter()
            outcome = "no_answer"
            try:
                response = await stack.enter_async_context(self._sent(request, token))
                outcome = f"{response.status // 100}xx"
                here.set(**{"http.response.status_code": response.status})
            finally:
                self._observe(outcome, time.perf_counter() - started)
            yield response

    @asynccontextmanager
    async def _sent(self, request: Request, token: str | None) -> AsyncIterator[Response]:
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        # Nothing compressed: a document is stored, digested and measured as DSO-LV serves it.
        own = {**self.identity.headers, **bearer, "Accept-Encoding": "identity"}
        async with self._http.request(
            request.method, request.url, headers={**request.headers, **own}, data=request.data
        ) as response:
            yield response

    async def _refused(self, request: Request, response: Response) -> FetchProblem:
        retry_after = response.headers.get("Retry-After")
        self._rest(response.status, retry_after)
        return status_problem(
            response.status,
            await response.read_beginning(MAX_ERROR),
            retry_after,
            self._clock(),
            what=request.what,
            may_come_later=request.may_come_later,
        )

    def _without_token(self, what: str, problem: TokenProblem) -> FetchProblem:
        # Temporary whatever its status: who may have a token is put right by people on the other side.
        self._rest(problem.status, problem.retry_after)
        advice = "; check [authorities.….dso.oauth]" if problem.status in {400, 401, 403} else ""
        return FetchProblem(
            f"{what}: {problem}{advice}",
            temporary=True,
            after=wait_asked(problem.retry_after, self._clock()),
        )

    def _rest(self, status: int, retry_after: str | None) -> None:
        """Leave the whole source alone when it says that it is too busy, and until when."""
        wait = wait_asked(retry_after, self._clock())
        if is_about_server(status) and wait is not None:
            self._throttle.rest(wait)


def media_type(headers: Mapping[str, str]) -> str | None:
    """The media type of an answer, in lower case and without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() or None
