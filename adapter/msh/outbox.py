# SPDX-License-Identifier: EUPL-1.2

"""The outbox: sends what is stored as to be sent, always the stored octets, until it has no use any more.

One job per message. Any non-2xx is a failed attempt (KV ch05 HTTP Response Codes), with an alarm at once for what does
not pass by itself. What happens then depends on what was sent (2.7):

- A reliable business message keeps the schedule of its agreement until it is acknowledged, whatever HTTP says: a 2xx
  is transport, not delivery (TRN-12). When attempts or time are used up it is given up, which an acknowledgment that
  comes late corrects.
- A best-effort message is done with a 2xx, and failed with anything else.
- A signal is done with a 2xx, and tried again until its partner cannot need it any more.
- A request (Ping, StatusRequest) is sent once: whoever asked waits for it, and is told what is wrong.
"""

from collections.abc import AsyncIterable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from adapter.authorities import Authorities, KnownAgreement
from adapter.ebms import SKEW, OutgoingPayload, package_message
from adapter.msh.partners import MissingKey, Partners
from adapter.msh.responses import ResponseReader
from adapter.net import NetProblem
from adapter.observe import Metrics, bound, get_logger, span, trace
from adapter.pki import KeyPair
from adapter.store import (
    OPEN,
    Database,
    Done,
    Job,
    JobOutcome,
    MessageKind,
    MessageState,
    Overrides,
    Retry,
    Spool,
    SpoolDamaged,
    SpoolUnavailable,
    StaleState,
    StoredMessage,
    StoredPayload,
    finish_job,
    get_message,
    message_payloads,
    note_attempt,
    overrides_of,
    set_message_state,
)
from cpa import CpaError, Exchange, Service

log = get_logger(__name__)

_MAX_RESPONSE: Final = 1024 * 1024
_REQUESTS: Final = frozenset({MessageKind.PING, MessageKind.STATUS_REQUEST})


@dataclass(frozen=True, slots=True)
class Sent:
    """What one attempt came to: the HTTP status and body, or a problem before there was one.

    `needs_people` is a problem that does not pass by itself.
    """

    status: int | None
    body: bytes = b""
    problem: str = ""
    needs_people: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether the partner took the message (TRN-11, TRN-12)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_alarming(self) -> bool:
        """3xx, and 4xx that do not pass by themselves: somebody configured something wrong (TRN-15)."""
        if self.status is None:
            return self.needs_people
        return 300 <= self.status < 500 and self.status not in {408, 429}

    def __str__(self) -> str:
        return self.problem if self.status is None else f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """What is sent, and what the operator changed of where and as whom."""

    message: StoredMessage
    payloads: tuple[StoredPayload, ...]
    overrides: Overrides


