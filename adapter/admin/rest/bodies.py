# SPDX-License-Identifier: EUPL-1.2

"""Bodies of calls, read into memory as far as they may be."""

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from adapter.admin.calls import Refused, bad_request

MAX_TEXT: Final = 10 * 1024 * 1024
"""Largest CPA, in octets."""

MAX_JSON: Final = 16 * 1024 * 1024
"""Largest JSON body, in octets: base64 in it takes memory. Larger payloads go in multipart/form-data."""

MAX_SMALL_JSON: Final = 64 * 1024
"""Largest JSON body, in octets, that holds no payload."""

_CHUNK: Final = 64 * 1024
_TEXT_TYPES: Final = frozenset({"text/plain", "text/xml", "application/xml"})


async def read_text(request: web.BaseRequest, limit: int = MAX_TEXT) -> bytes:
    """The octets of a body of text or XML. Raises Refused (413, 415)."""
    if request.content_type not in _TEXT_TYPES:
        raise Refused(415, "send it as text/plain")
    return await _read(request, limit)


async def read_json(request: web.BaseRequest, limit: int = MAX_SMALL_JSON) -> dict[str, Any]:
    """The object in a JSON body. Raises Refused (400, 413, 415)."""
    if request.content_type != "application/json":
        raise Refused(415, "send it as application/json")
    body = await _read(request, limit)
    return as_object(await asyncio.to_thread(load_json, body))


def load_json(body: bytes) -> Any:
    """Read JSON. Raises Refused (400)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request("the body is not JSON") from error


def as_object(value: Any, what: str = "the body") -> dict[str, Any]:
    """The value, which must be a JSON object. Raises Refused (400)."""
    if not isinstance(value, dict):
        raise bad_request(f"{what} is not a JSON object")
    return value


def text_of(values: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    """A text in a JSON object; None where it is absent, null or empty. Raises Refused (400)."""
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"{name} is not a text")
    if required and not value:
        raise bad_request(f"{name} is missing")
    return value or None


def required_text(values: dict[str, Any], name: str) -> str:
    """A text in a JSON object that must be there. Raises Refused (400)."""
    return text_of(values, name, required=True) or ""


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    announced = request.content_length
    if announced is not None and announced > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> Refused:
    """413: the body is larger than `limit` octets."""
    return Refused(413, f"the body is larger than {limit} bytes")
