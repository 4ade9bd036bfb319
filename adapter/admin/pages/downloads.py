# SPDX-License-Identifier: EUPL-1.2

"""Files that a page gives to be kept: what a partner chose is never shown by the browser as a page of ours."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeVar
from urllib.parse import quote

from aiohttp import hdrs, web

from adapter.admin.calls import Refused
from adapter.admin.pages.page import Visit
from adapter.admin.streams import streaming
from adapter.delivery.names import unique_names
from adapter.rendering import Language
from adapter.store import Content, SpoolDamaged
from adapter.views.tables import COMMA, SEMICOLON, Column, csv_of

T = TypeVar("T")

OCTETS: Final = "application/octet-stream"
ZIP: Final = "application/zip"
XML: Final = "application/xml"

_SANDBOX: Final = "default-src 'none'; sandbox"


def kept(name: str, content_type: str, size: int | None = None) -> dict[str, str]:
    """The headers of a file that is to be kept, under a name made safe."""
    (safe,) = unique_names([name])
    plain = safe.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    headers = {
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_DISPOSITION: f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}",
        "Content-Security-Policy": _SANDBOX,
    }
    if size is not None:
        headers[hdrs.CONTENT_LENGTH] = str(size)
    return headers


def shown_as_text(octets: bytes) -> web.Response:
    """Octets as plain text, which the browser does nothing with."""
    headers: Mapping[str, str] = {"Content-Security-Policy": _SANDBOX}
    return web.Response(body=octets, content_type="text/plain", charset="utf-8", headers=headers)


async def send(
    visit: Visit, headers: Mapping[str, str], pieces: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """Send a file as it is made; one that cannot be made to its end breaks off, so that nobody takes it for whole."""
    call = visit.call
    async with streaming(call.request, call.api.metrics, headers) as response, aclosing(pieces):
        async for piece in pieces:
            await response.write(piece)
    return response


async def send_content(visit: Visit, name: str, content: Content) -> web.StreamResponse:
    """Send a content of the spool. Raises Refused (410) where it is there no more, SpoolUnavailable."""
    spool = visit.call.api.spool
    try:
        await spool.require(content)
    except SpoolDamaged as problem:
        raise Refused(410, str(problem)) from problem
    return await send(visit, kept(name, OCTETS, content.size), spool.open(content))


async def send_table(
    visit: Visit, name: str, columns: Sequence[Column[T]], rows: AsyncGenerator[Sequence[T], None]
) -> web.StreamResponse:
    """Send a table as CSV, with the separator that spreadsheets in the language of the visit expect."""
    separator = SEMICOLON if visit.language is Language.NL else COMMA
    headers = kept(f"{name}.csv", "text/csv; charset=utf-8")
    async with aclosing(rows):
        return await send(visit, headers, csv_of(columns, rows, separator))
