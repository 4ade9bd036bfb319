# SPDX-License-Identifier: EUPL-1.2

"""Steps 23 and 24 of the receiving algorithm: a message that came before is answered as it was the first time."""

from dataclasses import dataclass

from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.arrival import Arrival
from adapter.msh.reply import send_job
from adapter.observe import get_logger
from adapter.store import MessageKind, ReceivedId, StoredMessage, find_received, resend_response
from cpa import Exchange

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Finds out whether one message is a repeat, and answers it."""

    arrival: Arrival

    async def earlier(self) -> ReceivedId | None:
        """The earlier message with this MessageId, where duplicates are eliminated (step 23)."""
        if not self.arrival.envelope.header.duplicate_elimination:
            return None
        row = self.arrival.row(MessageKind.BUSINESS, None)
        return await self.arrival.db.read(
            find_received,
            self.arrival.known.authority,
            self.arrival.known.cpa_id,
            row.from_party,
            row.message_id,
        )

    async def answer(self, exchange: Exchange | None, stored: StoredMessage | None) -> Answer:
        """A repeat: the stored first response once more, and nothing else (REL-05, REL-06)."""
        await self.arrival.discard()
        self.arrival.count("duplicate")
        log.info(
            "repeat of a message, answered as before", action="message.duplicate", peer=str(self.arrival.peer)
        )
        if stored is None:
            return TAKEN
        if self.arrival.is_synchronous(exchange):
            if stored.kind is MessageKind.ACKNOWLEDGMENT:
                self.arrival.count_returned()
            return signal_answer(stored.envelope)
        await self.arrival.db.write(
            resend_response, stored.id, send_job(self.arrival.known), self.arrival.now
        )
        return TAKEN
