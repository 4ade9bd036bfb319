# SPDX-License-Identifier: EUPL-1.2

"""How fast a server is asked: so many requests at a time, so many a second, none while it wants to be left alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Final

from adapter.net.problems import Resting

_ALMOST: Final = 1e-9

PATIENCE: Final = timedelta(seconds=5)
"""A rest up to this long is waited for; one that lasts longer is refused, so that who asks can do something else."""


class Throttle:
    """Gives out turns to ask one server, in the order in which they are wanted.

    The rate is a bucket of tokens that holds those of one second: after a pause so many requests may go at once. A
    turn that is waited for can be cancelled, and then costs no token.

    Args:
        name: the server, for people.
        concurrency: how many turns there are at a time; None is any number.
        rate: how many turns begin in a second, over time; None is any number.
        now: seconds that go on evenly, whatever is done to the clock.
        sleep: waits for so many of them.

    """

    def __init__(
        self,
        name: str,
        concurrency: int | None = None,
        rate: float | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._slots = asyncio.Semaphore(concurrency) if concurrency is not None else nullcontext()
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._tokens = self._size = max(1.0, rate or 0.0)
        self._counted_at = now()
        self._line = asyncio.Lock()
        self._rests_until = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the block lasts.

        Raises:
            Resting: the server wants to be left alone for long; also when that is found while waiting.

        """
        self._rest_left()
        async with self._slots:
            await self._begin()
            yield

    @property
    def left(self) -> timedelta:
        """For how long the server is to be left alone yet."""
        return timedelta(seconds=max(0.0, self._rests_until - self._now()))

    def rest(self, span: timedelta) -> None:
        """Give out no turn for so long; a rest that ends later stays."""
        until = self._now() + span.total_seconds()
        self._rests_until = max(self._rests_until, until)

    async def _begin(self) -> None:
        """Take a token when there is one and the server does not rest; only the first of the line waits for that."""
        async with self._line:
            while (wait := max(self._rest_left(), self._token_missing())) > 0:
                await self._sleep(wait)
            if self._rate is not None:
                self._tokens -= 1.0

    def _rest_left(self) -> float:
        """For how many seconds the server is to be left alone. Raises Resting where that is long."""
        left = self.left
        if left > PATIENCE:
            raise Resting(self._name, left)
        return left.total_seconds()

    def _token_missing(self) -> float:
        """In how many seconds there is a token, when nobody takes one."""
        if self._rate is None:
            return 0.0
        now = self._now()
        self._tokens = min(self._size, self._tokens + (now - self._counted_at) * self._rate)
        self._counted_at = now
        missing = 1.0 - self._tokens
        return missing / self._rate if missing > _ALMOST else 0.0
