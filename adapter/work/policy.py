# SPDX-License-Identifier: EUPL-1.2

"""When a job is tried again, and when it is given up."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_FACTOR = 2


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits that double from `first` to `max`, each drawn between 0 and that (full jitter).

    The jitter keeps jobs that failed together from coming back together. After `give_up` since the first
    attempt a job is parked.
    """

    first: timedelta = timedelta(seconds=10)
    max: timedelta = timedelta(hours=1)
    give_up: timedelta = timedelta(days=5)
    chance: random.Random = field(default_factory=random.SystemRandom, repr=False, compare=False)

    def longest(self, attempts: int) -> timedelta:
        """The longest wait after this many attempts (1 or more)."""
        wait = self.first
        for _ in range(attempts - 1):
            if wait >= self.max:
                break
            wait *= _FACTOR
        return min(wait, self.max)

    def delay(self, attempts: int) -> timedelta:
        """Draw the wait after this many attempts (1 or more)."""
        return self.longest(attempts) * self.chance.random()

    def gives_up(self, first_attempt_at: datetime | None, now: datetime) -> bool:
        """Whether a job that was first tried then is given up now."""
        return first_attempt_at is not None and now - first_attempt_at >= self.give_up
