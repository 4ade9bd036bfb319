# SPDX-License-Identifier: EUPL-1.2

"""Routing: where a received business message goes.

It stands on this floor because it is the one place that knows both flows: a notification becomes a verzoek to be
collected (`adapter.stam`), any other message is handed over as it is (`adapter.delivery`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from adapter.authorities import Authorities, Authority
from adapter.config import AuthorityConfig, Flow, RouteConfig, VerzoekTraits
from adapter.delivery import message_name, sink_lane
from adapter.observe import bound, get_logger, trace
from adapter.stam import collect_job
from adapter.store import (
    Database,
    Done,
    Job,
    JobKind,
    JobOutcome,
    NewDelivery,
    NewJob,
    Origin,
    Park,
    Retry,
    Spool,
    SpoolDamaged,
    SpoolUnavailable,
    StoredDelivery,
    StoredMessage,
    VerzoekFacts,
    create_delivery,
    finish_job,
    get_message,
    message_payloads,
)
from adapter.store import Flow as StoredFlow
from adapter.verzoek import NotificationProblem, read_notification
from cpa import Service

log = get_logger(__name__)

MAX_NOTIFICATION = 1024 * 1024
"""Largest payload, in octets, that is read as a notification; a real one has a few hundred."""


@dataclass(frozen=True, slots=True)
class Router:
    """The handler of jobs of kind `route`; the subject is a received business message."""

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    clock: Callable[[], datetime]

    async def __call__(self, job: Job) -> JobOutcome:
        """Make the delivery that the message asks for; what cannot be routed is parked for the operator."""
        message = await self.db.read(get_message, job.subject)
        with (
            bound(
                authority=message.authority,
                cpa_id=message.cpa_id,
                message_id=message.message_id,
                conversation_id=message.conversation_id,
            ),
            trace("route", message.authority, message.message_id, attempt=job.attempts) as here,
        ):
            outcome = await self._route(job, message)
            here.set(outcome=type(outcome).__name__.lower())
            if isinstance(outcome, Park):
                log.error("the message waits for an operator", action="message.parked", reason=outcome.reason)
            return outcome

    async def _route(self, job: Job, message: StoredMessage) -> JobOutcome:
        authority = self.authorities().by_name.get(message.authority)
        if authority is None:
            return Park(f"authority {message.authority} is not in the configuration; add it, then retry")
        route = authority.route_for(Service(message.service, message.service_type), message.action)
        if route is None:
            return Park(
                f"no route for service {message.service!r}, action {message.action!r}; "
                f"add [[authorities.{message.authority}.routes]], then retry"
            )
        if route.flow is Flow.STAM:
            return await self._collect(job, message, route, authority.config)
        return await self._hand_over(job, message, route)

    async def _collect(
        self, job: Job, message: StoredMessage, route: RouteConfig, config: AuthorityConfig
    ) -> JobOutcome:
        payloads = await self.db.read(message_payloads, message.id)
        if not payloads:
            return Park("the message has no payload, so there is no verzoeknummer in it")
        first = payloads[0].content
        if first.size > MAX_NOTIFICATION:
            return Park(
                f"the payload has {first.size} octets: it is no notification; correct the route's flow"
            )
        try:
            notification = read_notification(await self.spool.read(first), config.notification.rules)
        except (NotificationProblem, SpoolDamaged) as problem:
            return Park(str(problem))
        except SpoolUnavailable as problem:
            return Retry(str(problem))
        delivery = NewDelivery(
            authority=message.authority,
            sink=route.sink,
            flow=StoredFlow.STAM,
            origin=Origin.NOTIFICATION,
            message=message.id,
            verzoeknummer=notification.verzoeknummer,
            announced=notification.volgnummer,
        )
        log.info(
            "verzoek announced",
            action="verzoek.announced",
            verzoeknummer=notification.verzoeknummer,
            sink=route.sink,
        )
        announced = notification.volgnummer
        collect = collect_job(message.authority, route.sink, notification.verzoeknummer, announced)
        return await self._create(job, delivery, collect)

    async def _hand_over(self, job: Job, message: StoredMessage, route: RouteConfig) -> JobOutcome:
        delivery = NewDelivery(
            authority=message.authority,
            sink=route.sink,
            flow=StoredFlow.MESSAGE,
            origin=Origin.NOTIFICATION,
            message=message.id,
            name=message_name(message.message_id),
        )
        deliver = NewJob(JobKind.DELIVER, lane=sink_lane(message.authority, route.sink))
        return await self._create(job, delivery, deliver)

    async def _create(self, job: Job, delivery: NewDelivery, following: NewJob) -> JobOutcome:
        await self.db.write(_create_and_finish, job, delivery, following, self.clock())
        return Done(already_finished=True)


def sink_of(authority: Authority | None, delivery: StoredDelivery, facts: VerzoekFacts) -> str | None:
    """The sink of a verzoek, now that its content is known; None where no route takes it.

    One that no notification announced, and that was ordered for another sink than the usual, goes where it was ordered.
    """
    if authority is None:
        return delivery.sink
    if delivery.origin is not Origin.NOTIFICATION and delivery.sink != authority.config.stam_sink:
        return delivery.sink
    verzoek = VerzoekTraits(
        doel=facts.doel,
        type=facts.type,
        copy=facts.is_copy,
        bevoegd_gezag=facts.bevoegd_gezag,
        behandeldienst=facts.uitvoerende_instantie,
    )
    routes: Iterable[RouteConfig] = authority.config.routes
    if delivery.service is not None and delivery.action is not None:
        routes = authority.routes_for(Service(delivery.service, delivery.service_type), delivery.action)
    return next((route.sink for route in routes if route.flow is Flow.STAM and route.takes(verzoek)), None)


def _create_and_finish(
    conn: Connection, job: Job, delivery: NewDelivery, following: NewJob, now: datetime
) -> None:
    """One transaction: the delivery, its first job, and the end of the routing."""
    create_delivery(conn, delivery, following, now)
    finish_job(conn, job)