@dataclass(frozen=True, slots=True)
class Outbox:
    """The handler of jobs of kind `send`; the subject is an outgoing message."""

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    partners: Partners
    responses: ResponseReader
    metrics: Metrics
    clock: Callable[[], datetime]

    async def __call__(self, job: Job) -> JobOutcome:
        """Make one attempt to send, and say how it ended."""
        outgoing = await self.db.read(_load, job.subject)
        message = outgoing.message
        with (
            bound(
                authority=message.authority,
                cpa_id=message.cpa_id,
                message_id=message.message_id,
                conversation_id=message.conversation_id,
            ),
            _traced(message),
        ):
            if message.state not in OPEN:
                return Done()  # acknowledged, answered or given up meanwhile
            if message.expires_at is not None and self.clock() >= message.expires_at:
                return await self._give_up(job, message, "its time has passed")
            return await self._attempt(job, outgoing)

    async def _attempt(self, job: Job, outgoing: _Outgoing) -> JobOutcome:
        message = outgoing.message
        known = self.authorities().find_agreement(message.cpa_id)
        if known is None:
            return Retry(f"CPA {message.cpa_id} is not in use; add it, or skip the message", patient=True)
        exchange = _exchange(known, message)
        if exchange is None:
            return Retry(f"{message.action} is not agreed any more in {message.cpa_id}", patient=True)
        ended = self._ended(known, exchange, message)
        if ended is not None:
            return await self._give_up(job, message, ended)
        if message.kind in _REQUESTS and message.state is MessageState.SENT:
            return await self._give_up(job, message, "no answer came")
        try:
            endpoint = exchange.endpoint
        except CpaError as problem:
            return Retry(str(problem), patient=True)
        try:
            keys = self.partners.keys_for(known, exchange, outgoing.overrides)
        except MissingKey as problem:
            log.warning("no key to connect with", action="partner.key_missing", reason=str(problem))
            return Retry(str(problem), patient=True)
        unreadable = await self._unreadable(outgoing.payloads)
        if unreadable is not None:  # no attempt: the partner is not to blame
            log.error("a payload cannot be read", action=f"{message.kind}.unreadable", reason=unreadable)
            return Retry(unreadable)
        await self.db.write(note_attempt, message.id, self.clock())
        sent = await self._post(known, endpoint, keys, outgoing)
        self._report(message, endpoint, sent)
        if sent.is_taken and sent.body:
            await self.responses.read(known, message, sent.body)
        return await self._next(job, message, exchange, sent)

    def _ended(self, known: KnownAgreement, exchange: Exchange, message: StoredMessage) -> str | None:
        """Why a business message is not sent again; signals have their own end in time."""
        if message.kind is not MessageKind.BUSINESS:
            return None
        if not known.agreement.is_active_at(self.clock(), SKEW):
            return "the agreement has ended"  # LCY-06
        if message.attempts > exchange.retries and _is_reliable(message):
            return f"no acknowledgment after {message.attempts} attempts"
        return None

    async def _unreadable(self, payloads: tuple[StoredPayload, ...]) -> str | None:
        """Why a payload that is to be sent is not there, or cannot be looked at now."""
        try:
            for payload in payloads:
                await self.spool.require(payload.content)
        except (SpoolDamaged, SpoolUnavailable) as problem:
            return str(problem)
        return None

    async def _post(self, known: KnownAgreement, endpoint: str, keys: KeyPair, outgoing: _Outgoing) -> Sent:
        target = self.partners.address(endpoint, outgoing.overrides)
        client = self.partners.client(known, target, keys)
        envelope = outgoing.message.envelope
        body = package_message(envelope, [self._payload(payload) for payload in outgoing.payloads])
        data: bytes | AsyncIterable[bytes] = envelope if len(body.pieces) == 1 else body.stream()
        try:
            with span("partner.request", **{"http.request.method": "POST"}) as here:
                async with client.request("POST", target, headers=dict(body.headers), data=data) as response:
                    here.set(**{"http.response.status_code": response.status})
                    return Sent(response.status, await response.read(_MAX_RESPONSE))
        except NetProblem as problem:
            return Sent(None, problem=str(problem), needs_people=not problem.temporary)

    def _payload(self, payload: StoredPayload) -> OutgoingPayload:
        return OutgoingPayload(
            content_id=payload.content_id or "",
            content_type=payload.content_type or "application/octet-stream",
            size=payload.content.size,
            name=payload.name,
            chunks=partial(self.spool.open, payload.content),
        )

    def _report(self, message: StoredMessage, endpoint: str, sent: Sent) -> None:
        outcome = "sent" if sent.is_taken else "failed"
        self.metrics.sent_total.labels(message.authority, message.kind, outcome).inc()
        if message.attempts:
            self.metrics.sent_again_total.labels(message.authority, message.kind).inc()
        if message.kind is MessageKind.ACKNOWLEDGMENT:
            self.metrics.acknowledgments_sent_total.labels(authority=message.authority, outcome=outcome).inc()
        if sent.is_taken:
            log.info(
                f"{message.action} sent",
                action=f"{message.kind}.sent",
                ref=message.ref_to_message_id,
                status=sent.status,
                attempt=message.attempts + 1,
            )
            return
        report = log.error if sent.is_alarming else log.warning
        report(
            f"{message.action} not sent",
            action=f"{message.kind}.not_sent",
            reason=str(sent),
            endpoint=endpoint,
            attempt=message.attempts + 1,
        )

    # --- what follows from an attempt (2.7)

    async def _next(self, job: Job, message: StoredMessage, exchange: Exchange, sent: Sent) -> JobOutcome:
        if message.kind in _REQUESTS:
            return await self._after_request(job, message, sent)
        if message.kind is not MessageKind.BUSINESS:
            return await self._after_signal(job, message, sent)
        if _is_reliable(message):
            return await self._after_reliable(message, exchange, sent)
        return await self._after_best_effort(job, message, sent)

    async def _after_reliable(self, message: StoredMessage, exchange: Exchange, sent: Sent) -> JobOutcome:
        if sent.is_taken:
            await self.db.write(_note_sent, message.id, self.clock())
        current = await self.db.read(get_message, message.id)
        if current.state not in OPEN:
            return Done()  # the verdict came in the response, or before it was read
        reason = "no acknowledgment yet" if sent.is_taken else str(sent)
        return Retry(reason, after=exchange.retry_interval, patient=True)

    async def _after_best_effort(self, job: Job, message: StoredMessage, sent: Sent) -> JobOutcome:
        if sent.is_taken:
            return await self._end(job, message, MessageState.TRANSMITTED, None)
        return await self._end(job, message, MessageState.FAILED, f"DeliveryFailure: {sent}")

    async def _after_signal(self, job: Job, message: StoredMessage, sent: Sent) -> JobOutcome:
        if sent.is_taken:
            return await self._end(job, message, MessageState.TRANSMITTED, None)
        return Retry(str(sent), patient=True)

    async def _after_request(self, job: Job, message: StoredMessage, sent: Sent) -> JobOutcome:
        if not sent.is_taken:
            self._count_ping(message, "failed")
            return await self._end(job, message, MessageState.FAILED, str(sent))
        await self.db.write(_note_sent, message.id, self.clock())
        left = timedelta() if message.expires_at is None else message.expires_at - self.clock()
        return Retry("the answer is awaited", after=max(left, timedelta()), patient=True)

    async def _give_up(self, job: Job, message: StoredMessage, reason: str) -> JobOutcome:
        """Severity as EB 6.5.7 has it: a message that was never transmitted has surely not arrived (REL-15)."""
        transmitted = message.state is MessageState.SENT
        severity = (
            "Warning: it was transmitted" if transmitted else f"Error: {job.reason or 'not transmitted'}"
        )
        reason = f"DeliveryFailure: {reason} ({severity})"
        log.error(f"{message.action} given up", action=f"{message.kind}.expired", reason=reason)
        self.metrics.given_up_total.labels(message.authority, message.kind).inc()
        self._count_ping(message, "unanswered")
        return await self._end(job, message, MessageState.EXPIRED, reason)

    def _count_ping(self, message: StoredMessage, outcome: str) -> None:
        if message.kind is MessageKind.PING:
            self.metrics.pings_total.labels(message.authority, outcome).inc()

    async def _end(
        self, job: Job, message: StoredMessage, state: MessageState, reason: str | None
    ) -> JobOutcome:
        try:
            await self.db.write(_end_and_finish, job, message.id, state, reason, self.clock())
        except StaleState:
            return Done()  # the partner's verdict came meanwhile, and stands
        return Done(already_finished=True)


