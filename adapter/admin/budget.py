# SPDX-License-Identifier: EUPL-1.2

"""How much each of many may do: so many a second, and as many at once as two seconds bring."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

_MAX_NAMES: Final = 10_000
_SAVED: Final = 2.0
"""Seconds of which the amount can be saved up."""


@dataclass(slots=True)
class Budget:
    """A token bucket for each name; `rate` is how many a second. Memory is bounded: who was not seen longest goes."""

    rate: float
    _left: OrderedDict[str, tuple[datetime, float]] = field(default_factory=OrderedDict)

    def take(self, name: str, now: datetime) -> timedelta | None:
        """Take one; how long to wait where there is none, else None."""
        most = max(1.0, self.rate * _SAVED)
        at, left = self._left.pop(name, (now, most))
        left = min(most, left + max(0.0, (now - at).total_seconds()) * self.rate)
        enough = left >= 1.0
        self._left[name] = (now, left - 1.0 if enough else left)
        while len(self._left) > _MAX_NAMES:
            self._left.popitem(last=False)
        return None if enough else timedelta(seconds=(1.0 - left) / self.rate)
