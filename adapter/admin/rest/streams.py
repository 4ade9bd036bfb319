"""Answers that are written as they are read, and what happens when that breaks off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web

from adapter.admin.answers import note_unexpected
from adapter.admin.rest.api import Call
from adapter.observe import get_logger

log = get_logger(__name__)


@asynccontextmanager
async def streaming(call: Call, content_type: str) -> AsyncIterator[web.StreamResponse]:
    """An answer to write to. When that breaks off the connection is cut: no caller may take a part for the whole."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: content_type})
    await response.prepare(call.request)
    try:
        yield response
        await response.write_eof()
    except ConnectionError:
        log.info("the caller went away", action="admin.answer_cut", path=call.request.path)
    except Exception:
        # The status is out already, so the only way to say that this is no whole answer is to end it here.
        note_unexpected(call.api.metrics, call.request, "could not finish an answer")
        if call.request.transport is not None:
            call.request.transport.abort()
