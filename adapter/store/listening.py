# SPDX-License-Identifier: EUPL-1.2

"""Hearing of the commits of other processes (NOTIFY), over a connection of its own.

Who has waited may have missed something whenever this connection was made again, so that counts as a change;
while there is none, who waits is told to look for himself every few seconds.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from adapter.observe import get_logger

log = get_logger(__name__)

CHANNEL: Final = "stam_adapter"
"""The channel on which each commit that changes something is announced; the payload says by whom."""

FALL_BACK: Final = 5.0
"""Seconds between looks while nothing can be heard."""

_PROBE: Final = 30.0
_ANSWER: Final = 10.0
_PAUSE: Final = 1.0


class Listener:
    """Keeps a connection that listens."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        me: str,
        on_change: Callable[[], None],
        on_start: Callable[[], None],
    ):
        """Make a listener that does not listen yet.

        Args:
            connect: makes a connection.
            me: the payload of our own announcements, which are not heard.
            on_change: called at each announcement of another.
            on_start: called whenever listening started: what came before that was not heard.

        """
        self._connect = connect
        self._me = me
        self._on_change = on_change
        self._on_start = on_start
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._looked = 0.0

    def start(self) -> None:
        """Begin to listen; nothing happens when that was done before."""
        if self._task is None:
            self._looked = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._listen_for_ever(), name="store-listen")

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def listening(self) -> None:
        """Return once it listens."""
        self.start()
        await self._listening.wait()

    def must_look(self) -> bool:
        """Whether it is time to look for changes that could not be heard."""
        now = asyncio.get_running_loop().time()
        if self._listening.is_set() or now - self._looked < FALL_BACK:
            return False
        self._looked = now
        return True

    async def _listen_for_ever(self) -> None:
        heard_before = True
        while True:
            try:
                await self._listen()
                heard_before = True
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if heard_before:
                    log.warning(
                        "commits of others cannot be heard; looking for them instead until they can",
                        action="store.not_listening",
                        reason=type(error).__name__,
                        seconds=FALL_BACK,
                    )
                heard_before = False
            await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await self._connect()
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._listening.set()
            self._on_start()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE):
                        await lost.wait()
                if not lost.is_set():  # a connection that died silently says nothing by itself
                    await connection.execute("SELECT 1", timeout=_ANSWER)
        finally:
            self._listening.clear()
            connection.terminate()

    def _hear(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        if payload != self._me:
            self._on_change()
