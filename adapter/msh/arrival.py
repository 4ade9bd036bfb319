# SPDX-License-Identifier: EUPL-1.2

"""One received message on its way through the algorithm: what is known of it, and what every step asks of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from adapter.authorities import Authority, KnownAgreement
from adapter.ebms import Case, Envelope, Strictness, VerifiedSignature, find_content_id
from adapter.msh.intake import IncomingMessage, IncomingPart
from adapter.msh.peer import Peer
from adapter.msh.reply import Replier, message_row
from adapter.observe import Metrics, received_as
from adapter.pki import Revocation, TrustStore
from adapter.store import Database, Direction, MessageKind, NewMessage, Spool
from cpa import Exchange

REPEAT_MARGIN: Final = timedelta(days=1)
"""Repeats may come a little after the agreed window: retries start late, clocks differ (pitfall 45)."""


@dataclass(slots=True)
class Arrival:
    """A message whose agreement and peer are known.

    `incoming` is replaced once, when payloads that came encrypted were decrypted. `max_message` is how many octets of
    payload it may have where its agreement says nothing of it.
    """

    db: Database
    spool: Spool
    trust: TrustStore
    metrics: Metrics
    max_message: int | None
    authority: Authority
    known: KnownAgreement
    peer: Peer
    envelope: Envelope
    incoming: IncomingMessage
    now: datetime
    revocation: Revocation

    async def discard(self) -> None:
        """Throw away what was spooled of it."""
        await self.incoming.discard(self.spool)

    def case(self, exchange: Exchange, verified: VerifiedSignature | None) -> Case:
        """What the rules look at; `verified` is the signature, once it was found to hold."""
        settings = self.known.settings
        certificate = verified.certificate if verified is not None else None
        return Case(
            envelope=self.envelope,
            agreement=self.known.agreement,
            exchange=exchange,
            parts=tuple(part.as_received() for part in self.incoming.parts),
            strictness=Strictness(
                settings.lenient,
                settings.strict,
                self.max_message if settings.max_message is None else settings.max_message,
            ),
            now=self.now,
            certificate_window=None
            if certificate is None
            else (certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        )

    def manifest_parts(self) -> list[IncomingPart]:
        """The parts that the Manifest names, in its order, each once; any other part is dropped (PKG-12)."""
        by_id = {part.content_id: part for part in self.incoming.parts}
        named = (find_content_id(reference.href, by_id) for reference in self.envelope.manifest or ())
        return [by_id[content_id] for content_id in dict.fromkeys(named) if content_id is not None]

    def row(self, kind: MessageKind, exchange: Exchange | None) -> NewMessage:
        """The message as it is stored."""
        return message_row(
            self.known,
            self.envelope.header,
            self.incoming.envelope,
            direction=Direction.IN,
            kind=kind,
            received_at=self.now,
            profile=exchange.profile if exchange is not None else None,
            http_headers=self.incoming.http_headers,
            envelope_headers=self.incoming.envelope_headers,
            content_type=self.incoming.content_type,
        )

    def is_synchronous(self, exchange: Exchange | None) -> bool:
        """Whether the answer goes into the HTTP response."""
        return exchange.is_synchronous if exchange is not None else self.envelope.sync_reply

    def replier(self) -> Replier:
        """Who builds the signals that answer it."""
        return Replier(self.authority, self.known)

    def count(self, outcome: str) -> None:
        """Count what became of it."""
        self.metrics.received_total.labels(authority=self.known.authority, outcome=outcome).inc()
        received_as(outcome)

    def count_returned(self) -> None:
        """Count an acknowledgment that goes in the HTTP answer."""
        self.metrics.acknowledgments_sent_total.labels(self.known.authority, "returned").inc()
