# SPDX-License-Identifier: EUPL-1.2

"""What comes back in the HTTP response to a message we sent: a signal of a synchronous channel, or one out of turn.

A response is believed like any received signal: it must be about the message that was sent, from the partner of the
same agreement, and signed where it must be (pitfall 23).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from adapter.authorities import Authorities, KnownAgreement
from adapter.ebms import (
    EbmsError,
    Envelope,
    Severity,
    SignalAction,
    SignatureRefused,
    SoapFault,
    check_parties,
    find_exchange,
    read_envelope,
)
from adapter.msh.intake import IncomingMessage
from adapter.msh.reply import Replier
from adapter.msh.signals import SignalDesk
from adapter.msh.signer import Signer, SignerUnknown
from adapter.msh.verify import SignatureCheck
from adapter.observe import Metrics, get_logger
from adapter.pki import Revocation, TrustStore
from adapter.store import Database, Spool, StoredMessage

log = get_logger(__name__)

_ANSWERS = frozenset(
    {
        SignalAction.ACKNOWLEDGMENT,
        SignalAction.MESSAGE_ERROR,
        SignalAction.PONG,
        SignalAction.STATUS_RESPONSE,
    }
)


@dataclass(frozen=True, slots=True)
class ResponseReader:
    """Reads HTTP responses to messages of ours."""

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    trust: TrustStore
    metrics: Metrics
    clock: Callable[[], datetime]
    revocation: Revocation = field(default_factory=Revocation.off)

    async def read(self, known: KnownAgreement, message: StoredMessage, body: bytes) -> None:
        """Do what a signal in the response means for the message; anything else is logged, and that is all."""
        try:
            envelope = await asyncio.to_thread(read_envelope, body)
        except SoapFault as fault:
            self._odd(message, f"it is no SOAP message: {fault.detail}")
            return
        odd = _oddity(envelope, known, message)
        if odd is not None:
            self._odd(message, odd)
            return
        await self._handle(known, message, envelope)

    async def _handle(self, known: KnownAgreement, message: StoredMessage, envelope: Envelope) -> None:
        exchange = find_exchange(envelope, known.agreement)
        if isinstance(exchange, EbmsError):
            self._odd(message, str(exchange))
            return
        authority = self.authorities().by_name[known.authority]
        check = SignatureCheck(known, self.trust, self.spool, intermediates=authority.keys.chain)
        incoming = IncomingMessage((), "text/xml", b"")
        try:
            verified = await asyncio.to_thread(check.verify, envelope, incoming, exchange, (), self.clock())
            signer = Signer(self.trust, self.revocation, authority.keys.chain)
            await signer.check(envelope, verified, self.clock())
        except (SignatureRefused, SignerUnknown) as refused:
            self._odd(message, f"its signature does not hold: {refused}", alarm=True)
            return
        replier = Replier(authority, known)
        desk = SignalDesk(self.db, replier, self.metrics, envelope, exchange, verified, self.clock())
        await desk.handle()

    def _odd(self, message: StoredMessage, reason: str, *, alarm: bool = False) -> None:
        report = log.error if alarm else log.warning
        report(
            "the response to our message is not what it should be",
            action="response.odd",
            reason=reason,
            ref=message.message_id,
        )


def _oddity(envelope: Envelope, known: KnownAgreement, message: StoredMessage) -> str | None:
    """Why a response is no answer to this message; None where it is one."""
    header = envelope.header
    if envelope.signal not in _ANSWERS:
        return f"it is a {header.action}, which nobody sends in a response"
    if header.cpa_id != known.cpa_id or header.ref_to_message_id != message.message_id:
        return "it is about another message"
    wrong = check_parties(envelope, known.agreement)
    if wrong is not None:
        return str(wrong)
    severe = [problem for problem in envelope.problems if problem.severity is Severity.ERROR]
    return str(severe[0]) if severe else None
