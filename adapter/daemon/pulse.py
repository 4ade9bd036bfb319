# SPDX-License-Identifier: EUPL-1.2

"""Whether the process still works: a thread looks whether the event loop turns and the database thread gets anywhere.

What it finds is what a restart mends, and nothing else: `/health/live` says it, and the watchdog of systemd, which is
told that all is well only while it is, starts the daemon again.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from adapter.admin import Trouble
from adapter.daemon.systemd import ServiceManager
from adapter.observe import get_logger

log = get_logger(__name__)

_BEAT: Final = 0.5
_REMEMBERED: Final = 120
"""Beats: a minute of them."""

_USUAL_LOOK: Final = 5.0


class Pulse:
    """Beats in the event loop, and is felt by a thread.

    `database` is for how many seconds the thread of the database has been at the same thing; `dead` names what ended
    and should not have.
    """

    def __init__(
        self,
        manager: ServiceManager,
        stuck: timedelta,
        database: Callable[[], float],
        dead: Callable[[], Sequence[str]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._stuck = stuck.total_seconds()
        self._database = database
        self._dead = dead
        self._monotonic = monotonic
        self._beat = monotonic()
        self._lags: deque[float] = deque(maxlen=_REMEMBERED)
        self._ended = threading.Event()
        self._loop_thread = threading.get_ident()
        self._said: list[str] = []

    @property
    def lag(self) -> timedelta:
        """By how much the event loop was late at worst in the last minute."""
        return timedelta(seconds=max(self._lags, default=0.0))

    def reasons(self) -> list[str]:
        """Why the process must be started again; from any thread."""
        silent = self._monotonic() - self._beat
        found = []
        if silent > self._stuck:
            found.append(f"the event loop has done nothing for {silent:.0f} s; restart the daemon")
        if (busy := self._database()) > self._stuck:
            found.append(
                f"the thread that writes to the database has been at the same thing for {busy:.0f} s; see whether its "
                "disk hangs, and restart the daemon"
            )
        return found + [
            f"{name} does not run any more; restart the daemon, and see its log" for name in self._dead()
        ]

    async def beat(self) -> None:
        """Beat until cancelled; while it does, the thread looks."""
        thread = threading.Thread(target=self._feel, name="pulse", daemon=True)
        thread.start()
        try:
            while True:
                before = self._monotonic()
                await asyncio.sleep(_BEAT)
                self._beat = self._monotonic()
                self._lags.append(max(0.0, self._beat - before - _BEAT))
        finally:
            self._ended.set()

    async def troubles(self, longest: timedelta) -> list[Trouble]:
        """That the event loop keeps everybody waiting, where it is for longer than this."""
        if self.lag <= longest:
            return []
        return [
            Trouble(
                f"the event loop was {self.lag.total_seconds():.1f} s late within the last minute, and all requests "
                "with it; give the daemon more CPU, or see whether the machine swaps"
            )
        ]

    def _feel(self) -> None:
        watchdog = self._manager.watchdog
        every = watchdog.total_seconds() / 2 if watchdog is not None else _USUAL_LOOK
        while True:
            self.look()
            if self._ended.wait(min(every, self._stuck)):
                return

    def look(self) -> None:
        """Tell the service manager that all is well, where it is; else say why not, once."""
        found = self.reasons()
        if not found:
            self._manager.send("WATCHDOG=1")
        elif len(found) != len(self._said):
            stack = traceback.format_stack(sys._current_frames().get(self._loop_thread))
            log.error(
                "the process must be started again",
                action="daemon.not_live",
                reasons=found,
                stack="".join(stack),
            )
        self._said = found
