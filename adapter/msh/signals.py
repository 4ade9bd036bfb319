"""What is done with a received MSH signal: a Ping is answered, a Pong ends the wait of who sent the Ping.

An Acknowledgment or MessageError finds the message it is about; nothing is ever answered to these (ERR-04, ACK-13).
"""

from dataclasses import dataclass
from datetime import datetime

from adapter.ebms import (
    LOCATION_MESSAGE_HEADER,
    SKEW,
    EbmsError,
    Envelope,
    ErrorCode,
    SignalAction,
)
from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.reply import Replier
from adapter.observe import get_logger
from adapter.store import (
    Database,
    MessageKind,
    MessageState,
    NewJob,
    StaleState,
    StoredMessage,
    find_outgoing,
    insert_message,
    set_message_state,
)
from cpa import Exchange

log = get_logger(__name__)

_AWAITING = (MessageState.CREATED, MessageState.SENT, MessageState.TRANSMITTED)

SignalOutcome = tuple[str, Answer | EbmsError]
"""A word for the counter, and the answer or the error to answer with."""


@dataclass(frozen=True, slots=True)
class SignalDesk:
    """Handles one received signal (step 22)."""

    db: Database
    replier: Replier
    envelope: Envelope
    exchange: Exchange
    send_job: NewJob
    now: datetime

    async def handle(self) -> SignalOutcome:
        """Do what the signal asks."""
        match self.envelope.signal:
            case SignalAction.PING:
                return await self._ping()
            case SignalAction.PONG:
                return await self._pong()
            case SignalAction.ACKNOWLEDGMENT | SignalAction.MESSAGE_ERROR:
                return await self._about_our_message()
            case SignalAction.STATUS_REQUEST:
                return "not_supported", EbmsError(
                    ErrorCode.NOT_SUPPORTED,
                    f"{LOCATION_MESSAGE_HEADER}/eb:Action",
                    "the Message Status Service is not offered (STS-01)",
                )
            case _:
                log.info("a StatusResponse that nobody waits for", action="signal.unexpected")
                return "unexpected", TAKEN

    async def _ping(self) -> SignalOutcome:
        """Answer a Ping; stay silent where the agreement carries no traffic (2.5: there is no rule)."""
        if not self.replier.known.agreement.is_active_at(self.now, SKEW):
            log.warning("Ping under an agreement that is not active", action="ping.ignored")
            return "ping_ignored", TAKEN
        pong = self.replier.pong(self.envelope, self.now)
        log.info("Ping answered", action="ping.answered", pong=pong.message_id)
        if self.exchange.is_synchronous:
            return "ping", signal_answer(pong.envelope)
        await self.db.write(insert_message, pong, self.send_job, self.now)
        return "ping", TAKEN

    async def _pong(self) -> SignalOutcome:
        ping = await self._our_message(MessageKind.PING)
        if ping is None:
            log.warning("a Pong for no Ping of ours", action="pong.unexpected", ref=self._reference())
            return "unexpected", TAKEN
        await end_ping(self.db, ping, self.now)
        return "pong", TAKEN

    async def _about_our_message(self) -> SignalOutcome:
        """2.3 step 1 and 2.4 step 1: a signal about a message that we did not send is logged, and that is all."""
        signal = self.envelope.signal
        ours = await self._our_message(None)
        errors = self.envelope.error_list.errors if self.envelope.error_list is not None else ()
        log.warning(
            f"{signal} about {'a signal' if ours else 'no message'} of ours",
            action="signal.received",
            signal=signal,
            ref=self._reference(),
            errors=[f"{e.severity}: {e.code} {e.description or ''}".strip() for e in errors],
        )
        if ours is not None and ours.kind is MessageKind.PING and signal is SignalAction.MESSAGE_ERROR:
            await self._fail_ping(ours, "; ".join(e.code for e in errors) or "MessageError")
        return ("error" if errors else "unexpected"), TAKEN

    async def _fail_ping(self, ping: StoredMessage, reason: str) -> None:
        try:
            await self.db.write(
                set_message_state,
                ping.id,
                _AWAITING,
                MessageState.FAILED,
                f"the partner answered {reason}",
                self.now,
            )
        except StaleState:
            log.info("the Ping had ended before its MessageError came", action="ping.ended_before")

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


async def end_ping(db: Database, ping: StoredMessage, now: datetime) -> None:
    """The Pong came: a Ping that still waits for it is answered; a second Pong changes nothing."""
    try:
        await db.write(set_message_state, ping.id, _AWAITING, MessageState.ANSWERED, None, now)
    except StaleState:
        log.info("a Pong for a Ping that had ended", action="pong.late", ref=ping.message_id)
        return
    log.info("Pong received", action="pong.received", ref=ping.message_id)
