# SPDX-License-Identifier: EUPL-1.2

"""How the daemon is: each check says what is wrong, what mends it, and who cannot be received for because of it.

Messages are stopped only by what would lose or refuse them anyway: docs/health.md has the whole table.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from adapter.admin import EVERYBODY, ReadyCheck, Trouble
from adapter.config import HealthConfig
from adapter.daemon.clock import StoreClock
from adapter.daemon.counting import LateWork
from adapter.daemon.crls import CrlFetcher
from adapter.daemon.expiry import Expiry
from adapter.daemon.listener import Listener
from adapter.daemon.pulse import Pulse
from adapter.daemon.registry import Registry
from adapter.daemon.sink_watch import SinkWatch
from adapter.net import Witnesses
from adapter.pki import KeyPair, TrustStore
from adapter.store import Database, Spool, SpoolUnavailable, StoreProblem, see_whether_it_takes_writes
from cpa import Agreement


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checks behind the health paths."""

    settings: HealthConfig
    db: Database
    spool: Spool
    registry: Registry
    state: Path
    clock: StoreClock
    witnesses: Witnesses
    listener: Listener
    trust: TrustStore
    pulse: Pulse
    expiry: Expiry
    late: LateWork
    sinks: SinkWatch
    told: Callable[[], Sequence[str]]
    broken: Callable[[], Mapping[str, Sequence[str]]]
    fetcher: CrlFetcher | None = None

    def checks(self) -> Mapping[str, ReadyCheck]:
        """Those without which nothing can be received, by name."""
        return {
            "listener": self.listens,
            "database": self.database,
            "processes": self.processes,
            "disk": self.disk,
            "payloads": self.payloads,
            "agreements": self.agreements,
            "certificates": self.certificates,
            "revocation": self.revocation,
        }

    def watches(self) -> Mapping[str, ReadyCheck]:
        """Those that people must know of."""
        return {
            "ending": self.expiry.troubles,
            "clock": self.clocks,
            "backlog": self.late.troubles,
            "sinks": self.sinks.troubles,
            "event_loop": self.lag,
            "configuration": self.configuration,
            "notifications": self.notifications,
        }

    async def live(self) -> list[str]:
        """Why the process must be started again."""
        return self.pulse.reasons()

    async def listens(self) -> list[Trouble]:
        """Partners can connect."""
        if self.listener.is_open:
            return []
        return [_all("partners cannot connect: the daemon is starting or stopping")]

    async def database(self) -> list[Trouble]:
        """The store answers, and takes what is written."""
        try:
            await see_whether_it_takes_writes(self.db)
        except (StoreProblem, SQLAlchemyError) as problem:
            # of the driver only its kind: the rest may have addresses in it
            said = str(problem) if isinstance(problem, StoreProblem) else "see the log of the daemon"
            return [_all(f"the database cannot be used ({type(problem).__name__}): {said}")]
        return []

    async def processes(self) -> list[Trouble]:
        """Everything that works in this process does."""
        return [_all(reason) for reason in self.pulse.reasons()]

    async def disk(self) -> list[Trouble]:
        """There is room for what comes in."""
        usage = await asyncio.to_thread(shutil.disk_usage, self.state)
        in_spool = await self.spool.free()  # it may be on a shared file system, or nobody can say
        places = {str(self.state): usage.free, "the spool": in_spool}
        return [
            trouble
            for place, free in places.items()
            if free is not None and (trouble := self._room(place, free)) is not None
        ][:1]  # nearly always they are one disk

    async def payloads(self) -> list[Trouble]:
        """The spool can be reached."""
        try:
            await self.spool.reach()
        except SpoolUnavailable as problem:
            return [_all(str(problem))]
        return []

    async def agreements(self) -> list[Trouble]:
        """There is something to receive under, for each authority."""
        now = self.clock()
        authorities = self.registry.current().by_name
        counted = {name: [known.agreement for known in one.agreements] for name, one in authorities.items()}
        found = [
            Trouble(
                f"authority {name}: {_why_none(agreements, now)}; add a CPA with `stam-adapter cpa add`",
                name,
                frozenset({name}),
            )
            for name, agreements in counted.items()
            if not any(one.start <= now < one.end for one in agreements)
        ]
        if len(found) == len(authorities):
            text = "no agreement can be used; add one with `stam-adapter cpa add`, or see the log for why not"
            found.insert(0, _all(text))
        return found + [Trouble(problem) for problem in self.registry.problems]

    async def certificates(self) -> list[Trouble]:
        """What we show, and what we trust, is valid."""
        now = self.clock()
        found = list(self._of_authorities(now))
        pairs = self.listener.keys.pairs if self.listener.keys is not None else ()
        if pairs and not any(_is_valid(pair, now) for pair in pairs):
            found.append(_all(f"ebms.tls: {_validity(pairs[0])}; partners refuse it: install its successor"))
        if self.trust.roots and all(root.not_valid_after_utc <= now for root in self.trust.roots):
            found.append(_all("every root in trust.roots has ended; add the one that partners chain to now"))
        return found

    async def revocation(self) -> list[Trouble]:
        """Everybody whose certificate holds can be let in."""
        return [] if self.fetcher is None else await self.fetcher.troubles()

    async def clocks(self) -> list[Trouble]:
        """The clock of the host is that of others."""
        found = []
        if self._is_off(self.clock.is_off()):
            found.append(_off(self.clock.is_off(), "that of the database server"))
        heard = self.witnesses.ahead()
        if heard is not None and self._is_off(heard[0]):
            found.append(_off(heard[0], f"what the answers of {_some(heard[1])} say"))
        return found

    async def lag(self) -> list[Trouble]:
        """The event loop is on time."""
        return await self.pulse.troubles(self.settings.loop_lag)

    async def configuration(self) -> list[Trouble]:
        """What the files say is what is in use."""
        return [
            Trouble(
                f"authority {name}: what its files say cannot be used, and it is served as before: {reason}",
                name,
            )
            for name, reasons in self.broken().items()
            for reason in reasons
        ]

    async def notifications(self) -> list[Trouble]:
        """People are told of what they asked for."""
        return [Trouble(text) for text in self.told()]

    def _room(self, place: str, free: int) -> Trouble | None:
        if free >= self.settings.free_warning:
            return None
        short = free < self.settings.free
        wanted = (self.settings.free if short else self.settings.free_warning) // 2**20
        text = f"only {free // 2**20} MiB are free at {place}; make room for at least {wanted} MiB"
        return _all(text) if short else Trouble(text, place)

    def _of_authorities(self, now: datetime) -> Iterator[Trouble]:
        for name, authority in self.registry.current().by_name.items():
            if not _is_valid(authority.keys, now):
                yield Trouble(
                    f"authority {name}: {_validity(authority.keys)}; partners refuse it: install its successor",
                    name,
                    frozenset({name}),
                )

    def _is_off(self, off: timedelta) -> bool:
        return abs(off) > self.settings.clock_skew


def _all(text: str) -> Trouble:
    return Trouble(text, stops=EVERYBODY)


def _why_none(agreements: Sequence[Agreement], now: datetime) -> str:
    if not agreements:
        return "it has no agreement that can be used"
    if any(one.start > now for one in agreements):
        return f"its agreements begin on {min(one.start for one in agreements):%Y-%m-%d}"
    return f"its last agreement ended on {max(one.end for one in agreements):%Y-%m-%d}"


def _is_valid(pair: KeyPair, now: datetime) -> bool:
    return pair.certificate.not_valid_before_utc <= now < pair.certificate.not_valid_after_utc


def _validity(pair: KeyPair) -> str:
    first, last = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
    return f"{pair.certificate_path} is valid from {first:%Y-%m-%d} until {last:%Y-%m-%d %H:%M}Z"


def _off(off: timedelta, others: str) -> Trouble:
    where = "ahead of" if off > timedelta() else "behind"
    seconds = abs(off).total_seconds()
    return Trouble(f"the clock of this host is {seconds:.0f} s {where} {others}; let both keep time by NTP")


def _some(hosts: Iterable[str]) -> str:
    names = list(hosts)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
