# SPDX-License-Identifier: EUPL-1.2

"""Telling open pages that something changed: server-sent events, from one look at the store for all of them.

A page that is told asks for itself again, so nothing of the contents goes this way; and nothing is lost when a change
is not told: a page without JavaScript is never told.
"""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from aiohttp import hdrs, web
from sqlalchemy.exc import SQLAlchemyError

from adapter.observe import get_logger
from adapter.store import Database, StoreProblem, latest_changes

log = get_logger(__name__)

MOST: Final = 48
"""Streams of all users together: the listener has to have connections left."""

MOST_PER_USER: Final = 4
"""Streams of one user: a browser has six connections to a server, and a page needs one."""

_QUIET: Final = 2.0
"""Seconds between two looks: under traffic the store changes many times a second."""

_IDLE: Final = 15.0
"""Seconds of silence after which a stream says something, so that proxies keep it and a closed one is noticed."""

_RETRY: Final = b"retry: 10000\n\n"
_ALIVE: Final = b": alive\n\n"
_NEWS: Final = b"event: change\ndata: {}\n\n"


@dataclass(eq=False, slots=True)
class _Stream:
    """One open page: of whom, for which authorities, about what."""

    request: web.Request
    user: str
    scope: Collection[str]
    topic: str | None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_open(self) -> bool:
        """Whether the page is still there: without a write, its going away does not end what serves it."""
        transport = self.request.transport
        return transport is not None and not transport.is_closing()

    def concerns(self, changes: Collection[tuple[str, frozenset[str]]]) -> bool:
        return any(
            authority in self.scope and (self.topic is None or self.topic in about)
            for authority, about in changes
        )


@dataclass(slots=True)
class Live:
    """The streams that are open. `watch` runs as long as the daemon; when it is cancelled they end."""

    db: Database
    quiet: float = _QUIET
    idle: float = _IDLE
    _streams: set[_Stream] = field(default_factory=set)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False
    _last: int | None = None

    @property
    def is_watching(self) -> bool:
        """Whether a change from now on is told."""
        return self._last is not None

    @property
    def has_ended(self) -> bool:
        """Whether the daemon stops."""
        return self._ended

    async def watch(self) -> None:
        """Tell the streams what changed, until cancelled; without streams nothing is looked at."""
        try:
            while True:
                if not self._streams:
                    self._last = None
                    self._wanted.clear()
                    await self._wanted.wait()
                await self._look()
                await asyncio.sleep(self.quiet)
        finally:
            self._ended = True
            for stream in self._streams:
                stream.news.set()

    async def answer(
        self, request: web.Request, user: str, scope: Collection[str], topic: str | None
    ) -> web.StreamResponse:
        """Serve a stream until its page goes away, or the daemon stops; 204, which ends it, where there is no room."""
        if self._ended or not self._has_room(user):
            return web.Response(status=204)
        stream = _Stream(request, user, scope, topic)
        self._streams.add(stream)
        self._wanted.set()
        try:
            return await self._serve(request, stream)
        finally:
            self._streams.discard(stream)

    def _has_room(self, user: str) -> bool:
        count = Counter(stream.user for stream in self._streams if stream.is_open)
        return count.total() < MOST and count[user] < MOST_PER_USER

    async def _serve(self, request: web.Request, stream: _Stream) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
        )
        try:
            await response.prepare(request)
            await response.write(_RETRY)
            while not self.has_ended:
                try:
                    async with asyncio.timeout(self.idle):
                        await stream.news.wait()
                except TimeoutError:
                    await response.write(_ALIVE)
                    continue
                stream.news.clear()
                if not self.has_ended:
                    await response.write(_NEWS)
            await response.write_eof()
        except ConnectionError:
            log.debug("a page that was open went away", action="admin.page_left")
        return response

    async def _look(self) -> None:
        """Tell who what happened is about, and wait for the next change."""
        seen = self.db.changes.count
        try:
            found = await self.db.read(latest_changes, self._last)
        except (StoreProblem, SQLAlchemyError) as problem:
            log.warning(
                "open pages cannot be told of changes now",
                action="admin.not_told",
                reason=type(problem).__name__,
            )
            await asyncio.sleep(self.idle)
            return
        self._last = found.last
        if found.changes:
            for stream in self._streams:
                if stream.concerns(found.changes):
                    stream.news.set()
        await self.db.wait_for_change(self.idle, since=seen)
