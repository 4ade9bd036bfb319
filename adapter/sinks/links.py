# SPDX-License-Identifier: EUPL-1.2

"""Links by which a receiver fetches the files of a delivery from the admin listener: each signed, for one file, and for
a while.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from adapter.config import Config, Duration
from adapter.delivery import Handover, OptionPath, SinkOptions
from adapter.sinks.access import SecretFile

LINKS_PATH: Final = "/deliveries/"
"""Where links lead to on the admin listener."""

_PURPOSE: Final = b"stam-adapter link\n"  # the secret may sign other things too


class LinksOptions(SinkOptions):
    """`links`: the address at which receivers reach the admin listener, and the file with the secret that links are
    signed with; each is valid for `valid`.
    """

    url: str
    secret_file: OptionPath
    valid: Duration = timedelta(days=1)

    @property
    def secret(self) -> SecretFile:
        """What links are signed with."""
        return SecretFile("links.secret_file", self.secret_file)


@dataclass(frozen=True, slots=True)
class FileLink:
    """What a link leads to: the `number`-th file of a delivery, until it expires."""

    authority: str
    sink: str
    key: str
    number: int
    expires: datetime

    def token(self, secret: str) -> str:
        """The link as one word for a URL, signed."""
        fields = [self.authority, self.sink, self.key, self.number, int(self.expires.timestamp())]
        payload = json.dumps(fields, separators=(",", ":")).encode()
        return f"{_base64(payload)}.{_base64(_mac(payload, secret))}"


class NoLink(Exception):
    """A token is none of ours; the message says why, for a log."""


def read_token(token: str) -> FileLink:
    """What a token says, which anybody can write: see `is_signed`. Raises NoLink where it says nothing."""
    try:
        authority, sink, key, number, expires = json.loads(_octets(token.partition(".")[0]))
        if not all(isinstance(text, str) for text in (authority, sink, key)):
            raise NoLink("it is not of this form")
        return FileLink(authority, sink, key, int(number), datetime.fromtimestamp(int(expires), UTC))
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise NoLink("it is not of this form") from error


def is_signed(token: str, secret: str) -> bool:
    """Whether a token was signed with this secret."""
    payload, _, signature = token.partition(".")
    try:
        return hmac.compare_digest(_mac(_octets(payload), secret), _octets(signature))
    except ValueError:
        return False


async def with_links(handover: Handover, options: LinksOptions, now: datetime) -> dict[str, Any]:
    """The manifest with an `href` for each file, and until when these are valid; StepFailed without the secret."""
    secret = await options.secret.read()
    expires = (now + options.valid).replace(microsecond=0)
    base = options.url.rstrip("/") + LINKS_PATH

    def linked() -> Iterator[dict[str, Any]]:
        for number, file in enumerate(handover.manifest["files"]):
            link = FileLink(handover.authority, handover.sink, handover.key, number, expires)
            yield {**file, "href": base + link.token(secret)}

    until = expires.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {**handover.manifest, "files": list(linked()), "linksValidUntil": until}


def links_of(config: Config, authority: str, sink: str) -> LinksOptions | None:
    """The links of a sink of the configuration; None where it has none, or none that can be used."""
    settings = config.authorities.get(authority)
    table = settings.sinks.get(sink, {}).get("links") if settings is not None else None
    if not isinstance(table, Mapping):
        return None
    try:
        return LinksOptions.model_validate(dict(table), context={"base": config.base})
    except ValidationError:
        return None


def _mac(payload: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE + payload, hashlib.sha256)


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64url") from error
