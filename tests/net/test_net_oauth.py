# SPDX-License-Identifier: EUPL-1.2

"""An access token is fetched once, kept while it holds, and never shown."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.net import ClientCredentials, HttpClient, OauthSettings, TokenProblem
from adapter.pki import TrustStore
from adapter.simulator import TOKEN_PATH, Faults, TokenEndpoint, TokenSettings

SECRET = "geheim: één & twee"


class Tokens:
    """A token endpoint, and time that can be let pass."""

    def __init__(self) -> None:
        self.endpoint = TokenEndpoint(TokenSettings("wij", SECRET, "afhandelen", 300), Faults())
        self.now = 0.0
        app = web.Application()
        self.endpoint.add_to(app)
        self.server = TestServer(app)
        self.http = HttpClient(None, TrustStore([]), allow_plain=True)

    def client(self, path: str = TOKEN_PATH, **changes: Any) -> ClientCredentials:
        values: dict[str, Any] = {
            "client_id": "wij",
            "client_secret": SECRET,
            "scope": "afhandelen",
            **changes,
        }
        settings = OauthSettings(str(self.server.make_url(path)), **values)
        return ClientCredentials(self.http, settings, lambda: self.now)


@pytest.fixture
async def tokens() -> AsyncIterator[Tokens]:
    tokens = Tokens()
    await tokens.server.start_server()
    yield tokens
    await tokens.http.close()
    await tokens.server.close()


async def test_a_token_is_kept_until_shortly_before_it_ends(tokens: Tokens) -> None:
    client = tokens.client()
    first = await client.token()
    tokens.now = 269.0
    assert await client.token() == first
    tokens.now = 271.0
    assert await client.token() != first
    assert tokens.endpoint.given == 2


async def test_many_who_want_a_token_at_once_make_one_request(tokens: Tokens) -> None:
    client = tokens.client()
    assert len(set(await asyncio.gather(*(client.token() for _ in range(10))))) == 1
    assert tokens.endpoint.given == 1


async def test_a_token_that_is_dropped_is_replaced(tokens: Tokens) -> None:
    client = tokens.client()
    first = await client.token()
    client.drop(first)
    second = await client.token()
    assert second != first
    client.drop(first)
    assert await client.token() == second


async def test_id_and_secret_can_go_in_the_body(tokens: Tokens) -> None:
    assert await tokens.client(secret_in_body=True).token()


async def test_without_a_secret_the_certificate_is_what_counts(tokens: Tokens) -> None:
    tokens.endpoint.settings = TokenSettings("wij")  # type: ignore[misc]
    assert await tokens.client(client_secret=None, scope=None).token()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_secret": "anders"}, "HTTP 401: invalid_client"),
        ({"scope": "alles"}, "HTTP 400: invalid_scope"),
        ({"path": "/elders"}, "HTTP 404"),
    ],
)
async def test_a_refusal_says_why_and_shows_no_secret(
    tokens: Tokens, changes: dict[str, Any], reason: str
) -> None:
    client = tokens.client(**changes)
    with pytest.raises(TokenProblem, match=reason) as refused:
        await client.token()
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(client._settings)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("{", "no access_token"),
        ("[]", "no access_token"),
        ('{"token_type": "Bearer"}', "no access_token"),
        ('{"access_token": "a\\r\\nX: y", "token_type": "Bearer"}', "no access_token"),
        ('{"access_token": "a", "token_type": "mac"}', "another type than Bearer"),
    ],
)
async def test_an_answer_without_a_usable_token_is_refused(tokens: Tokens, answer: str, reason: str) -> None:
    with pytest.raises(TokenProblem, match=reason):
        await _answering(tokens, answer)


@pytest.mark.parametrize(
    ("lifetime", "holds", "ends"),
    [
        ("3600", 3569, 3571),
        ("10", 4.9, 5.1),
        ('"3600"', 3569, 3571),
        ("null", 299, 301),
        ("-1", 299, 301),
        ("NaN", 299, 301),
        ("true", 299, 301),
    ],
)
async def test_how_long_a_token_is_used(tokens: Tokens, lifetime: str, holds: float, ends: float) -> None:
    client = await _answering(
        tokens, f'{{"access_token": "a", "token_type": "bearer", "expires_in": {lifetime}}}'
    )
    first = client._good_until
    tokens.now = holds
    await client.token()
    assert client._good_until == first
    tokens.now = ends
    await client.token()
    assert client._good_until > first


async def _answering(tokens: Tokens, answer: str) -> ClientCredentials:
    """A client that got this answer."""

    async def give(_: web.Request) -> web.Response:
        return web.Response(text=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post(TOKEN_PATH, give)
    await tokens.server.close()
    tokens.server = TestServer(app)
    await tokens.server.start_server()
    client = tokens.client()
    await client.token()
    return client
