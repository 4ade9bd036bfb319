# SPDX-License-Identifier: EUPL-1.2

"""Retention at work: removes what the policy says, a little at a time, so that nobody who receives waits for it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapter.config import Config, RetentionConfig
from adapter.observe import Metrics, get_logger
from adapter.store import (
    BY_MOMENT,
    AgreementRow,
    Database,
    Periods,
    Purgeable,
    Purged,
    PurgeRun,
    RetentionPolicy,
    Spool,
    StoreProblem,
    active_agreements,
    count_by_moment,
    find_orphans,
    find_purgeable,
    purge,
    purge_by_moment,
)
from cpa import CpaError, pairs, parse_cpa

log = get_logger(__name__)

ORPHANS: Final = "orphans"
"""The word for what the spool holds and no row names, beside those of `Purgeable`."""

EVERY: Final = timedelta(hours=1)
FIRST: Final = timedelta(minutes=1)
"""After the start, when the daemon has other things to do."""

LONGEST_WRITE: Final = 0.01
"""Seconds: so long a transaction may work before its commit. The next one is smaller, where one took longer."""

REST: Final = 4
"""How many times as long as it works it rests after each transaction."""

_LARGEST: Final = 100
_FULL: Final = timedelta(days=1)

Counts = Mapping[str, int]


def effective_policy(
    config: Config, agreements: Iterable[tuple[str, bytes]]
) -> tuple[RetentionPolicy, tuple[str, ...]]:
    """The periods that hold, and a sentence for each that is longer than configured.

    `agreements` are the CPA documents in use, each with the name of its authority. Within the duplicate window
    of an agreement a message may be repeated, so nothing of it is removed sooner (REL-07).
    """
    windows: dict[str, tuple[timedelta, str]] = {}
    for authority, document in agreements:
        window, cpa_id = _window(document)
        windows[authority] = max(windows.get(authority, (timedelta(), "")), (window, cpa_id))
    policies: dict[str, Periods] = {}
    said: list[str] = []
    for name in sorted(config.authorities.keys() | windows.keys()):
        configured = config.retention_of(name)
        window, cpa_id = windows.get(name, (timedelta(), ""))
        policies[name] = _periods(configured, window)
        if configured.payloads < window:
            said.append(
                f"authority {name}: what ended is kept for {_days(window)}, the time in which a message may be "
                f"repeated under CPA {cpa_id}, and not for {_days(configured.payloads)}; make retention as long"
            )
    policy = RetentionPolicy(_periods(config.retention, timedelta()), policies, config.retention.audit)
    return policy, tuple(said)


def documents_of(rows: Sequence[AgreementRow]) -> list[tuple[str, bytes]]:
    """The documents of agreements as `effective_policy` takes them."""
    return [(row.authority, row.document) for row in rows]


@dataclass(slots=True)
class Purger:
    """Removes what may go, and reports how much of what; one run at a time."""

    db: Database
    spool: Spool
    rest: Callable[[float], Awaitable[object]] = asyncio.sleep
    slowest: float = 0.0
    _size: int = 10
    _marks: dict[Purgeable, int] = field(default_factory=dict)
    _marked_at: datetime | None = None

    async def run(self, policy: RetentionPolicy, now: datetime) -> Counts:
        """Remove everything that may go now, and let nothing of it remain in the files of the store."""
        if self._marked_at is None or not timedelta() <= now - self._marked_at < _FULL:
            self._marks, self._marked_at = {}, now
        counts: Counter[str] = Counter()
        run = PurgeRun(policy, now)
        for what in Purgeable:
            if what in BY_MOMENT:
                counts.update(await self._forget(what, run))
            else:
                counts.update(await self._purge(what, run))
        counts[ORPHANS] += await self._sweep(now)
        if not await self.db.tidy():
            log.warning(
                "readers were in the way: octets that were removed are in the write-ahead log until the next run",
                action="retention.log_not_emptied",
            )
        return counts

    async def look(self, policy: RetentionPolicy, now: datetime) -> Counts:
        """Count what `run` would remove, and remove nothing.

        Lines of the timeline that only become free by the run itself are not counted, nor are the answers and
        deliveries that go with a message.
        """
        counts: Counter[str] = Counter()
        run = PurgeRun(policy, now)
        for what in BY_MOMENT:
            counts[what] = await self.db.read(count_by_moment, what, run)
        for what in sorted(set(Purgeable) - BY_MOMENT):
            after = None
            while True:
                found = await self.db.read(find_purgeable, what, run, after)
                counts[what] += len(found.ids)
                after = found.go_on
                if after is None:
                    break
        counts[ORPHANS] = sum([len(some) async for some in find_orphans(self.db, self.spool, now)])
        return counts

    async def _purge(self, what: Purgeable, run: PurgeRun) -> Counter[str]:
        counts: Counter[str] = Counter()
        after, first = self._marks.get(what), True
        while True:
            found = await self.db.read(find_purgeable, what, run, after)
            if first and found.first is not None and what is not Purgeable.MESSAGES:
                self._marks[what] = found.first - 1
            ids, first = found.ids, False
            while ids:
                some, ids = ids[: self._size], ids[self._size :]
                counts.update(await self._write(purge, what, some, run))
            after = found.go_on
            if after is None:
                return counts

    async def _forget(self, what: Purgeable, run: PurgeRun) -> Counter[str]:
        counts: Counter[str] = Counter()
        while forgotten := await self._write(purge_by_moment, what, run, self._size):
            counts.update(forgotten)
        return counts

    async def _write(self, function: Callable[..., Purged], *args: Any) -> Counter[str]:
        """One transaction; then the contents that it let go of, and a rest."""
        purged, seconds = await self.db.write(_timed, function, args)
        self.slowest = max(self.slowest, seconds)
        self._size = max(1, self._size // 2) if seconds > LONGEST_WRITE else min(_LARGEST, self._size + 5)
        await self.spool.delete_keys(purged.keys)
        await self.rest(REST * seconds)
        return +Counter({str(what): count for what, count in purged.counts.items()})

    async def _sweep(self, now: datetime) -> int:
        swept = 0
        async for orphans in find_orphans(self.db, self.spool, now):
            await self.spool.remove(orphans)
            swept += len(orphans)
        return swept


@dataclass(slots=True)
class RetentionTask:
    """The background work of the daemon: soon after its start, and every hour from then on."""

    config: Callable[[], Config]
    purger: Purger
    metrics: Metrics
    clock: Callable[[], datetime]
    first: timedelta = FIRST
    every: timedelta = EVERY
    _said: frozenset[str] = frozenset()

    async def work(self) -> None:
        """Purge again and again, until cancelled. One run that fails is logged, and the next one tries again."""
        wait = self.first
        while True:
            # hosts that started together do not stay together
            await asyncio.sleep(wait.total_seconds() * random.uniform(0.75, 1.25))  # noqa: S311
            wait = self.every
            try:
                await self.run_once()
            except (StoreProblem, SQLAlchemyError, OSError) as problem:
                log.warning(
                    "what should be removed was not",
                    action="retention.failed",
                    # a text of SQLAlchemy has the values of the statement in it
                    reason=str(problem)
                    if not isinstance(problem, SQLAlchemyError)
                    else type(problem).__name__,
                )

    async def run_once(self) -> Counts:
        """Purge once, by the policy and the agreements of this moment."""
        rows = await self.purger.db.read(active_agreements)
        policy, said = await asyncio.to_thread(effective_policy, self.config(), documents_of(rows))
        for text in said:
            if text not in self._said:
                log.warning(text, action="retention.window")
        self._said = frozenset(said)
        started = time.monotonic()
        counts = await self.purger.run(policy, self.clock())
        for what, count in counts.items():
            self.metrics.retention_purged_total.labels(what=what).inc(count)
        if any(counts.values()):
            log.info(
                "removed what was kept long enough",
                action="retention.purged",
                seconds=round(time.monotonic() - started, 3),
                slowest_write=round(self.purger.slowest, 4),
                **{what: count for what, count in counts.items() if count},
            )
        return counts


def _timed(conn: Connection, function: Callable[..., Purged], args: Sequence[Any]) -> tuple[Purged, float]:
    started = time.perf_counter()
    return function(conn, *args), time.perf_counter() - started


def _periods(configured: RetentionConfig, at_least: timedelta) -> Periods:
    return Periods(
        max(configured.payloads, at_least),
        max(configured.messages, at_least),
        max(configured.timeline, at_least),
    )


def _window(document: bytes) -> tuple[timedelta, str]:
    """The longest duplicate window of an agreement, and its CPAId; an agreement that cannot be read has none."""
    try:
        agreement = parse_cpa(document)
        parties = agreement.parties
        windows = [
            pair.exchange.duplicate_window
            for sender in parties
            for receiver in parties
            if sender is not receiver
            for pair in pairs(sender, receiver)
        ]
    except CpaError:
        return timedelta(), ""
    return max(windows, default=timedelta()), agreement.cpa_id


def _days(span: timedelta) -> str:
    return f"{span.days}d" if span == timedelta(days=span.days) else f"{span.total_seconds():.0f}s"
