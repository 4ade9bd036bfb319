# SPDX-License-Identifier: EUPL-1.2

"""Back-pressure: what is refused for now, so that what was accepted can be finished.

A partner that gets a 503 with Retry-After comes again, and nothing is lost; a daemon that runs out of memory, disk or
time loses more than one message. One partner cannot take the room of the others, nor one authority.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


class Overloaded(Exception):
    """There is no room for this now; `reason` is a short stable word for the counter, the text the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Room:
    """How much there may be: requests at a time, in all and of one partner; jobs that wait, of one authority and in
    all; octets in the spool, in all and of one authority; octets that must stay free on its disk.
    """

    requests: int = 512
    requests_per_partner: int = 256
    backlog: int = 200_000
    backlog_per_authority: int = 50_000
    spool: int | None = None
    spool_per_authority: int | None = None
    free: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is, as measured last."""

    backlog: Mapping[str, int] = field(default_factory=dict)
    spool: int = 0
    spool_of: Mapping[str, int] = field(default_factory=dict)
    free: int | None = None


@dataclass(slots=True)
class Pressure:
    """Compares the load with the room; used from the event loop only."""

    room: Room = field(default_factory=Room)
    load: Load = field(default_factory=Load)
    _requests: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def request(self, partner: str) -> Iterator[None]:
        """One request of a partner, for as long as the block lasts. Raises Overloaded."""
        self._check_requests(partner)
        self._check_disk()
        self._requests[partner] += 1
        try:
            yield
        finally:
            self._requests[partner] -= 1
            if not self._requests[partner]:
                del self._requests[partner]

    def check_authority(self, authority: str) -> None:
        """Whether one more message of an authority can be worked on in time. Raises Overloaded."""
        waiting = self.load.backlog.get(authority, 0)
        if waiting >= self.room.backlog_per_authority:
            raise Overloaded("backlog", f"{waiting} jobs of authority {authority} wait: see why")
        held, room = self.load.spool_of.get(authority, 0), self.room.spool_per_authority
        if room is not None and held >= room:
            raise Overloaded("spool", f"the spool holds {held // 2**20} MiB of authority {authority}")
        total = sum(self.load.backlog.values())
        if total >= self.room.backlog:
            raise Overloaded("backlog", f"{total} jobs wait")

    def _check_requests(self, partner: str) -> None:
        if self._requests.total() >= self.room.requests:
            raise Overloaded("requests", f"{self._requests.total()} requests are in progress")
        if self._requests[partner] >= self.room.requests_per_partner:
            raise Overloaded("requests", f"{self._requests[partner]} requests of {partner} are in progress")

    def _check_disk(self) -> None:
        if self.load.free is not None and self.load.free < self.room.free:
            raise Overloaded("disk", f"only {self.load.free // 2**20} MiB are free on the disk")
        if self.room.spool is not None and self.load.spool >= self.room.spool:
            raise Overloaded("spool", f"the spool holds {self.load.spool // 2**20} MiB")
