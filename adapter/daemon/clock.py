# SPDX-License-Identifier: EUPL-1.2

"""The time of a daemon: nothing that waits is to wait longer, nor what runs to be taken over, because a clock was set.

Over a shared database it is the time of the server, the same for all daemons, whatever the clocks of their hosts say;
between two looks at it the monotonic clock of the host counts. With the embedded database it is that of the host, and
when that is set back, everything that waits is brought forward by as much.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from adapter.observe import get_logger
from adapter.store import Database, StoreProblem, bring_forward, server_time

log = get_logger(__name__)

_LOOK: Final = 5.0
_STEP: Final = timedelta(seconds=2)
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _monotonic() -> datetime:
    return _START + timedelta(seconds=time.monotonic())


@dataclass(slots=True)
class StoreClock:
    """The clock of one daemon; `host` is the one of the host, `shared` whether the database is.

    `look` must have been called once before it tells the time of a shared database.
    """

    db: Database
    host: Callable[[], datetime]
    shared: bool
    _offset: timedelta = timedelta()
    _gap: timedelta = field(init=False)

    def __post_init__(self) -> None:
        """Remember how the clock of the host stands."""
        self._gap = self.host() - _monotonic()

    def __call__(self) -> datetime:
        """The time."""
        return _monotonic() + self._offset if self.shared else self.host()

    def is_off(self) -> timedelta:
        """How far the clock of the host is ahead of this one; negative when it is behind."""
        return self.host() - self()

    async def look(self) -> None:
        """Learn how the clocks stand now. Raises StoreProblem."""
        if self.shared:
            before = _monotonic()
            told = await self.db.read(server_time)
            self._offset = told - before - (_monotonic() - before) / 2
        else:
            await self._look_at_host()

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK if self.shared else 1.0)
            try:
                await self.look()
            except StoreProblem as problem:
                log.warning("the clock cannot be compared now", action="clock.not_read", reason=str(problem))

    async def _look_at_host(self) -> None:
        gap = self.host() - _monotonic()
        step = gap - self._gap
        if abs(step) >= _STEP:
            moved = await self.db.write(bring_forward, -step) if step < timedelta() else 0
            log.warning(
                "the clock of this host was set",
                action="clock.set",
                seconds=round(step.total_seconds(), 3),
                brought_forward=moved,
            )
        self._gap = gap
