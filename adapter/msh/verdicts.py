# SPDX-License-Identifier: EUPL-1.2

"""What a partner says of a message we sent: an Acknowledgment or a MessageError, checked before it is believed.

A signed acknowledgment must hold, and name exactly what we signed; else the message stays unacknowledged and is sent
again (2.3, ACK-10). A verdict that comes after we gave up corrects the state: what really happened is what is kept.
"""

from dataclasses import dataclass
from datetime import datetime

from adapter.ebms import (
    Acknowledgment,
    Envelope,
    ErrorList,
    Severity,
    VerifiedSignature,
    read_envelope,
    reference_digests,
    references_match,
    signatures_of,
)
from adapter.observe import Metrics, get_logger
from adapter.store import (
    Database,
    News,
    StoredMessage,
    acknowledge_message,
    reject_message,
)

log = get_logger(__name__)

_SAID = {News.CHANGED: "counted", News.LATE: "late", News.KNOWN: "known"}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Applies verdicts to the messages we sent."""

    db: Database
    metrics: Metrics
    now: datetime

    async def acknowledged(
        self, message: StoredMessage, envelope: Envelope, verified: VerifiedSignature | None
    ) -> bool:
        """The partner acknowledged a business message of ours; whether that is believed."""
        acknowledgment = envelope.acknowledgment
        flaw = (
            "it has no eb:Acknowledgment"
            if acknowledgment is None
            else _flaw(message, acknowledgment, verified)
        )
        if flaw is not None:
            self._count(message, "refused")
            log.error(
                "an acknowledgment does not hold; the message is sent again",
                action="acknowledgment.refused",
                reason=flaw,
                ref=message.message_id,
            )
            return False
        news = await self.db.write(acknowledge_message, message.id, self.now)
        self._count(message, _SAID[news])
        report = log.warning if news is News.LATE else log.info
        report("our message is acknowledged", action=f"acknowledgment.{_SAID[news]}", ref=message.message_id)
        return True

    async def rejected(self, message: StoredMessage, errors: ErrorList) -> None:
        """The partner reported that it did not process a business message of ours (2.4)."""
        news = await self.db.write(reject_message, message.id, _listed(errors), self.now)
        log.error(
            "the partner refused our message",
            action=f"message.rejected{'_late' if news is News.LATE else ''}",
            reason=_listed(errors),
            ref=message.message_id,
        )

    def warned(self, message: StoredMessage, errors: ErrorList) -> None:
        """The partner has remarks about a message of ours, and processed it (2.4)."""
        log.warning(
            "the partner warns about our message",
            action="message.warned_about",
            reason=_listed(errors),
            ref=message.message_id,
        )

    def _count(self, message: StoredMessage, outcome: str) -> None:
        self.metrics.acknowledgments_received_total.labels(authority=message.authority, outcome=outcome).inc()


def is_severe(errors: ErrorList) -> bool:
    """Whether a list of errors says that a message was not processed (ERR-09)."""
    return errors.highest_severity is Severity.ERROR or any(
        error.severity is Severity.ERROR for error in errors.errors
    )


def _listed(errors: ErrorList) -> str:
    """The errors as the application and the log get them."""
    listed = (f"{e.code} {e.location or ''}: {e.description or ''}".strip() for e in errors.errors)
    return "; ".join(listed) or "MessageError"


def _flaw(
    message: StoredMessage, acknowledgment: Acknowledgment, verified: VerifiedSignature | None
) -> str | None:
    """Why an acknowledgment is not what we asked for; None where it is."""
    ours = read_envelope(message.envelope)
    if ours.ack_requested is None:
        return "no acknowledgment was asked for"
    if not ours.ack_requested.signed:
        return None
    if verified is None:
        return "it is not signed, or not with the agreed certificate"
    signatures = signatures_of(ours.root)
    if not signatures:
        return None  # there are no references to name: only the acknowledgment itself is signed
    sent = reference_digests(signatures[0][0])
    parent = acknowledgment.references[0].getparent() if acknowledgment.references else None
    copied = reference_digests(parent) if parent is not None else ()
    return None if references_match(sent, copied) else "its references are not those of the message"
