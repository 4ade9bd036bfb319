# SPDX-License-Identifier: EUPL-1.2

"""Reconciliation: asking Verzoek afhandelen for verzoeken of ours, and collecting those that were never announced.

That notifications get lost is a known fact of this field (STAM 7.3). What is found is compared with the deliveries of
the authority, whatever became of them, and what is missing becomes a delivery as any other: it is collected, and only
then is it known which verzoek it is. So a notification that comes after all, or at the same time, does no harm: of two
deliveries with one identity the second is noted as a repetition (`complete_collection`).

An operator who skipped a verzoek before it was collected decided that for good: it is not fetched again.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from adapter.observe import Metrics, bound, get_logger
from adapter.stam.client import VerzoekAfhandelen
from adapter.stam.collect import collect_job, dso_lane
from adapter.stam.problems import FetchProblem
from adapter.stam.search import Area, Hit, Question, SearchResult, SearchSettings, VerzoekZoeken
from adapter.store import (
    OPEN_DELIVERY,
    Database,
    DeliveryState,
    Done,
    Flow,
    Job,
    JobKind,
    JobOutcome,
    NewDelivery,
    NewJob,
    Origin,
    Retry,
    StoredDelivery,
    create_delivery,
    drop_schedules,
    find_deliveries,
    keep_schedule,
    lock_name,
)
from adapter.verzoek import known_doel

log = get_logger(__name__)

FIRST_WITHIN: Final = timedelta(minutes=10)
"""Over how long the first questions of all authorities are spread after a start."""

AGAIN_AFTER: Final = timedelta(minutes=15)
"""When a search that failed is tried again, unless the schedule is sooner or the server says otherwise."""

SAME_AGAIN_AFTER: Final = timedelta(days=1)
"""When a verzoek that brought nothing new, though the search said so, is fetched again."""

_CHUNK: Final = 200
_MOST: Final = 1000


class Verdict(StrEnum):
    """What the store has of a hit: nothing, all of it, or something that is on its way or waits for an operator."""

    MISSING = "missing"
    KNOWN = "known"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Plan:
    """How one authority is reconciled: where it asks, how often and how far back, and where a verzoek then goes."""

    authority: str
    sink: str
    area: Area
    client: Callable[[], VerzoekAfhandelen]
    every: timedelta = timedelta(hours=6)
    days_back: int = 7
    search: SearchSettings = field(default_factory=SearchSettings)


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit, what the store has of it, and the delivery that was made for it, if any."""

    hit: Hit
    verdict: Verdict
    delivery: int | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one question brought to light."""

    findings: tuple[Finding, ...]
    result: SearchResult

    def count(self, verdict: Verdict) -> int:
        """How many hits have this verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def fetched(self) -> int:
        """How many deliveries were made."""
        return sum(finding.delivery is not None for finding in self.findings)


