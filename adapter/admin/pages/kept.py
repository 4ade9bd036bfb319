# SPDX-License-Identifier: EUPL-1.2

"""What is read once for many visits: trends and totals, which cost much and may be a little old."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

T = TypeVar("T")

AGE: Final = timedelta(minutes=1)
"""How old what is kept may be."""

_MOST: Final = 64


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: datetime | None = None
    value: Any = None


@dataclass(slots=True)
class Kept:
    """Values by their keys, so many at the most: what was not asked for longest goes."""

    age: timedelta = AGE
    _entries: OrderedDict[Hashable, _Entry] = field(default_factory=OrderedDict)

    async def get(self, key: Hashable, now: datetime, read: Callable[[], Awaitable[T]]) -> T:
        """The value of a key, read again where it is too old; who asks meanwhile waits for the same reading."""
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        while len(self._entries) > _MOST:
            self._entries.popitem(last=False)
        async with entry.lock:
            if entry.at is None or not timedelta() <= now - entry.at < self.age:
                entry.value = await read()
                entry.at = now
            value: T = entry.value
            return value
