# SPDX-License-Identifier: EUPL-1.2

"""Who we are to a ZGW API: a JSON Web Token for each request, signed with the secret that both sides have."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any, Final

from adapter.delivery import Json
from adapter.sinks.access import SecretFile
from adapter.sinks.zgw.options import ZgwOptions

LIFETIME: Final = timedelta(hours=1)
"""How long a token is good: as long as servers accept one anyway."""

_HEADER: Final = {"typ": "JWT", "alg": "HS256"}


class Credentials:
    """What a ZGW API is told about us. The secret is read when it is used, so that it can be changed meanwhile."""

    def __init__(self, options: ZgwOptions) -> None:
        self._secret = SecretFile("secret_file", options.secret_file)
        self._claims = {
            "iss": options.client_id,
            "client_id": options.client_id,
            "user_id": options.user_id or options.client_id,
            "user_representation": options.user_representation or options.client_id,
        }

    async def token(self, now: int) -> str:
        """A token that was made at `now`, in seconds; StepFailed where the secret cannot be read."""
        secret = await self._secret.read()
        lifetime = int(LIFETIME.total_seconds())
        return signed({**self._claims, "iat": now, "exp": now + lifetime}, secret.encode())


def signed(claims: Json, secret: bytes) -> str:
    """The claims as a token (RFC 7519), signed with HMAC-SHA256 (RFC 7515 A.1)."""
    text = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    signature = hmac.new(secret, text.encode("ascii"), hashlib.sha256).digest()
    return f"{text}.{_base64url(signature)}"


def _encoded(part: Any) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