class Reconciler:
    """The handler of the jobs of kind `reconcile`, which put themselves back for the next time.

    `chance` draws a number between two; it spreads the questions of many authorities over time.
    """

    def __init__(
        self,
        db: Database,
        plans: Callable[[], Mapping[str, Plan]],
        metrics: Metrics,
        clock: Callable[[], datetime],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._db: Final = db
        self._plans: Final = plans
        self._metrics: Final = metrics
        self._clock: Final = clock
        self._chance: Final = chance

    async def schedule(self, changed: Collection[str] | None = None) -> None:
        """See to it that every authority with a plan has its job, and no other.

        Called at start, and with `changed` when only these may have another plan than before.
        """
        now, plans = self._clock(), self._plans()
        await self._db.write(drop_schedules, JobKind.RECONCILE, tuple(plans))
        for name, plan in plans.items():
            if changed is not None and name not in changed:
                continue
            first = now + min(plan.every, FIRST_WITHIN) * self._chance(0, 1)
            job = NewJob(JobKind.RECONCILE, dso_lane(name), f"reconcile:{name}", first)
            if await self._db.write(keep_schedule, job, name, now + _longest(plan.every), now):
                log.info(
                    "reconciliation begins",
                    action="reconcile.scheduled",
                    authority=name,
                    first=first.isoformat(),
                    every=str(plan.every),
                )

    async def __call__(self, job: Job) -> JobOutcome:
        """Reconcile the authority of a job, and say when to do so again."""
        plan = self._plans().get(job.authority)
        if plan is None:
            return Done()
        with bound(authority=plan.authority):
            try:
                found = await self.reconcile(plan)
            except FetchProblem as problem:
                return self._failed(plan, problem)
            except Exception as error:  # its job lives for years: crashes must not add up until it is parked
                log.exception("reconciliation failed in an unforeseen way", action="reconcile.crashed")
                self._metrics.unexpected_errors_total.labels(kind=JobKind.RECONCILE).inc()
                return self._failed(plan, FetchProblem(f"{type(error).__name__}: {error}", temporary=True))
            said = f"asked: {len(found.findings)} found, {found.fetched} fetched; asks again"
            return Retry(said, plan.every * self._chance(0.9, 1.1), patient=True)

    async def reconcile(
        self,
        plan: Plan,
        *,
        days: int | None = None,
        verzoeknummer: str | None = None,
        dry_run: bool = False,
    ) -> Reconciliation:
        """Ask once, and make a delivery for what is missing, unless it is a dry run.

        `days` counts instead of those of the plan, and `verzoeknummer` instead of its area. Raises FetchProblem.
        """
        now = self._clock()
        question = Question(
            since=now - timedelta(days=plan.days_back if days is None else days),
            # Days are Dutch ones, which begin sooner.
            until=now + timedelta(days=1),
            area=plan.area if verzoeknummer is None else None,
            verzoeknummer=verzoeknummer,
        )
        result = await VerzoekZoeken(plan.client(), plan.search).search(question)
        findings = await self._judge(plan, result.hits, now)
        if not dry_run:
            findings = [await self._take_up(plan, finding) for finding in findings]
        found = Reconciliation(tuple(findings), result)
        self._report(plan, found, dry_run=dry_run)
        return found

    async def _judge(self, plan: Plan, hits: Sequence[Hit], now: datetime) -> list[Finding]:
        verdicts: list[Verdict] = []
        for start in range(0, len(hits), _CHUNK):
            some = hits[start : start + _CHUNK]
            verdicts += await self._db.read(_verdicts, plan.authority, some, now)
        findings, missing = [], set()
        for hit, verdict in zip(hits, verdicts, strict=True):
            # What is fetched is the verzoek as it is now, so that one delivery does for all hits of it.
            doubled = verdict is Verdict.MISSING and hit.verzoeknummer in missing
            findings.append(Finding(hit, Verdict.WAITING if doubled else verdict))
            if verdict is Verdict.MISSING:
                missing.add(hit.verzoeknummer)
        return findings

    async def _take_up(self, plan: Plan, finding: Finding) -> Finding:
        if finding.verdict is not Verdict.MISSING:
            return finding
        made = await self._db.write(_create, plan, finding.hit, self._clock())
        if made.delivery is not None:
            log.info(
                "a verzoek that was never announced is fetched",
                action="reconcile.fetched",
                verzoeknummer=made.hit.verzoeknummer,
                volgnummer=made.hit.volgnummer,
                sink=plan.sink,
                delivery=made.delivery,
            )
        return made

    def _report(self, plan: Plan, found: Reconciliation, *, dry_run: bool) -> None:
        counts = {
            "fetched": found.fetched,
            "known": found.count(Verdict.KNOWN),
            "waiting": found.count(Verdict.WAITING),
            "foreign": found.result.foreign,
            "unusable": found.result.unusable,
        }
        if not dry_run:
            for outcome, number in counts.items():
                self._metrics.reconciled_total.labels(authority=plan.authority, outcome=outcome).inc(number)
        if not found.result.complete:
            log.warning(
                "there are more hits than are read; make the area smaller, or days_back",
                action="reconcile.incomplete",
                authority=plan.authority,
            )
        log.info(
            "asked for verzoeken that were never announced",
            action="reconcile.asked",
            authority=plan.authority,
            found=len(found.findings),
            dry_run=dry_run,
            **counts,
        )

    def _failed(self, plan: Plan, problem: FetchProblem) -> Retry:
        self._metrics.reconciled_total.labels(authority=plan.authority, outcome="failed").inc()
        report = log.warning if problem.temporary else log.error
        report("cannot ask for missed verzoeken", action="reconcile.failed", reason=problem.reason)
        soon = min(plan.every, AGAIN_AFTER) if problem.temporary else plan.every
        wait = soon * self._chance(0.9, 1.1)
        return Retry(problem.reason, max(wait, problem.after or timedelta()), patient=True)


def judge(hit: Hit, known: Sequence[StoredDelivery], now: datetime) -> Verdict:
    """What the deliveries of one verzoek to an authority, whatever their state, say of a hit for it.

    While one of them is not collected, it may become what was found. What is collected is known unless the hit has a
    later volgnummer or, having none, a doel that was not seen yet; then the verzoek was supplemented or withdrawn.
    """
    if not known:
        return Verdict.MISSING
    if any(one.volgnummer is None and one.state in OPEN_DELIVERY for one in known):
        return Verdict.WAITING
    collected = [one for one in known if one.volgnummer is not None]
    if not collected or not _brings_news(hit, collected) or _brought_none(known, now):
        return Verdict.KNOWN
    return Verdict.MISSING


def _brings_news(hit: Hit, collected: Sequence[StoredDelivery]) -> bool:
    if hit.volgnummer is not None:
        seen = [one.volgnummer for one in collected if one.volgnummer is not None]
        if hit.volgnummer.isdecimal() and all(one.isdecimal() for one in seen):
            return int(hit.volgnummer) > max(map(int, seen))
        return hit.volgnummer not in seen
    doel = known_doel(hit.doel)
    return doel is not None and doel not in {known_doel(one.doel) for one in collected}


def _brought_none(known: Sequence[StoredDelivery], now: datetime) -> bool:
    """Whether reconciliation fetched this verzoek lately, and found what was there already."""
    return any(
        one.origin is Origin.RECONCILIATION
        and one.state is DeliveryState.REPEATED
        and one.created_at > now - SAME_AGAIN_AFTER
        for one in known
    )


def _verdicts(conn: Connection, authority: str, hits: Sequence[Hit], now: datetime) -> list[Verdict]:
    return [_verdict(conn, authority, hit, now) for hit in hits]


def _verdict(conn: Connection, authority: str, hit: Hit, now: datetime) -> Verdict:
    known = find_deliveries(conn, authority, verzoeknummer=hit.verzoeknummer, limit=_MOST)
    return judge(hit, [one for one in known if one.flow is Flow.STAM], now)


def _create(conn: Connection, plan: Plan, hit: Hit, now: datetime) -> Finding:
    """One transaction: look again, for much may have come meanwhile, then make the delivery and its job."""
    lock_name(conn, "reconcile", plan.authority, hit.verzoeknummer)
    verdict = _verdict(conn, plan.authority, hit, now)
    if verdict is not Verdict.MISSING:
        return Finding(hit, verdict)
    new = NewDelivery(
        authority=plan.authority,
        sink=plan.sink,
        flow=Flow.STAM,
        origin=Origin.RECONCILIATION,
        verzoeknummer=hit.verzoeknummer,
        announced=hit.volgnummer,
    )
    collect = collect_job(plan.authority, plan.sink, hit.verzoeknummer, hit.volgnummer)
    made = create_delivery(conn, new, collect, now)
    return Finding(hit, Verdict.MISSING, made)


def _longest(every: timedelta) -> timedelta:
    """The longest wait that a handler asks for; what is due later was scheduled when `every` was longer."""
    return every * 1.1