def _exchange(known: KnownAgreement, message: StoredMessage) -> Exchange | None:
    if message.kind is MessageKind.BUSINESS:
        return known.agreement.sent(Service(message.service, message.service_type), message.action)
    return known.agreement.sent_signal(message.action)


def _traced(message: StoredMessage) -> AbstractContextManager[object]:
    """An attempt to send: a signal belongs to the trace of what it answers, a business message follows from that."""
    answers, own = message.ref_to_message_id, message.kind is MessageKind.BUSINESS
    return trace(
        "send",
        message.authority,
        message.message_id if own or answers is None else answers,
        link=answers if own else None,
        kind=message.kind,
        attempt=message.attempts + 1,
        **{"messaging.message.id": message.message_id},
    )


def _is_reliable(message: StoredMessage) -> bool:
    """A business message that asked for an acknowledgment has a time to live, and no other has (`msh.submit`)."""
    return message.time_to_live is not None


def _load(conn: Connection, row_id: int) -> _Outgoing:
    message = get_message(conn, row_id)
    return _Outgoing(message, message_payloads(conn, row_id), overrides_of(conn, message.authority))


def _end_and_finish(
    conn: Connection, job: Job, row_id: int, state: MessageState, reason: str | None, now: datetime
) -> None:
    set_message_state(conn, row_id, OPEN, state, reason, now)
    finish_job(conn, job)


def _note_sent(conn: Connection, row_id: int, now: datetime) -> None:
    """It went out; the answer may even have been here before the response to it was read."""
    if get_message(conn, row_id).state is MessageState.CREATED:
        set_message_state(conn, row_id, MessageState.CREATED, MessageState.SENT, None, now)
