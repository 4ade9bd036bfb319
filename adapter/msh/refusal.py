# SPDX-License-Identifier: EUPL-1.2

"""Steps 31 and 32 of the receiving algorithm: a message is refused with a MessageError that is kept for repeats."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from adapter.ebms import (
    LOCATION_MESSAGE_HEADER,
    EbmsError,
    Envelope,
    ErrorCode,
    FaultCode,
    Severity,
    SignalAction,
    SoapFault,
)
from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.arrival import REPEAT_MARGIN, Arrival
from adapter.msh.repeats import Repeats
from adapter.msh.reply import send_job
from adapter.observe import get_logger
from adapter.store import MessageKind, Refusal, find_refused, get_message, refuse
from cpa import Exchange

log = get_logger(__name__)

MEMORY_OF_REFUSALS: Final = timedelta(days=5)
"""How long a refusal is remembered where no exchange says how long repeats may come (REL-09)."""


@dataclass(frozen=True, slots=True)
class Refuser:
    """Refuses one message."""

    arrival: Arrival

    async def parties(self, wrong: EbmsError) -> Answer:
        """Step 14: only the partner itself is told by an ErrorList; who acts for it gets a fault."""
        peer = self.arrival.peer
        if peer.anonymous or peer.oin is None or peer.oin in self.arrival.known.partner_oins:
            return await self.refuse((wrong,), None)
        await self.arrival.discard()
        raise SoapFault(FaultCode.CLIENT, "parties", "The parties do not fit the agreement", str(wrong))

    async def reused_id(self, exchange: Exchange) -> Answer:
        """The MessageId of an earlier message with other content: not a repeat, an alarm (step 24b)."""
        error = EbmsError(
            ErrorCode.VALUE_NOT_RECOGNIZED,
            f"{LOCATION_MESSAGE_HEADER}/eb:MessageData/eb:MessageId",
            "another message with this MessageId was received before",
        )
        return await self.refuse((error,), exchange)

    async def refuse(
        self, errors: tuple[EbmsError, ...], exchange: Exchange | None, digest: str | None = None
    ) -> Answer:
        """Steps 31 and 32.

        `digest` is given once the signature held: the refusal then owns the MessageId, where duplicates are
        eliminated. Any other is remembered by its body.
        """
        await self.arrival.discard()
        self._log(errors)
        if self._ends_here():
            return TAKEN
        owns_id = digest is not None and self.arrival.envelope.header.duplicate_elimination
        known_body = None
        if not owns_id:
            known_body = await self.arrival.db.read(
                find_refused,
                self.arrival.known.authority,
                self.arrival.known.cpa_id,
                self.arrival.incoming.body_digest,
            )
        if known_body is not None:
            return await Repeats(self.arrival).answer(exchange, known_body)
        return await self._store(errors, exchange, digest if owns_id else None)

    async def _store(
        self, errors: tuple[EbmsError, ...], exchange: Exchange | None, digest: str | None
    ) -> Answer:
        life = (exchange.duplicate_window if exchange is not None else MEMORY_OF_REFUSALS) + REPEAT_MARGIN
        response = await asyncio.to_thread(
            self.arrival.replier().report, self.arrival.envelope, errors, life=life, now=self.arrival.now
        )
        synchronous = self.arrival.is_synchronous(exchange)
        refusal = Refusal(
            message=self.arrival.row(_kind(self.arrival.envelope), exchange),
            response=response,
            under_message_id=digest is not None,
            content_digest=digest or self.arrival.incoming.body_digest,
            keep_until=self.arrival.now + life,
            reason="; ".join(str(error) for error in errors),
            response_job=None if synchronous else send_job(self.arrival.known),
        )
        stored = await self.arrival.db.write(refuse, refusal, self.arrival.now)
        if not synchronous:
            return TAKEN
        if stored is None:
            return signal_answer(response.envelope)
        return signal_answer((await self.arrival.db.read(get_message, stored)).envelope)

    def _log(self, errors: tuple[EbmsError, ...]) -> None:
        self.arrival.count("refused")
        first = next(e for e in errors if e.severity is Severity.ERROR)
        self.arrival.metrics.refused_total.labels(reason=first.code.value).inc()
        # nobody hears of an answer to us that is refused: what it was about is sent again, or stays as it was
        report = log.error if self._ends_here() else log.warning
        report(
            "message refused",
            action="message.refused",
            reason=first.code.value,
            problems=[str(error) for error in errors],
            peer=str(self.arrival.peer),
        )

    def _ends_here(self) -> bool:
        """Whether an error about this message could only be answered with another (ERR-04, step 31)."""
        listed = self.arrival.envelope.error_list
        return self.arrival.envelope.signal in {
            SignalAction.ACKNOWLEDGMENT,
            SignalAction.MESSAGE_ERROR,
            SignalAction.PONG,
            SignalAction.STATUS_RESPONSE,
        } or (listed is not None and listed.highest_severity is Severity.ERROR)


def _kind(envelope: Envelope) -> MessageKind:
    return _KINDS.get(envelope.signal, MessageKind.BUSINESS) if envelope.signal else MessageKind.BUSINESS


_KINDS = {
    SignalAction.ACKNOWLEDGMENT: MessageKind.ACKNOWLEDGMENT,
    SignalAction.MESSAGE_ERROR: MessageKind.ERROR,
    SignalAction.PING: MessageKind.PING,
    SignalAction.PONG: MessageKind.PONG,
    SignalAction.STATUS_REQUEST: MessageKind.STATUS_REQUEST,
    SignalAction.STATUS_RESPONSE: MessageKind.STATUS_RESPONSE,
}
