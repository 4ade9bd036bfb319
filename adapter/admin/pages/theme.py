# SPDX-License-Identifier: EUPL-1.2

"""What pages look like: our style sheet and script, and the house style that a municipality lays over it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from adapter.config import ConfigProblem

STATIC: Final = "/static/"

_LARGEST: Final = 256 * 1024
_TYPES: Final = {"style.css": "text/css", "live.js": "text/javascript", "favicon.svg": "image/svg+xml"}
_THEME: Final = "theme.css"
_OUTSIDE: Final = re.compile(r"@import|url\(\s*[\"']?\s*(?!data:|[\"']?\s*data:)[^)\s]", re.IGNORECASE)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages name; `version` changes with its contents, so that browsers may keep it."""

    name: str
    content_type: str
    octets: bytes
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", hashlib.sha256(self.octets).hexdigest()[:12])

    @property
    def href(self) -> str:
        """Its address."""
        return f"{STATIC}{self.name}?v={self.version}"


def read_theme(path: Path) -> bytes:
    """The style sheet of a house style.

    Raises ConfigProblem where it cannot be used: it is no style sheet, or needs something that browsers may not load.
    """
    where = f"admin.theme: {path}"
    try:
        octets = path.read_bytes()
        text = _COMMENT.sub("", octets.decode("utf-8"))
    except OSError as error:
        raise ConfigProblem([f"{where} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigProblem([f"{where} is no text; give a style sheet in UTF-8"]) from error
    if len(octets) > _LARGEST:
        raise ConfigProblem([f"{where} is larger than {_LARGEST // 1024} KiB; leave out what is no token"])
    if "{" not in text or text.count("{") != text.count("}"):
        raise ConfigProblem([f"{where} is no style sheet; write :root {{ --utrecht-link-color: #00609a; }}"])
    if (found := _OUTSIDE.search(text)) is not None:
        raise ConfigProblem(
            [f"{where} loads something with {found[0]!r}, which pages may not; write it as url(data:…)"]
        )
    return octets


def assets(theme: bytes | None) -> Mapping[str, Asset]:
    """All files that pages name, by their names; the house style is empty where there is none."""
    house = Asset(_THEME, "text/css", theme or b"")
    return {**_own(), house.name: house}


@cache
def _own() -> Mapping[str, Asset]:
    place = files("adapter.admin.pages") / "static"
    return {name: Asset(name, kind, (place / name).read_bytes()) for name, kind in _TYPES.items()}


def add_assets(app: web.Application, served: Mapping[str, Asset]) -> None:
    """Serve these files; to everybody, since there is nothing in them, and a page that asks to log in needs them."""

    async def get(request: web.Request) -> web.Response:
        asset = served.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        is_current = request.query.get("v") == asset.version
        headers = {hdrs.CACHE_CONTROL: _FOREVER if is_current else "no-cache"}
        return web.Response(
            body=asset.octets, content_type=asset.content_type, charset="utf-8", headers=headers
        )

    app.router.add_get(f"{STATIC}{{name}}", get)
