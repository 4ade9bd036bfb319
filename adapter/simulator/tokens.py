# SPDX-License-Identifier: EUPL-1.2

"""The token endpoint of the simulated DSO-LV: OAuth 2.0 client credentials (RFC 6749 4.4), strict as a real one."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus

from aiohttp import web

from adapter.simulator.faults import Faults

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Which client gets tokens, for which scope, and for how many seconds one holds.

    Without a secret the client is known by its certificate.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    lifetime: int = 300


class TokenEndpoint:
    """Gives out tokens, and knows those that hold; `given` counts them."""

    def __init__(self, settings: TokenSettings, faults: Faults) -> None:
        self.settings: Final = settings
        self.given = 0
        self._faults: Final = faults
        self._valid: set[str] = set()

    def add_to(self, app: web.Application) -> None:
        """Serve at TOKEN_PATH."""
        app.router.add_post(TOKEN_PATH, self._give, name="token")

    def admits(self, authorization: str | None) -> bool:
        """Whether an Authorization header has a token that holds; less so when told to let tokens expire."""
        scheme, _, token = (authorization or "").partition(" ")
        if self._faults.take_expire_tokens():
            self._valid.discard(token)
        return scheme.lower() == "bearer" and token in self._valid

    async def _give(self, request: web.Request) -> web.StreamResponse:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        if form.get("grant_type") != "client_credentials":
            return _refuse("unsupported_grant_type", HTTPStatus.BAD_REQUEST)
        if self._client(request, form) != (self.settings.client_id, self.settings.client_secret):
            return _refuse("invalid_client", HTTPStatus.UNAUTHORIZED)
        if form.get("scope") != self.settings.scope:
            return _refuse("invalid_scope", HTTPStatus.BAD_REQUEST)
        token = secrets.token_urlsafe(24)
        self._valid.add(token)
        self.given += 1
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": self.settings.lifetime},
            headers={"Cache-Control": "no-store"},
        )

    def _client(self, request: web.Request, form: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Id and secret, from one place only (RFC 6749 2.3)."""
        header = request.headers.get("Authorization")
        if header is None:
            return form.get("client_id"), form.get("client_secret")
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() != "basic" or "client_secret" in form:
            return None, None
        try:
            pair = base64.b64decode(credentials, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return None, None
        client_id, _, secret = pair.partition(":")
        return unquote_plus(client_id), unquote_plus(secret)


def _refuse(error: str, status: HTTPStatus) -> web.Response:
    return web.json_response({"error": error}, status=status.value)
