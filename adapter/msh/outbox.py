"""The outbox: sends what is stored as to be sent, always the stored octets, until it has no use any more.

One job per message. A signal is done when the partner took it (any 2xx, TRN-12); a Ping is done when the Pong came.
Whatever else happens is a failed attempt (KV ch05 HTTP Response Codes), tried again until the message expires.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from adapter.authorities import Authorities, KnownAgreement
from adapter.ebms import SignalAction, SoapFault, package_message, read_envelope
from adapter.msh.partners import Partners
from adapter.msh.signals import end_ping
from adapter.net import NetProblem
from adapter.observe import Metrics, bound, get_logger
from adapter.store import (
    Database,
    Done,
    Job,
    JobOutcome,
    MessageKind,
    MessageState,
    Retry,
    StoredMessage,
    finish_job,
    get_message,
    note_attempt,
    set_message_state,
)
from cpa import CpaError

log = get_logger(__name__)

_MAX_RESPONSE: Final = 1024 * 1024
_OPEN: Final = (MessageState.CREATED, MessageState.SENT)


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
class Outbox:
    """The handler of jobs of kind `send`; the subject is an outgoing message."""

    db: Database
    authorities: Callable[[], Authorities]
    partners: Partners
    metrics: Metrics
    clock: Callable[[], datetime]

    async def __call__(self, job: Job) -> JobOutcome:
        """Make one attempt to send, and say how it ended."""
        message = await self.db.read(get_message, job.subject)
        with bound(
            authority=message.authority,
            cpa_id=message.cpa_id,
            message_id=message.message_id,
            conversation_id=message.conversation_id,
        ):
            if message.state not in _OPEN:
                return Done()  # answered or given up meanwhile
            if message.expires_at is not None and self.clock() >= message.expires_at:
                return await self._end(
                    job, message, MessageState.EXPIRED, message.reason or "it was not taken in time"
                )
            return await self._attempt(job, message)

    async def _attempt(self, job: Job, message: StoredMessage) -> JobOutcome:
        known = self.authorities().find_agreement(message.cpa_id)
        if known is None:
            return Retry(f"CPA {message.cpa_id} is not in use; add it, or skip the message")
        try:
            endpoint = known.agreement.sent_signal(message.action).endpoint
        except CpaError as problem:
            return Retry(str(problem))
        await self.db.write(note_attempt, message.id, self.clock())
        sent = await self._post(known, endpoint, message)
        outcome = "sent" if sent.is_taken else "failed"
        self.metrics.sent_total.labels(authority=message.authority, outcome=outcome).inc()
        if message.kind is MessageKind.ACKNOWLEDGMENT:
            self.metrics.acknowledgments_sent_total.labels(authority=message.authority, outcome=outcome).inc()
        if sent.is_taken:
            return await self._taken(job, known, message, sent)
        return await self._failed(job, message, endpoint, sent)

    async def _post(self, known: KnownAgreement, endpoint: str, message: StoredMessage) -> Sent:
        client = self.partners.client(known, endpoint)
        body = package_message(message.envelope)
        try:
            async with client.request(
                "POST", endpoint, headers=dict(body.headers), data=message.envelope
            ) as response:
                return Sent(response.status, await response.read(_MAX_RESPONSE))
        except NetProblem as problem:
            return Sent(None, problem=str(problem), needs_people=not problem.temporary)

    async def _taken(self, job: Job, known: KnownAgreement, message: StoredMessage, sent: Sent) -> JobOutcome:
        log.info(
            f"{message.action} sent",
            action=f"{message.kind}.sent",
            ref=message.ref_to_message_id,
            status=sent.status,
            attempt=message.attempts + 1,
        )
        if message.kind is not MessageKind.PING:
            return await self._end(job, message, MessageState.TRANSMITTED, None)
        await self.db.write(_note_sent, message, self.clock())
        if sent.body:
            await self._read_pong(known, message, sent.body)
        return Done()

    async def _failed(self, job: Job, message: StoredMessage, endpoint: str, sent: Sent) -> JobOutcome:
        report = log.error if sent.is_alarming else log.warning
        report(
            f"{message.action} not sent",
            action=f"{message.kind}.not_sent",
            reason=str(sent),
            endpoint=endpoint,
            attempt=message.attempts + 1,
        )
        if message.kind is MessageKind.PING:  # whoever asked waits for the answer: say now what is wrong
            return await self._end(job, message, MessageState.FAILED, f"{endpoint}: {sent}")
        return Retry(f"{endpoint}: {sent}")

    async def _read_pong(self, known: KnownAgreement, ping: StoredMessage, body: bytes) -> None:
        """A Pong in the response of a synchronous channel; anything else there is logged (pitfall 23)."""
        try:
            envelope = read_envelope(body)
        except SoapFault as fault:
            log.warning(
                "the response to a Ping is no SOAP message", action="ping.odd_response", reason=fault.detail
            )
            return
        header = envelope.header
        ours = header.cpa_id == known.cpa_id and header.ref_to_message_id == ping.message_id
        if envelope.signal is SignalAction.PONG and ours:
            await end_ping(self.db, ping, self.clock())
        else:
            log.warning(
                "the response to a Ping is no Pong for it", action="ping.odd_response", signal=header.action
            )

    async def _end(
        self, job: Job, message: StoredMessage, state: MessageState, reason: str | None
    ) -> JobOutcome:
        await self.db.write(_end_and_finish, job, message, state, reason, self.clock())
        if state is MessageState.EXPIRED:
            log.error(f"{message.action} given up", action=f"{message.kind}.expired", reason=reason)
        return Done(already_finished=True)


def _end_and_finish(
    conn: Connection, job: Job, message: StoredMessage, state: MessageState, reason: str | None, now: datetime
) -> None:
    set_message_state(conn, message.id, _OPEN, state, reason, now)
    finish_job(conn, job)


def _note_sent(conn: Connection, ping: StoredMessage, now: datetime) -> None:
    """A Ping went out; its Pong may even have been here before the response to it was read."""
    current = get_message(conn, ping.id)
    if current.state is MessageState.CREATED:
        set_message_state(conn, ping.id, MessageState.CREATED, MessageState.SENT, None, now)
