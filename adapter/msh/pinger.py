# SPDX-License-Identifier: EUPL-1.2

"""Pings by the clock: whether the partner of each agreement can be reached, before a message has to.

The handler of the jobs of kind `ping`, one for each authority that has such pings. No job waits for an answer: a Ping
goes through the outbox as any other, and what became of it is seen a little later.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from adapter.authorities import Authorities, KnownAgreement
from adapter.config import AuthorityConfig
from adapter.ebms import SKEW, SignalAction
from adapter.msh.ping import PING_LIFE, new_ping
from adapter.msh.reply import send_job
from adapter.msh.signals import AWAITING
from adapter.observe import Metrics, bound, get_logger
from adapter.store import (
    Contact,
    Database,
    Done,
    Job,
    JobKind,
    JobOutcome,
    JobState,
    LeaseLost,
    MessageState,
    NewJob,
    NotFound,
    Retry,
    begin_ping,
    drop_schedules,
    end_ping,
    forget_contacts,
    get_message,
    jobs_for,
    keep_contacts,
    keep_schedule,
)
from cpa import CpaError

log = get_logger(__name__)

FIRST_WITHIN: Final = timedelta(minutes=2)
"""Over how long the first pings are spread after a start."""

SOON: Final = timedelta(seconds=5)
"""When it is seen for the first time what became of a Ping: most are answered at once."""

_IDLE: Final = timedelta(minutes=15)
"""When an authority without anything to ping is looked at again: an agreement may have been added."""

_SLACK: Final = timedelta(seconds=2)
_SPREAD: Final = 0.1


class Pinger:
    """Pings the partners of every authority that is configured so. `chance` draws a number between two."""

    def __init__(
        self,
        db: Database,
        authorities: Callable[[], Authorities],
        settings: Callable[[], Mapping[str, AuthorityConfig]],
        metrics: Metrics,
        clock: Callable[[], datetime],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._db: Final = db
        self._authorities: Final = authorities
        self._settings: Final = settings
        self._metrics: Final = metrics
        self._clock: Final = clock
        self._chance: Final = chance

    async def schedule(self) -> None:
        """See to it that every authority with such pings has its job, due soon, and no other. Raises StoreProblem."""
        now = self._clock()
        names = [name for name, settings in self._settings().items() if _shortest(settings) is not None]
        await self._db.write(drop_schedules, JobKind.PING, names)
        await self._db.write(forget_contacts, names)
        for name in names:
            lane = f"ping:{name}"
            first = now + FIRST_WITHIN * self._chance(0, 1)
            # what is due later was scheduled when its period was longer
            await self._db.write(
                keep_schedule, NewJob(JobKind.PING, lane, lane, first), name, now + FIRST_WITHIN, now
            )

    async def __call__(self, job: Job) -> JobOutcome:
        """Send the pings of an authority that are due, see what became of others, and say when to look again."""
        settings = self._settings().get(job.authority)
        if settings is None or _shortest(settings) is None:
            return Done()
        try:
            with bound(authority=job.authority):
                return await self._look(job.authority, settings)
        except LeaseLost:
            raise
        except Exception as error:  # its job lives for years: crashes must not add up until it is parked
            log.exception("pings failed in an unforeseen way", action="partner.pings_crashed")
            self._metrics.unexpected_errors_total.labels(kind=JobKind.PING).inc()
            return Retry(f"{type(error).__name__}: {error}", PING_LIFE, patient=True)

    async def _look(self, authority: str, settings: AuthorityConfig) -> JobOutcome:
        now = self._clock()
        wanted = self._wanted(authority, settings, now)
        periods = {cpa_id: (now, now + every * (1 + _SPREAD)) for cpa_id, (_, every) in wanted.items()}
        following = [now + _IDLE]
        for contact in await self._db.write(keep_contacts, authority, periods):
            known, every = wanted[contact.cpa_id]
            with bound(cpa_id=contact.cpa_id):
                following.append(await self._advance(contact, known, every, settings))
        wait = min(following) - self._clock()
        return Retry("pings by the clock", max(wait, timedelta(seconds=1)), patient=True)

    def _wanted(
        self, authority: str, settings: AuthorityConfig, now: datetime
    ) -> dict[str, tuple[KnownAgreement, timedelta]]:
        """The agreements that are pinged now, with their periods."""
        found = self._authorities().by_name.get(authority)
        wanted = {}
        for known in found.agreements if found is not None else ():
            every = settings.ping_every_of(known.cpa_id)
            if every is not None and known.agreement.is_active_at(now, SKEW) and _can_be_pinged(known):
                wanted[known.cpa_id] = (known, every)
        return wanted

    async def _advance(
        self, contact: Contact, known: KnownAgreement, every: timedelta, settings: AuthorityConfig
    ) -> datetime:
        """Do for one partner what there is to do; return when there is more."""
        now = self._clock()
        following = now + every * self._chance(1 - _SPREAD, 1 + _SPREAD)
        if contact.ping is not None:
            return await self._see(contact, contact.ping, settings, following)
        if contact.next_at > now:
            return contact.next_at
        ping = new_ping(known, now)
        await self._db.write(begin_ping, contact, ping, send_job(known), following, now)
        return now + SOON

    async def _see(
        self, contact: Contact, ping: int, settings: AuthorityConfig, following: datetime
    ) -> datetime:
        """See what became of a Ping."""
        now = self._clock()
        failure: str | None = None
        try:
            message = await self._db.read(get_message, ping)
        except NotFound:
            failure = "its Ping is not in the store any more"
        else:
            until = (message.expires_at or message.created_at) + _SLACK
            if message.state in AWAITING and now < until:
                return until
            if message.state is not MessageState.ANSWERED:
                failure = message.reason or "no Pong came"
        sending = await self._db.read(jobs_for, JobKind.SEND, ping)
        if any(job.state is JobState.RUNNING for job in sending):
            return now + SOON  # the Pong came within the response, which is still being read
        if await self._db.write(end_ping, contact, failure, following, now):
            self._report(contact, failure, settings.ping_failures_of(contact.cpa_id))
        return following

    def _report(self, contact: Contact, failure: str | None, most: int) -> None:
        if failure is None:
            if contact.failures:
                log.info(
                    "the partner answers pings again",
                    action="partner.answers_again",
                    failures=contact.failures,
                )
            return
        failures = contact.failures + 1
        if failures == most:
            log.error(
                "the partner cannot be reached: it did not answer so many pings in a row",
                action="partner.unreachable",
                failures=failures,
                reason=failure,
            )
        else:
            log.warning(
                "the partner did not answer a ping",
                action="partner.no_answer",
                failures=failures,
                reason=failure,
            )


def _shortest(settings: AuthorityConfig) -> timedelta | None:
    """The shortest period of any agreement that is configured; None where nothing is pinged."""
    periods = [settings.ping_every, *(one.ping_every for one in settings.agreements.values())]
    return min((period for period in periods if period), default=None)


def _can_be_pinged(known: KnownAgreement) -> bool:
    """Whether the agreement says where a Ping goes, and where its Pong comes."""
    agreement = known.agreement
    try:
        return bool(
            agreement.sent_signal(SignalAction.PING).endpoint
            and agreement.received_signal(SignalAction.PONG).endpoint
        )
    except CpaError:
        return False
