# SPDX-License-Identifier: EUPL-1.2

"""The receive path: from a body that was taken in to the answer, in the order of the receiving algorithm.

Nothing is believed before it is authenticated; a repeat is answered like the first time, even when agreement,
certificate or time to live ended in between; nothing is answered with success before it is stored. The rules
themselves are `adapter.ebms.rules`; here they are asked in their order and acted upon.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapter.authorities import Authorities, KnownAgreement
from adapter.ebms import (
    FIRST_TIME_RULES,
    HEADER_RULES,
    EbmsError,
    Envelope,
    FaultCode,
    Severity,
    SignatureRefused,
    SoapFault,
    VerifiedSignature,
    check_parties,
    find_exchange,
    judge,
    read_envelope,
)
from adapter.msh.acceptance import Acceptance
from adapter.msh.answer import Answer
from adapter.msh.arrival import Arrival
from adapter.msh.authenticity import Authenticity
from adapter.msh.intake import IncomingMessage
from adapter.msh.offload import SMALL, offload
from adapter.msh.peer import Peer, admit_to
from adapter.msh.pressure import Pressure
from adapter.msh.refusal import Refuser
from adapter.msh.repeats import Repeats
from adapter.msh.signals import SignalDesk
from adapter.observe import Metrics, bound, get_logger, receiving_step, reception
from adapter.pki import Revocation, TrustStore
from adapter.store import (
    Database,
    ReceivedId,
    Reception,
    Spool,
    find_outgoing,
    get_message,
)
from cpa import Exchange

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Receives messages for all authorities.

    `authorities` gives the snapshot of the moment; `test` is whether this is a test environment; `max_message` is
    how many octets of payload a message may have under an agreement that says nothing of it.
    """

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    trust: TrustStore
    metrics: Metrics
    clock: Callable[[], datetime]
    test: bool = False
    max_message: int | None = None
    pressure: Pressure = field(default_factory=Pressure)
    revocation: Revocation = field(default_factory=Revocation.off)

    async def receive(self, peer: Peer, incoming: IncomingMessage) -> Answer:
        """Judge, store and answer one message (steps 7 to 33).

        Raises SoapFault, Forbidden, Overloaded, KeyNotHeld, SignerUnknown or what the store raises; what was spooled
        is then thrown away, unless the store may have it.
        """
        try:
            is_large = len(incoming.envelope) > SMALL
            with receiving_step("read"):
                envelope = await offload(is_large, read_envelope, incoming.envelope)
            authorities = self.authorities()
            known = _find_agreement(authorities, envelope)
            admit_to(peer, known, test=self.test)
            self.metrics.received_bytes_total.labels(known.authority).inc(incoming.size)
            if envelope.is_business:  # a signal makes the work less, not more
                self.pressure.check_authority(known.authority)
        except BaseException:
            await incoming.discard(self.spool)
            raise
        with bound(
            message_id=envelope.header.message_id,
            conversation_id=envelope.header.conversation_id,
            cpa_id=known.cpa_id,
            authority=known.authority,
            **_traced(known, envelope),
        ):
            arrival = Arrival(
                self.db,
                self.spool,
                self.trust,
                self.metrics,
                self.max_message,
                authorities.by_name[known.authority],
                known,
                peer,
                envelope,
                incoming,
                self.clock(),
                self.revocation,
            )
            return await _OneMessage(arrival).receive()


def _find_agreement(authorities: Authorities, envelope: Envelope) -> KnownAgreement:
    """Step 13: the agreement by its exact CPAId; without one there is no agreed address for an error (ERR-06)."""
    cpa_id = envelope.header.cpa_id
    known = authorities.find_agreement(cpa_id)
    if known is None:
        raise SoapFault(
            FaultCode.CLIENT, "cpa_unknown", "CPAId not recognized", f"CPAId {cpa_id!r} is not recognized"
        )
    return known


@dataclass(frozen=True, slots=True)
class _InOrder:
    """A message that is in order, with all that is to be stored of it."""

    exchange: Exchange
    reception: Reception


