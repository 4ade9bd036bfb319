# SPDX-License-Identifier: EUPL-1.2

"""Lets the requests end that a listener is in the middle of, when it closes.

aiohttp ignores what is still being uploaded once it shuts down; so the listener is closed first, and shut down when
nothing runs in it any more.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

CUT: Final = timedelta(seconds=1)
"""How long a request that did not end in time may take to notice that it was cut off."""


class Drain:
    """The requests in progress of one application; made before that is run."""

    def __init__(self, app: web.Application):
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        app.middlewares.insert(0, self._middleware())

    async def close(self, sites: Sequence[web.BaseSite], runner: web.AppRunner, grace: timedelta) -> None:
        """Take no connection any more, let requests end within a grace, then cut off what is left."""
        for site in sites:
            await site.stop()
        with contextlib.suppress(TimeoutError):  # what is left is cut off by the following
            async with asyncio.timeout(grace.total_seconds()):
                await self._idle.wait()
        await runner.cleanup()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._running += 1
            self._idle.clear()
            try:
                return await handler(request)
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()

        return count
