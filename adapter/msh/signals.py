# SPDX-License-Identifier: EUPL-1.2

"""What is done with a received MSH signal: a request is answered, an answer ends the wait of who asked.

An Acknowledgment or MessageError finds the message it is about; nothing is ever answered to these (ERR-04, ACK-13).
"""

from dataclasses import dataclass
from datetime import datetime

from adapter.ebms import SKEW, Envelope, ErrorList, SignalAction, VerifiedSignature
from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.reply import Replier, send_job
from adapter.msh.status import status_of
from adapter.msh.verdicts import Verdicts, is_severe
from adapter.observe import Metrics, get_logger
from adapter.store import (
    Database,
    Event,
    MessageKind,
    MessageState,
    NewMessage,
    StaleState,
    StoredMessage,
    add_event,
    find_outgoing,
    insert_message,
    set_message_state,
)
from cpa import Exchange

log = get_logger(__name__)

AWAITING = (MessageState.CREATED, MessageState.SENT)
"""States of a request of ours that still waits for its answer."""

_REQUESTS = {
    SignalAction.PONG: MessageKind.PING,
    SignalAction.STATUS_RESPONSE: MessageKind.STATUS_REQUEST,
}

SignalOutcome = tuple[str, Answer]
"""A word for the counter, and the answer."""


@dataclass(frozen=True, slots=True)
class SignalDesk:
    """Handles one received signal (step 22). `verified` is its signature, where it had one that holds."""

    db: Database
    replier: Replier
    metrics: Metrics
    envelope: Envelope
    exchange: Exchange
    verified: VerifiedSignature | None
    now: datetime

    async def handle(self) -> SignalOutcome:
        """Do what the signal asks."""
        match self.envelope.signal:
            case SignalAction.PING:
                return await self._ping()
            case SignalAction.STATUS_REQUEST:
                return await self._status_request()
            case SignalAction.ACKNOWLEDGMENT | SignalAction.MESSAGE_ERROR:
                return await self._verdict()
            case _:
                return await self._answer_to_us()

    # --- requests

    async def _ping(self) -> SignalOutcome:
        """Answer a Ping; stay silent where the agreement carries no traffic (2.5: there is no rule)."""
        if not self.replier.known.agreement.is_active_at(self.now, SKEW):
            log.warning("Ping under an agreement that is not active", action="ping.ignored")
            return "ping_ignored", TAKEN
        pong = self.replier.pong(self.envelope, self.now)
        log.info("Ping received, and answered", action="ping.received", pong=pong.message_id)
        if self.exchange.is_synchronous:
            await self.db.write(add_event, _returned(pong, self.now))
        return "ping", await self._send(pong)

    async def _status_request(self) -> SignalOutcome:
        """Say what became of a message of the partner (2.6)."""
        asked = self.envelope.status_request or ""
        response = await self.db.read(status_of, self.replier.known, asked)
        log.info(
            "StatusRequest received, and answered",
            action="status_request.received",
            asked=asked,
            status=response.status,
        )
        return "status_request", await self._send(self.replier.status(self.envelope, response, self.now))

    async def _send(self, answer: NewMessage) -> Answer:
        if self.exchange.is_synchronous:
            return signal_answer(answer.envelope)
        await self.db.write(insert_message, answer, send_job(self.replier.known), self.now)
        return TAKEN

    # --- answers

    async def _answer_to_us(self) -> SignalOutcome:
        """A Pong or StatusResponse: the request of ours is answered; a second answer changes nothing."""
        signal = self.envelope.signal
        request = await self._our_message(_REQUESTS[signal]) if signal in _REQUESTS else None
        if request is None:
            log.warning(
                f"a {signal} for no request of ours", action="signal.unexpected", ref=self._reference()
            )
            return "unexpected", TAKEN
        response = self.envelope.status_response
        await self._end_request(request, MessageState.ANSWERED, response.status if response else None)
        return str(signal).lower(), TAKEN

    async def _verdict(self) -> SignalOutcome:
        """2.3 and 2.4: believe it, or log why not; a signal about no message of ours is only logged."""
        ours = await self._our_message(None)
        errors = self.envelope.error_list
        if ours is None or ours.kind not in {
            MessageKind.BUSINESS,
            MessageKind.PING,
            MessageKind.STATUS_REQUEST,
        }:
            log.warning(
                f"{self.envelope.signal} about {'a signal' if ours else 'no message'} of ours",
                action="signal.received",
                signal=self.envelope.signal,
                ref=self._reference(),
                errors=[f"{e.severity}: {e.code}" for e in errors.errors] if errors else [],
            )
            return "unexpected", TAKEN
        verdicts = Verdicts(self.db, self.metrics, self.now)
        if self.envelope.signal is SignalAction.ACKNOWLEDGMENT:
            return await self._acknowledgment(verdicts, ours, errors), TAKEN
        if errors is not None:
            await self._error(verdicts, ours, errors)
        return "error", TAKEN

    async def _acknowledgment(self, verdicts: Verdicts, ours: StoredMessage, errors: ErrorList | None) -> str:
        if errors is not None:  # warnings may come along with anything (EB 4.2.3)
            verdicts.warned(ours, errors)
        believed = ours.kind is MessageKind.BUSINESS and await verdicts.acknowledged(
            ours, self.envelope, self.verified
        )
        return "acknowledgment" if believed else "acknowledgment_refused"

    async def _error(self, verdicts: Verdicts, ours: StoredMessage, errors: ErrorList) -> None:
        if not is_severe(errors):
            verdicts.warned(ours, errors)
        elif ours.kind is MessageKind.BUSINESS:
            await verdicts.rejected(ours, errors)
        else:
            codes = "; ".join(error.code for error in errors.errors)
            await self._end_request(ours, MessageState.FAILED, f"the partner answered {codes}")

    async def _end_request(self, request: StoredMessage, state: MessageState, reason: str | None) -> None:
        try:
            await self.db.write(set_message_state, request.id, AWAITING, state, reason, self.now)
        except StaleState:
            log.info(
                f"an answer to a {request.action} that had ended",
                action="signal.late",
                ref=request.message_id,
            )
            return
        if request.kind is MessageKind.PING:
            self.metrics.pings_total.labels(request.authority, state).inc()
        log.info(
            f"{request.action} {state}",
            action=f"{request.kind}.{state}",
            ref=request.message_id,
            reason=reason,
        )

    async def _our_message(self, kind: MessageKind | None) -> StoredMessage | None:
        reference = self._reference()
        if reference is None:
            return None
        return await self.db.read(find_outgoing, self.replier.known.cpa_id, reference, kind)

    def _reference(self) -> str | None:
        acknowledgment = self.envelope.acknowledgment
        if acknowledgment is not None:
            return acknowledgment.ref_to_message_id
        return self.envelope.header.ref_to_message_id


def _returned(pong: NewMessage, now: datetime) -> Event:
    """The line of a Pong that goes in the response, and so is not among the messages."""
    return Event(
        at=now,
        authority=pong.authority,
        action="pong.returned",
        message_id=pong.message_id,
        conversation_id=pong.conversation_id,
        cpa_id=pong.cpa_id,
    )