@dataclass(frozen=True, slots=True)
class _OneMessage:
    """One message on its way through the algorithm, step by step."""

    arrival: Arrival

    async def receive(self) -> Answer:
        try:
            judged = await self._judge()
        except BaseException:  # whatever it is: nobody will ask for these payloads again
            await self.arrival.discard()
            raise
        if isinstance(judged, Answer):
            return judged
        return await Acceptance(self.arrival).accept(judged.exchange, judged.reception)

    async def _judge(self) -> "Answer | _InOrder":
        refuser, authenticity = Refuser(self.arrival), Authenticity(self.arrival)
        wrong = check_parties(self.arrival.envelope, self.arrival.known.agreement)
        if wrong is not None:
            return await refuser.parties(wrong)
        exchange = find_exchange(self.arrival.envelope, self.arrival.known.agreement)
        if isinstance(exchange, EbmsError):
            return await refuser.refuse((exchange,), None)
        noted = judge(self.arrival.case(exchange, None), HEADER_RULES)
        refused = await authenticity.decrypt(exchange)
        try:
            # also when decryption failed: what takes longer tells no more than the answer does (ENC-08)
            with receiving_step("verify"):
                verified, digest = await offload(authenticity.is_heavy, authenticity.establish, exchange)
        except SignatureRefused as problem:
            return await refuser.refuse(refused or authenticity.errors(exchange, problem), exchange)
        if refused:
            return await refuser.refuse(refused, exchange)
        if self.arrival.envelope.is_business:
            earlier = await Repeats(self.arrival).earlier()
            if earlier is not None:
                return await self._repeat(earlier, digest, exchange)
        try:
            await authenticity.check_signer(verified)
        except SignatureRefused as problem:
            return await refuser.refuse(authenticity.errors(exchange, problem), exchange)
        if not self.arrival.envelope.is_business:
            return await self._signal(exchange, noted, verified)
        found = noted + judge(self.arrival.case(exchange, verified), FIRST_TIME_RULES)
        if _has_error(found):
            return await refuser.refuse(found, exchange, digest)
        for warning in found:
            log.warning("the message has a flaw", action="message.warned", problem=str(warning))
        await self._look_up_reference()
        with receiving_step("acknowledge"):
            return _InOrder(exchange, await Acceptance(self.arrival).reception(exchange, verified, digest))

    async def _look_up_reference(self) -> None:
        """An answer to what we never sent is taken: the adapter that was here before may have sent it (HDR-23)."""
        reference = self.arrival.envelope.header.ref_to_message_id
        if reference is None:
            return
        if await self.arrival.db.read(find_outgoing, self.arrival.known.cpa_id, reference, None) is None:
            log.info("it refers to no message of ours", action="message.reference_unknown", ref=reference)

    async def _repeat(self, earlier: ReceivedId, digest: str, exchange: Exchange) -> Answer:
        if earlier.content_digest != digest:
            return await Refuser(self.arrival).reused_id(exchange)
        stored = None
        if earlier.response is not None:
            stored = await self.arrival.db.read(get_message, earlier.response)
        return await Repeats(self.arrival).answer(exchange, stored)

    async def _signal(
        self, exchange: Exchange, noted: tuple[EbmsError, ...], verified: VerifiedSignature | None
    ) -> Answer:
        await self.arrival.discard()
        if _has_error(noted):
            return await Refuser(self.arrival).refuse(noted, exchange)
        arrival = self.arrival
        desk = SignalDesk(
            arrival.db, arrival.replier(), arrival.metrics, arrival.envelope, exchange, verified, arrival.now
        )
        outcome, answer = await desk.handle()
        self.arrival.count(outcome)
        return answer


def _traced(known: KnownAgreement, envelope: Envelope) -> Mapping[str, str]:
    """What lines about the message have of its trace, which is that of the message it answers where it is a signal."""
    here = reception.get()
    if here is None:
        return {}
    header = envelope.header
    about = header.message_id if envelope.is_business else header.ref_to_message_id or header.message_id
    return here.brings(known.authority, about, **{"messaging.message.id": header.message_id})


def _has_error(errors: tuple[EbmsError, ...]) -> bool:
    return any(error.severity is Severity.ERROR for error in errors)
