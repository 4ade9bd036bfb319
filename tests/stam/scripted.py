# SPDX-License-Identifier: EUPL-1.2

"""A server in the place of Verzoek afhandelen that answers as a test says, and what a test asks it for."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.observe import Metrics
from adapter.stam import Downloaded, FetchProblem, Progress, VerzoekAfhandelen
from adapter.store import Spool
from tests.stam.house import AUTHORITY

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dso:
    """A server that answers everything with `answer`, and remembers what was asked."""

    def __init__(self) -> None:
        self.answer: Answer = self._empty
        self.requests: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answer(request)

    async def _empty(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({})

    def gives(self, **response: object) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(**response)  # type: ignore[arg-type]

        self.answer = answer

    @property
    def url(self) -> str:
        return str(self.server.make_url("/api"))


async def download(
    client: VerzoekAfhandelen, address: str, spool: Spool, *, may_be_page: bool = False
) -> Downloaded:
    with Progress(Metrics(), AUTHORITY, "bijlage") as progress:
        return await client.download(address, spool, progress, may_be_page=may_be_page)


async def problem_of(awaitable: Awaitable[object]) -> FetchProblem:
    with pytest.raises(FetchProblem) as caught:
        await awaitable
    return caught.value
