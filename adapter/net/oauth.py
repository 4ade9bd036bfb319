# SPDX-License-Identifier: EUPL-1.2

"""Access tokens by OAuth 2.0 client credentials (RFC 6749 4.4), over the connection of an `HttpClient`."""

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from adapter.net.client import HttpClient

_MAX_ANSWER: Final = 64 * 1024
_MARGIN: Final = 30.0
_UNSAID: Final = (
    300.0  # how long a token is used when the server does not say how long it holds (RFC 6749 5.1)
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1
_ERROR: Final = re.compile(r"[a-z_]{1,50}")


class TokenProblem(Exception):
    """The token endpoint gave no token; the message is the reason, and names no secret.

    `status` is that of its answer, and `retry_after` its header, if it had one.
    """

    def __init__(self, reason: str, status: int, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class OauthSettings:
    """Where to ask for a token, and as whom.

    Without a secret the client is known by its certificate (RFC 8705 2). `secret_in_body` puts id and secret in the
    body, for servers that do not take them as HTTP basic (RFC 6749 2.3.1).
    """

    token_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    secret_in_body: bool = False


class ClientCredentials:
    """The access token of one client: kept until shortly before it ends, and asked for by one at a time."""

    def __init__(
        self, http: HttpClient, settings: OauthSettings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._http: Final = http
        self._settings: Final = settings
        self._now: Final = now
        self._lock: Final = asyncio.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    async def token(self) -> str:
        """A token that holds.

        Raises:
            TokenProblem: the server gives none.
            NetProblem: the server cannot be asked.

        """
        async with self._lock:
            if self._token is None or self._now() >= self._good_until:
                self._token, span = await self._ask()
                self._good_until = self._now() + span
            return self._token

    def drop(self, token: str) -> None:
        """Use a token no more, as it was refused; another one that came since stays."""
        if self._token == token:
            self._token = None

    async def _ask(self) -> tuple[str, float]:
        """A new token, and for how many seconds it is to be used."""
        body, headers = _request(self._settings)
        url = self._settings.token_url
        async with self._http.request("POST", url, headers=headers, data=body) as response:
            answer = _read(await response.read(_MAX_ANSWER))
            if response.status != 200:
                raise TokenProblem(
                    f"the token endpoint {url} answers HTTP {response.status}{_why(answer)}",
                    response.status,
                    response.headers.get("Retry-After"),
                )
        token, kind = answer.get("access_token"), answer.get("token_type")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TokenProblem(f"the token endpoint {url} gives no access_token that can be used", 200)
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise TokenProblem(f"the token endpoint {url} gives a token of another type than Bearer", 200)
        return token, _span(answer.get("expires_in"))


def _request(settings: OauthSettings) -> tuple[bytes, dict[str, str]]:
    """The body and the headers that ask for a token."""
    form = {"grant_type": "client_credentials"}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if settings.scope is not None:
        form["scope"] = settings.scope
    if settings.client_secret is None:
        form["client_id"] = settings.client_id
    elif settings.secret_in_body:
        form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
    else:
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(settings.client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return urlencode(form).encode(), headers


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _why(answer: dict[str, Any]) -> str:
    """The error code (RFC 6749 5.2), and nothing else: a description could repeat what was sent."""
    code = answer.get("error")
    return f": {code}" if isinstance(code, str) and _ERROR.fullmatch(code) else ""


def _span(expires_in: object) -> float:
    """How long to use a token: until half a minute before it ends, or, of a short one, half its time."""
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit():
        expires_in = int(expires_in[:12])
    if not isinstance(expires_in, int | float) or not 1 < expires_in < 1e9:  # a NaN is not either
        return _UNSAID
    return max(float(expires_in) - _MARGIN, float(expires_in) / 2)
