# SPDX-License-Identifier: EUPL-1.2

"""What time it is elsewhere, by the Date header of answers that come anyway (RFC 9110 6.6.1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Final

_SECOND: Final = timedelta(seconds=1)
"""A Date has whole seconds: on average it is half of this too early."""

_FRESH: Final = timedelta(hours=1)
_MOST: Final = 64


@dataclass(slots=True)
class Witnesses:
    """The servers that were heard, each with how far the clock of this host is ahead of it, and when that was."""

    clock: Callable[[], datetime]
    _heard: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)

    def hear(self, host: str, headers: Mapping[str, str]) -> None:
        """Note the Date of an answer; not of one that was kept somewhere on its way, or that has no usable one."""
        if "Date" not in headers or "Age" in headers:
            return
        try:
            told = parsedate_to_datetime(headers["Date"])
        except ValueError:
            return
        if told.tzinfo is None:  # "-0000", as of a server that does not know
            told = told.replace(tzinfo=UTC)
        now = self.clock()
        if host not in self._heard and len(self._heard) >= _MOST:
            del self._heard[min(self._heard, key=lambda one: self._heard[one][0])]
        self._heard[host] = now, now - told - _SECOND / 2

    def ahead(self) -> tuple[timedelta, tuple[str, ...]] | None:
        """How far this host is ahead, by the middle one of all servers of the last hour, and who they are."""
        now = self.clock()
        fresh = {host: off for host, (at, off) in self._heard.items() if abs(now - at) <= _FRESH}
        if not fresh:
            return None
        middle = median(off.total_seconds() for off in fresh.values())
        return timedelta(seconds=middle), tuple(sorted(fresh))
