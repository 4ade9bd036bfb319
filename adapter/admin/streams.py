# SPDX-License-Identifier: EUPL-1.2

"""Answers that are written as they are read, and what happens when that breaks off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import LooseHeaders

from adapter.admin.answers import note_unexpected
from adapter.observe import Metrics, get_logger

log = get_logger(__name__)


@asynccontextmanager
async def streaming(
    request: web.Request, metrics: Metrics, headers: LooseHeaders
) -> AsyncIterator[web.StreamResponse]:
    """An answer to write to. When that breaks off the connection is cut: no caller may take a part for the whole."""
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        yield response
        await response.write_eof()
    except ConnectionError:
        log.info("the caller went away", action="admin.answer_cut", path=request.path)
    except Exception:
        # The status is out already, so the only way to say that this is no whole answer is to end it here.
        note_unexpected(metrics, request, "could not finish an answer")
        if request.transport is not None:
            request.transport.abort()
