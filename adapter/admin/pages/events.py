# SPDX-License-Identifier: EUPL-1.2

"""`/events`: tells an open page that something changed of what it shows."""

from typing import Final

from aiohttp import web

from adapter.admin.pages.page import BASE_WORDS, Page, Visit


async def stream_events(visit: Visit) -> web.StreamResponse:
    """A stream of events, about all that the user may see, or about one verzoek or message."""
    call = visit.call
    return await visit.status.live.answer(call.request, call.user.name, visit.scope, call.query("of"))


EVENTS: Final = Page("GET", "/events", "events", stream_events, words=BASE_WORDS)
