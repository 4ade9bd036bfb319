# SPDX-License-Identifier: EUPL-1.2

"""What never arrived is found and made a delivery, once; everything else is left as it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from adapter.simulator import DocumentSpec, VerzoekAfhandelenApi, VerzoekSpec, make_verzoek, verzoeknummer
from adapter.stam import (
    FetchProblem,
    Hit,
    Plan,
    Reconciler,
    Reconciliation,
    SearchSettings,
    Verdict,
    VerzoekAfhandelen,
    judge,
)
from adapter.store import (
    DeliveryState,
    Done,
    Flow,
    Job,
    JobKind,
    JobState,
    NewDelivery,
    NewJob,
    Origin,
    Retry,
    StoredDelivery,
    add_job,
    claim_jobs,
    create_delivery,
    events_for,
    find_deliveries,
    find_jobs,
    get_delivery,
    open_database,
    park_job,
    retry_job,
    skip_delivery,
)
from adapter.work import RetryPolicy, Timing, Worker
from tests.stam.house import AUTHORITY, GEMEENTE, NOW, House

ELDERS = "00000099000000003000"
BOX = ((150e3, 460e3), (160e3, 460e3), (160e3, 468e3), (150e3, 468e3), (150e3, 460e3))
TODAY = verzoeknummer(NOW.date(), 1)
SIX_HOURS = timedelta(hours=6)


def a_plan(client: VerzoekAfhandelen, authority: str = AUTHORITY, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "authority": authority,
        "sink": "archief",
        "area": BOX,
        "client": lambda: client,
    }
    return Plan(**(values | changes))


@dataclass
class Office:
    """A house with a reconciler in it; `chance` is what it draws."""

    house: House
    api: VerzoekAfhandelenApi
    plan: Plan
    chance: Callable[[float, float], float] = field(default=lambda low, high: (low + high) / 2)

    def reconciler(self, *plans: Plan) -> Reconciler:
        by_name = {plan.authority: plan for plan in plans or (self.plan,)}
        return Reconciler(
            self.house.db,
            lambda: MappingProxyType(by_name),
            self.house.metrics,
            lambda: self.house.now,
            self.chance,
        )

    def publish(self, number: str = TODAY, oin: str = GEMEENTE, **changes: Any) -> None:
        documents = (DocumentSpec("tekening.pdf", 1000),)
        self.api.publish(make_verzoek(VerzoekSpec(number, oin, documents=documents, **changes)))

    async def reconcile(self, **options: Any) -> Reconciliation:
        return await self.reconciler().reconcile(self.plan, **options)

    async def verdicts(self) -> list[Verdict]:
        return [finding.verdict for finding in (await self.reconcile(dry_run=True)).findings]

    async def deliveries(self) -> list[StoredDelivery]:
        """Oldest first."""
        return (await self.house.db.read(find_deliveries))[::-1]

    async def jobs(self) -> list[Job]:
        return await self.house.db.read(find_jobs)

    async def collect(self) -> None:
        """Do a job to collect, and what follows from it in the store."""
        collector = self.house.collector()
        outcome = await collector(await self.house.claim())
        assert outcome == Done(already_finished=True)

    async def announce(self, number: str = TODAY) -> int:
        """What a notification makes of itself."""
        new = NewDelivery(
            authority=AUTHORITY,
            sink="archief",
            flow=Flow.STAM,
            origin=Origin.NOTIFICATION,
            verzoeknummer=number,
        )
        job = NewJob(JobKind.COLLECT, f"dso:{AUTHORITY}")
        return await self.house.db.write(create_delivery, new, job, self.house.now)

    async def claim(self) -> Job:
        lease = timedelta(minutes=5)
        kinds = (JobKind.RECONCILE,)
        (job,) = await self.house.db.write(claim_jobs, "test", self.house.now, lease, 1, (), kinds)
        return job

    def counted(self, outcome: str) -> float:
        metric = self.house.metrics.reconciled_total.labels(authority=AUTHORITY, outcome=outcome)
        return metric._value.get()


@pytest.fixture
async def backend(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> AsyncIterator[str]:
    """The database that the house has: its own, or one in which transactions run side by side."""
    if request.param == "sqlite":
        yield request.param
        return
    embedded = house.db
    house.db = open_database(request.getfixturevalue("postgres_url"), tmp_path / "beside", exclusive=True)
    yield request.param
    await house.db.close()
    house.db = embedded


@pytest.fixture
def office(house: House, api: VerzoekAfhandelenApi, client: VerzoekAfhandelen) -> Office:
    return Office(house, api, a_plan(client, search=SearchSettings(page_size=2)))


async def test_a_verzoek_that_never_arrived_is_found_and_collected(office: Office) -> None:
    office.publish()
    found = await office.reconcile()
    (delivery,) = await office.deliveries()
    assert [(one.verdict, one.delivery) for one in found.findings] == [(Verdict.MISSING, delivery.id)]
    assert (delivery.origin, delivery.sink, delivery.verzoeknummer) == (
        Origin.RECONCILIATION,
        "archief",
        TODAY,
    )
    assert delivery.message is None
    assert delivery.announced == found.findings[0].hit.volgnummer == "000"
    (job,) = await office.jobs()
    assert (job.kind, job.lane, job.subject) == (JobKind.COLLECT, f"dso:{AUTHORITY}", delivery.id)
    await office.collect()
    (delivery,) = await office.deliveries()
    assert (delivery.state, delivery.name) == (DeliveryState.READY, f"{TODAY}-000")
    events = await office.house.db.read(events_for, TODAY, authority=AUTHORITY)
    assert events[0].detail == {"sink": "archief", "origin": "reconciliation"}


async def test_asked_again_nothing_more_is_fetched(office: Office) -> None:
    office.publish()
    await office.reconcile()
    assert await office.verdicts() == [Verdict.WAITING]
    await office.reconcile()
    await office.collect()
    assert await office.verdicts() == [Verdict.KNOWN]
    assert (await office.reconcile()).fetched == 0
    assert len(await office.deliveries()) == 1
    assert [office.counted(outcome) for outcome in ("fetched", "waiting", "known")] == [1, 1, 1]


async def test_a_dry_run_changes_nothing(office: Office) -> None:
    office.publish()
    found = await office.reconcile(dry_run=True)
    assert (found.count(Verdict.MISSING), found.fetched) == (1, 0)
    assert await office.deliveries() == []
    assert await office.jobs() == []
    assert office.counted("fetched") == 0


async def test_a_verzoek_of_another_is_left_alone(office: Office) -> None:
    office.publish(oin=ELDERS)
    found = await office.reconcile()
    assert (found.findings, found.result.foreign) == ((), 1)
    assert await office.deliveries() == []
    assert office.counted("foreign") == 1


async def test_what_another_authority_has_is_not_ours(office: Office) -> None:
    office.publish()
    await office.house.ask(TODAY, "elders")
    assert await office.verdicts() == [Verdict.MISSING]


async def test_as_behandeldienst_a_verzoek_is_ours_too(office: Office) -> None:
    office.publish(oin=ELDERS, behandeldienst=GEMEENTE)
    assert (await office.reconcile()).fetched == 1


async def test_a_notification_that_comes_late_makes_no_second_delivery(office: Office) -> None:
    office.publish()
    await office.reconcile()
    await office.collect()
    await office.announce()
    await office.collect()
    first, late = await office.deliveries()
    assert (first.state, late.state) == (DeliveryState.READY, DeliveryState.REPEATED)
    assert len([job for job in await office.jobs() if job.kind == JobKind.DELIVER]) == 1


async def test_a_notification_at_the_same_time_ends_in_one_delivery(office: Office) -> None:
    office.publish()
    found, _ = await asyncio.gather(office.reconcile(), office.announce())
    for _ in await office.jobs():
        await office.collect()
    states = [delivery.state for delivery in await office.deliveries()]
    assert states.count(DeliveryState.READY) == 1
    assert set(states) <= {DeliveryState.READY, DeliveryState.REPEATED}
    assert len(found.findings) == 1


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
async def test_two_reconciliations_at_the_same_time_fetch_once(office: Office, backend: str) -> None:
    for number in range(1, 6):
        office.publish(verzoeknummer(NOW.date(), number))
    found = await asyncio.gather(office.reconcile(), office.reconcile())
    assert sum(one.fetched for one in found) == 5
    assert len(await office.deliveries()) == 5


async def test_a_later_volgnummer_than_the_known_one_is_fetched(office: Office) -> None:
    office.publish()
    await office.announce()
    await office.collect()
    office.publish(volgnummer="001", doel="Aanvullen")
    assert (await office.reconcile()).fetched == 1
    await office.collect()
    assert [one.name for one in await office.deliveries()] == [f"{TODAY}-000", f"{TODAY}-001"]
    assert await office.verdicts() == [Verdict.KNOWN]


async def test_what_an_operator_skipped_is_not_fetched_again(office: Office) -> None:
    office.publish()
    delivery = await office.announce()
    await office.house.db.write(skip_delivery, delivery, "by hand", NOW)
    assert await office.verdicts() == [Verdict.KNOWN]


async def test_what_waits_for_an_operator_is_left_to_him(office: Office) -> None:
    office.publish()
    await office.announce()
    await office.house.db.write(park_job, await office.house.claim(), "HTTP 400", NOW)
    assert await office.verdicts() == [Verdict.WAITING]


async def test_one_verzoek_can_be_asked_for_by_its_number(office: Office) -> None:
    office.publish()
    office.publish(verzoeknummer(NOW.date(), 2))
    found = await office.reconcile(verzoeknummer=TODAY)
    assert [finding.hit.verzoeknummer for finding in found.findings] == [TODAY]


async def test_days_can_be_other_than_those_of_the_plan(office: Office) -> None:
    long_ago = verzoeknummer(NOW.date() - timedelta(days=20), 1)
    office.publish(long_ago)
    assert (await office.reconcile()).findings == ()
    assert len((await office.reconcile(days=30)).findings) == 1


# --- judging


def a_delivery(**changes: Any) -> StoredDelivery:
    none = dict.fromkeys(StoredDelivery.__dataclass_fields__)
    values = none | {
        "origin": Origin.NOTIFICATION,
        "state": DeliveryState.DELIVERED,
        "volgnummer": "000",
        "doel": "Initieren",
        "created_at": NOW - timedelta(hours=1),
    }
    return StoredDelivery(**(values | changes))  # type: ignore[arg-type]


FETCHED_IN_VAIN = a_delivery(origin=Origin.RECONCILIATION, state=DeliveryState.REPEATED, volgnummer=None)


@pytest.mark.parametrize(
    ("volgnummer", "doel", "known", "verdict"),
    [
        ("000", None, ["000"], Verdict.KNOWN),
        ("0", None, ["000"], Verdict.KNOWN),
        ("001", None, ["000"], Verdict.MISSING),
        ("10", None, ["009"], Verdict.MISSING),
        ("000", None, ["001"], Verdict.KNOWN),  # what would be fetched is what is there
        ("b", None, ["a"], Verdict.MISSING),
        ("a", None, ["a"], Verdict.KNOWN),
        (None, None, ["000"], Verdict.KNOWN),
        (None, "Initiëren", ["000"], Verdict.KNOWN),
        (None, "Intrekken", ["000"], Verdict.MISSING),
        (None, "urn:doel:17", ["000"], Verdict.KNOWN),  # nothing follows from what is no doel
        ("000", "Intrekken", ["000"], Verdict.KNOWN),
    ],
)
def test_a_hit_is_news_by_its_volgnummer_or_else_its_doel(
    volgnummer: str | None, doel: str | None, known: list[str], verdict: Verdict
) -> None:
    deliveries = [a_delivery(volgnummer=one) for one in known]
    assert judge(Hit(TODAY, volgnummer, doel), deliveries, NOW) is verdict


def test_vooroverleg_is_the_former_name_of_conceptverzoek() -> None:
    hit = Hit(TODAY, doel="Conceptverzoek")
    assert judge(hit, [a_delivery(doel="Vooroverleg")], NOW) is Verdict.KNOWN


def test_what_brought_nothing_new_is_left_alone_for_a_day() -> None:
    hit, known = Hit(TODAY, "001"), [a_delivery(), FETCHED_IN_VAIN]
    assert judge(hit, known, NOW) is Verdict.KNOWN
    assert judge(hit, known, NOW + timedelta(days=1)) is Verdict.MISSING


def test_a_repetition_alone_is_known() -> None:
    assert judge(Hit(TODAY, "000"), [FETCHED_IN_VAIN], NOW) is Verdict.KNOWN


def test_what_is_being_collected_may_become_what_was_found() -> None:
    known = [a_delivery(), a_delivery(volgnummer=None, state=DeliveryState.COLLECTING)]
    assert judge(Hit(TODAY, "001"), known, NOW) is Verdict.WAITING


# --- the schedule


async def test_a_start_makes_one_job_for_each_authority_with_a_plan(office: Office) -> None:
    other = replace(office.plan, authority="elders", every=timedelta(minutes=2))
    await office.reconciler(office.plan, other).schedule()
    jobs = {job.authority: job for job in await office.jobs()}
    assert {name: (job.kind, job.lane) for name, job in jobs.items()} == {
        AUTHORITY: ("reconcile", f"dso:{AUTHORITY}"),
        "elders": ("reconcile", "dso:elders"),
    }
    # spread over ten minutes, or over the interval where that is shorter
    assert jobs[AUTHORITY].not_before == NOW + timedelta(minutes=5)
    assert jobs["elders"].not_before == NOW + timedelta(minutes=1)


async def test_another_start_keeps_what_was_scheduled(office: Office) -> None:
    await office.reconciler().schedule()
    (before,) = await office.jobs()
    office.house.now += timedelta(hours=1)
    await office.reconciler().schedule()
    assert await office.jobs() == [before]


async def test_a_shorter_interval_brings_the_next_time_forward(office: Office) -> None:
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    job = await office.claim()
    await office.house.db.write(retry_job, job, office.house.now + timedelta(days=7), "asked", NOW)
    await office.reconciler().schedule()
    (job,) = await office.jobs()
    assert job.not_before == office.house.now + timedelta(minutes=5)


async def test_a_parked_schedule_goes_on_at_the_next_start(office: Office) -> None:
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    await office.house.db.write(park_job, await office.claim(), "why", NOW)
    await office.reconciler().schedule()
    (job,) = await office.jobs()
    assert job.state is JobState.READY


async def test_without_a_plan_the_schedule_ends(office: Office) -> None:
    await office.reconciler().schedule()
    other = replace(office.plan, authority="elders")
    await office.reconciler(other).schedule()
    assert [job.authority for job in await office.jobs()] == ["elders"]


async def test_a_job_without_a_plan_is_done(office: Office) -> None:
    new = NewJob(JobKind.RECONCILE, "dso:weg")
    await office.house.db.write(add_job, new, "weg", 0, NOW)
    assert await office.reconciler()(await office.claim()) == Done()


async def test_a_job_puts_itself_back_with_jitter(office: Office) -> None:
    office.publish()
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    office.chance = lambda _, high: high
    outcome = await office.reconciler()(await office.claim())
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.patient) == (SIX_HOURS * 1.1, True)
    assert "1 found, 1 fetched" in outcome.reason
    assert len(await office.deliveries()) == 1


async def test_a_search_that_fails_is_tried_again_soon(office: Office) -> None:
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    office.api.faults.unavailable = 1
    outcome = await office.reconciler()(await office.claim())
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.patient) == (timedelta(minutes=15), True)
    assert "503" in outcome.reason
    assert office.counted("failed") == 1


async def test_a_server_that_asks_to_wait_is_obeyed(office: Office) -> None:
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    office.api.faults.unavailable, office.api.faults.retry_after = 1, timedelta(hours=2)
    outcome = await office.reconciler()(await office.claim())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(hours=2)


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (FetchProblem("HTTP 400", temporary=False), SIX_HOURS),
        (RuntimeError("stuk"), timedelta(minutes=15)),
    ],
    ids=["what cannot pass by itself", "an error that nobody foresaw"],
)
async def test_a_schedule_outlives_every_failure(office: Office, error: Exception, after: timedelta) -> None:
    def fail() -> VerzoekAfhandelen:
        raise error

    office.plan = replace(office.plan, client=fail)
    await office.reconciler().schedule()
    office.house.now += timedelta(minutes=10)
    outcome = await office.reconciler()(await office.claim())
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.patient) == (after, True)
    assert str(error) in outcome.reason


async def test_the_worker_runs_it_time_after_time_and_never_parks_it(office: Office) -> None:
    asked = asyncio.Event()
    times: list[datetime] = []

    def client() -> VerzoekAfhandelen:
        times.append(office.house.now)
        if len(times) == 5:
            asked.set()
        if len(times) % 2:
            raise FetchProblem("HTTP 400", temporary=False)
        return office.house.client

    def clock() -> datetime:
        office.house.now += timedelta(hours=1)  # time flies while the worker works
        return office.house.now

    office.plan = replace(office.plan, client=client, every=timedelta(days=2))
    reconciler = office.reconciler()
    await reconciler.schedule()
    policy, timing = RetryPolicy(give_up=timedelta(days=5)), Timing(idle=timedelta(milliseconds=5))
    handlers = {JobKind.RECONCILE: reconciler}
    worker = Worker(office.house.db, handlers, policy, clock=clock, timing=timing)
    await worker.start()
    async with asyncio.timeout(30):
        await asked.wait()
    await worker.stop(timedelta(seconds=5))
    assert times[-1] - times[0] > policy.give_up
    (job,) = await office.jobs()
    assert job.state is JobState.READY


async def test_a_delivery_of_reconciliation_is_found_by_its_number(office: Office) -> None:
    office.publish()
    (finding,) = (await office.reconcile()).findings
    assert finding.delivery is not None
    assert (await office.house.db.read(get_delivery, finding.delivery)).verzoeknummer == TODAY
