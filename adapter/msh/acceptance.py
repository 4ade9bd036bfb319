# SPDX-License-Identifier: EUPL-1.2

"""Steps 29 and 30 of the receiving algorithm: a message is stored in one transaction, and then answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from adapter.ebms import VerifiedSignature
from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.arrival import REPEAT_MARGIN, Arrival
from adapter.msh.intake import IncomingPart
from adapter.msh.offload import offload
from adapter.msh.refusal import Refuser
from adapter.msh.repeats import Repeats
from adapter.msh.reply import send_job
from adapter.observe import get_logger, receiving_step
from adapter.store import (
    Accepted,
    Conflict,
    Duplicate,
    JobKind,
    MessageKind,
    NewJob,
    NewMessage,
    NewPayload,
    Reception,
    StoreProblem,
    StoreUnknown,
    accept,
    named_keys,
)
from cpa import Exchange

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepts one message that is in order."""

    arrival: Arrival

    async def reception(
        self, exchange: Exchange, verified: VerifiedSignature | None, digest: str
    ) -> Reception:
        """All that is to be stored; the Acknowledgment is made and signed here, before anything is."""
        life = exchange.duplicate_window + REPEAT_MARGIN
        response = None
        asked = self.arrival.envelope.ack_requested
        if asked is not None:
            response = await offload(
                asked.signed,
                self.arrival.replier().acknowledge,
                self.arrival.envelope,
                verified,
                life=life,
                now=self.arrival.now,
            )
        return Reception(
            message=self.arrival.row(MessageKind.BUSINESS, exchange),
            payloads=tuple(
                NewPayload(p.content, p.content_id, p.content_type, p.name, p.headers)
                for p in self.arrival.manifest_parts()
                if p.content is not None
            ),
            content_digest=digest,
            keep_until=self.arrival.now + life,
            eliminate_duplicates=self.arrival.envelope.header.duplicate_elimination,
            response=response,
            route=NewJob(JobKind.ROUTE, lane=f"route:{self.arrival.known.authority}"),
            response_job=None
            if exchange.is_synchronous or response is None
            else send_job(self.arrival.known),
        )

    async def accept(self, exchange: Exchange, reception: Reception) -> Answer:
        """Store the message, and answer it; another that came at the same time may have been first."""
        try:
            with receiving_step("store"):
                outcome = await self.arrival.db.write(accept, reception, self.arrival.now)
        except Exception as error:
            await self._discard_unkept(error)
            raise
        match outcome:
            case Accepted():
                await self._drop_unnamed(self.arrival.manifest_parts())
                self.arrival.count("accepted")
                self.arrival.metrics.last_accepted_timestamp_seconds.labels(self.arrival.known.authority).set(
                    self.arrival.now.timestamp()
                )
                log.info(
                    "message accepted",
                    action="message.accepted",
                    service=self.arrival.envelope.header.service.name,
                    ebms_action=self.arrival.envelope.header.action,
                    payloads=len(reception.payloads),
                    profile=exchange.profile,
                    peer=str(self.arrival.peer),
                )
                return self._respond(exchange, reception.response)
            case Duplicate(_, stored):
                return await Repeats(self.arrival).answer(exchange, stored)
            case Conflict():
                return await Refuser(self.arrival).reused_id(exchange)

    async def _drop_unnamed(self, named: Sequence[IncomingPart]) -> None:
        for part in self.arrival.incoming.parts:
            if part not in named and part.content is not None:
                log.warning(
                    "a part that the Manifest does not name was dropped",
                    action="message.part_dropped",
                    content_id=part.content_id,
                )
                await self.arrival.spool.delete(part.content)

    async def _discard_unkept(self, error: Exception) -> None:
        """After a write that failed: throw the payloads away where it is certain that no row names them.

        A disk that is full would otherwise stay so, by what every new attempt leaves behind.
        """
        if isinstance(error, StoreUnknown):
            return  # cut off in its commit: a row may name them, and a later start looks again
        spooled = [part.content for part in self.arrival.incoming.parts if part.content is not None]
        try:
            named = await self.arrival.db.read(
                named_keys, [one.key for one in spooled if one.key is not None]
            )
        except (StoreProblem, SQLAlchemyError) as problem:
            log.warning(
                "payloads stay in the spool until the next start",
                action="spool.kept",
                reason=type(problem).__name__,
            )
            return
        for content in spooled:
            if content.key not in named:
                await self.arrival.spool.delete(content)

    def _respond(self, exchange: Exchange, response: NewMessage | None) -> Answer:
        if response is None or not exchange.is_synchronous:
            return TAKEN
        self.arrival.count_returned()
        return signal_answer(response.envelope)
