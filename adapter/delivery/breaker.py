# SPDX-License-Identifier: EUPL-1.2

"""The circuit breaker of a sink: one that fails and fails is left in peace, then tried with one delivery at a time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from adapter.delivery.options import BreakerOptions


class BreakerState(StrEnum):
    """Whether deliveries go to a sink: all of them, none for now, or one at a time to see whether it works again."""

    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"


class Breaker:
    """Counts the failures of one sink in a row. Not for use by several threads."""

    def __init__(self, options: BreakerOptions, clock: Callable[[], datetime]) -> None:
        self._options = options
        self._clock = clock
        self._failures = 0
        self._rests = 0
        self._until: datetime | None = None

    @property
    def all_is_well(self) -> bool:
        """Whether the last delivery succeeded, or there was none."""
        return self._failures == 0 and self._until is None

    @property
    def state(self) -> BreakerState:
        """What it is at this moment."""
        if self._until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._until else BreakerState.TRYING

    @property
    def until(self) -> datetime | None:
        """Until when the sink is left in peace; None when it is not."""
        return self._until if self._until is not None and self.state is BreakerState.OPEN else None

    def room(self, limit: int) -> int:
        """How many deliveries may be under way now, of `limit` when all is well.

        After a failure it is one, so that a sink that does not answer keeps little of what all sinks share.
        """
        if self.all_is_well:
            return limit
        return 0 if self.state is BreakerState.OPEN else 1

    def succeeded(self) -> bool:
        """The sink gave a clear answer; return whether it had been left in peace."""
        was_open = self._until is not None
        self._failures, self._rests, self._until = 0, 0, None
        return was_open

    def failed(self, asked: timedelta | None = None) -> bool:
        """The sink failed, and may have `asked` to be left in peace for so long; return whether that begins now."""
        state = self.state
        self._failures += 1
        # What was under way when the rest began says nothing new.
        if state is BreakerState.OPEN and asked is None:
            return False
        if state is BreakerState.CLOSED and asked is None and self._failures < self._options.failures:
            return False
        until = self._clock() + (asked if asked is not None else self._rest())
        self._rests += 1
        self._until = until if self._until is None else max(until, self._until)
        return state is not BreakerState.OPEN

    def _rest(self) -> timedelta:
        # bounded, so that a sink that is down for weeks does not overflow
        factor: int = 2 ** min(self._rests, 20)
        return min(self._options.rest * factor, self._options.longest)
