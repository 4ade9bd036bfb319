"""The receive path: from a body that was taken in to the answer, in the order of the receiving algorithm.

Nothing is believed before it is authenticated; a repeat is answered like the first time, even when agreement,
certificate or time to live ended in between; nothing is answered with success before it is stored. The rules
themselves are `adapter.ebms.rules`; here they are asked in their order and acted upon.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree
from sqlalchemy.exc import SQLAlchemyError

from adapter.authorities import Authorities, Authority, KnownAgreement
from adapter.ebms import (
    FIRST_TIME_RULES,
    HEADER_RULES,
    LOCATION_MESSAGE_HEADER,
    LOCATION_SIGNATURE,
    Case,
    EbmsError,
    Envelope,
    ErrorCode,
    FaultCode,
    Severity,
    SignalAction,
    SignatureRefused,
    SoapFault,
    Strictness,
    VerifiedSignature,
    check_manifest,
    check_parties,
    content_id_of,
    find_content_id,
    find_exchange,
    judge,
    read_envelope,
)
from adapter.msh.answer import TAKEN, Answer, signal_answer
from adapter.msh.intake import IncomingMessage, IncomingPart
from adapter.msh.peer import Peer, admit_to
from adapter.msh.reply import Replier, message_row, send_job
from adapter.msh.signals import SignalDesk
from adapter.msh.verify import SignatureCheck
from adapter.observe import Metrics, bound, get_logger
from adapter.pki import TrustStore
from adapter.store import (
    Accepted,
    Conflict,
    Database,
    Direction,
    Duplicate,
    JobKind,
    MessageKind,
    NewJob,
    NewMessage,
    NewPayload,
    ReceivedId,
    Reception,
    Refusal,
    Spool,
    StoredMessage,
    StoreProblem,
    accept,
    find_received,
    find_refused,
    get_message,
    known_spool_keys,
    refuse,
    resend_response,
)
from cpa import Exchange

log = get_logger(__name__)

MEMORY_OF_REFUSALS = timedelta(days=5)
"""How long a refusal is remembered where no exchange says how long repeats may come (REL-09)."""

_MARGIN = timedelta(days=1)
"""Repeats may come a little after the agreed window: retries start late, clocks differ (pitfall 45)."""


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

    async def receive(self, peer: Peer, incoming: IncomingMessage) -> Answer:
        """Judge, store and answer one message (steps 7 to 33).

        Raises SoapFault, Forbidden, CannotSign or what the store raises; what was spooled is then thrown away,
        unless the store may have it.
        """
        try:
            envelope = await asyncio.to_thread(read_envelope, incoming.envelope)
            authorities = self.authorities()
            known = _find_agreement(authorities, envelope)
            admit_to(peer, known, test=self.test)
        except BaseException:
            await incoming.discard(self.spool)
            raise
        with bound(
            message_id=envelope.header.message_id,
            conversation_id=envelope.header.conversation_id,
            cpa_id=known.cpa_id,
            authority=known.authority,
        ):
            one = _OneMessage(
                self, authorities.by_name[known.authority], known, peer, envelope, incoming, self.clock()
            )
            return await one.receive()


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
    """One message on its way through the algorithm."""

    office: Receiver
    authority: Authority
    known: KnownAgreement
    peer: Peer
    envelope: Envelope
    incoming: IncomingMessage
    now: datetime

    async def receive(self) -> Answer:
        try:
            judged = await self._judge()
        except BaseException:  # whatever it is: nobody will ask for these payloads again
            await self.incoming.discard(self.office.spool)
            raise
        return judged if isinstance(judged, Answer) else await self._accept(judged.exchange, judged.reception)

    async def _judge(self) -> "Answer | _InOrder":
        wrong = check_parties(self.envelope, self.known.agreement)
        if wrong is not None:
            return await self._refuse_parties(wrong)
        exchange = find_exchange(self.envelope, self.known.agreement)
        if isinstance(exchange, EbmsError):
            return await self._refuse((exchange,), None)
        noted = judge(self._case(exchange, None), HEADER_RULES)
        if exchange.requires_encryption and (payloads := self._manifest_parts()):
            # nothing here decrypts: a payload in the clear must not pass for one that was encrypted (ENC-01)
            error = EbmsError(
                ErrorCode.SECURITY_FAILURE,
                f"cid:{payloads[0].content_id}",
                "the payloads are not encrypted as agreed, or cannot be decrypted here",
            )
            return await self._refuse((error,), exchange)
        try:
            verified = await asyncio.to_thread(self._verify, exchange)
        except SignatureRefused as refused:
            return await self._refuse(self._signature_errors(exchange, refused), exchange)
        if not self.envelope.is_business:
            return await self._signal(exchange, noted)
        digest = await asyncio.to_thread(self._content_digest, verified)
        earlier = await self._earlier()
        if earlier is not None:
            return await self._repeat(earlier, digest, exchange)
        found = noted + judge(self._case(exchange, verified), FIRST_TIME_RULES)
        if _has_error(found):
            return await self._refuse(found, exchange, digest)
        for warning in found:
            log.warning("the message has a flaw", action="message.warned", problem=str(warning))
        return _InOrder(exchange, await self._reception(exchange, verified, digest))

    # --- judging

    def _case(self, exchange: Exchange, verified: VerifiedSignature | None) -> Case:
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
                self.office.max_message if settings.max_message is None else settings.max_message,
            ),
            now=self.now,
            certificate_window=None
            if certificate is None
            else (certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        )

    def _verify(self, exchange: Exchange) -> VerifiedSignature | None:
        check = SignatureCheck(
            self.known, self.office.trust, self.office.spool, intermediates=self.authority.keys.chain
        )
        by_id = {part.content_id: part for part in self.incoming.parts}
        # a payload that is not there must be covered by the signature all the same
        cids = tuple(
            find_content_id(reference.href, by_id) or content_id_of(reference.href) or reference.href
            for reference in self.envelope.manifest or ()
        )
        return check.verify(self.envelope, self.incoming, exchange, cids, self.now)

    def _signature_errors(self, exchange: Exchange, refused: SignatureRefused) -> tuple[EbmsError, ...]:
        """A payload that is missing or broken makes its digest wrong too; the first cause is reported (MAN-04)."""
        missing = tuple(check_manifest(self._case(exchange, None)))
        return missing or (EbmsError(ErrorCode.SECURITY_FAILURE, LOCATION_SIGNATURE, str(refused)),)

    def _manifest_parts(self) -> list[IncomingPart]:
        """The parts that the Manifest names, in its order, each once; any other part is dropped (PKG-12)."""
        by_id = {part.content_id: part for part in self.incoming.parts}
        named = (find_content_id(reference.href, by_id) for reference in self.envelope.manifest or ())
        return [by_id[content_id] for content_id in dict.fromkeys(named) if content_id is not None]

    def _content_digest(self, verified: VerifiedSignature | None) -> str:
        """What tells a repeat from another message with the same MessageId (step 24).

        Of a signed message, what was signed; of any other the SOAP body and the payloads.
        """
        if verified is not None:
            parts = sorted(f"{r.uri} {r.digest_method} {r.digest_value.hex()}" for r in verified.references)
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        # not simply the last child: a comment or a foreign element may follow the Body
        body = etree.tostring(self.envelope.body, method="c14n", with_comments=False)
        payloads = [p.content.sha256 for p in self._manifest_parts() if p.content is not None]
        return hashlib.sha256(hashlib.sha256(body).digest() + "\n".join(payloads).encode()).hexdigest()

    # --- accepting

    async def _reception(
        self, exchange: Exchange, verified: VerifiedSignature | None, digest: str
    ) -> Reception:
        """All that is to be stored; the Acknowledgment is made and signed here, before anything is."""
        life = exchange.duplicate_window + _MARGIN
        response = None
        if self.envelope.ack_requested is not None:
            response = await asyncio.to_thread(
                self._replier().acknowledge,
                self.envelope,
                verified,
                life=life,
                now=self.now,
            )
        return Reception(
            message=self._row(MessageKind.BUSINESS, exchange),
            payloads=tuple(
                NewPayload(p.content, p.content_id, p.content_type, p.name, p.headers)
                for p in self._manifest_parts()
                if p.content is not None
            ),
            content_digest=digest,
            keep_until=self.now + life,
            eliminate_duplicates=self.envelope.header.duplicate_elimination,
            response=response,
            route=NewJob(JobKind.ROUTE, lane=f"route:{self.known.authority}"),
            response_job=None if exchange.is_synchronous or response is None else send_job(self.known),
        )

    async def _accept(self, exchange: Exchange, reception: Reception) -> Answer:
        try:
            outcome = await self.office.db.write(accept, reception, self.now)
        except Exception as error:
            await self._discard_unkept(error)
            raise
        match outcome:
            case Accepted():
                await self._drop_unnamed(self._manifest_parts())
                self._count("accepted")
                log.info(
                    "message accepted",
                    action="message.accepted",
                    service=self.envelope.header.service.name,
                    ebms_action=self.envelope.header.action,
                    payloads=len(reception.payloads),
                    profile=exchange.profile,
                    peer=str(self.peer),
                )
                return self._respond(exchange, reception.response)
            case Duplicate(_, stored):
                return await self._answer_again(exchange, stored)
            case Conflict():
                return await self._refuse_reuse(exchange)

    async def _drop_unnamed(self, named: Sequence[IncomingPart]) -> None:
        for part in self.incoming.parts:
            if part not in named and part.content is not None:
                log.warning(
                    "a part that the Manifest does not name was dropped",
                    action="message.part_dropped",
                    content_id=part.content_id,
                )
                await self.office.spool.delete(part.content)

    async def _discard_unkept(self, error: Exception) -> None:
        """After a write that failed: throw the payloads away where it is certain that no row names them.

        A disk that is full would otherwise stay so, by what every new attempt leaves behind.
        """
        if getattr(error, "connection_invalidated", False):
            return  # cut off in its commit: a row may name them, and the next start looks again
        try:
            known = await self.office.db.read(known_spool_keys)
        except (StoreProblem, SQLAlchemyError) as problem:
            log.warning(
                "payloads stay in the spool until the next start",
                action="spool.kept",
                reason=type(problem).__name__,
            )
            return
        for part in self.incoming.parts:
            if part.content is not None and part.content.key not in known:
                await self.office.spool.delete(part.content)

    def _respond(self, exchange: Exchange, response: NewMessage | None) -> Answer:
        if response is None or not exchange.is_synchronous:
            return TAKEN
        return signal_answer(response.envelope)

    # --- repeats

    async def _earlier(self) -> ReceivedId | None:
        if not self.envelope.header.duplicate_elimination:
            return None
        row = self._row(MessageKind.BUSINESS, None)
        return await self.office.db.read(
            find_received, self.known.authority, self.known.cpa_id, row.from_party, row.message_id
        )

    async def _repeat(self, earlier: ReceivedId, digest: str, exchange: Exchange) -> Answer:
        if earlier.content_digest != digest:
            return await self._refuse_reuse(exchange)
        stored = None
        if earlier.response is not None:
            stored = await self.office.db.read(get_message, earlier.response)
        return await self._answer_again(exchange, stored)

    async def _answer_again(self, exchange: Exchange | None, stored: StoredMessage | None) -> Answer:
        """A repeat: the stored first response once more, and nothing else (REL-05, REL-06)."""
        await self.incoming.discard(self.office.spool)
        self._count("duplicate")
        log.info("repeat of a message, answered as before", action="message.duplicate", peer=str(self.peer))
        if stored is None:
            return TAKEN
        if self._synchronous(exchange):
            return signal_answer(stored.envelope)
        await self.office.db.write(resend_response, stored.id, send_job(self.known), self.now)
        return TAKEN

    async def _refuse_reuse(self, exchange: Exchange) -> Answer:
        """The MessageId of an earlier message with other content: not a repeat, an alarm (step 24b)."""
        error = EbmsError(
            ErrorCode.VALUE_NOT_RECOGNIZED,
            f"{LOCATION_MESSAGE_HEADER}/eb:MessageData/eb:MessageId",
            "another message with this MessageId was received before",
        )
        return await self._refuse((error,), exchange)

    # --- signals

    async def _signal(self, exchange: Exchange, noted: tuple[EbmsError, ...]) -> Answer:
        await self.incoming.discard(self.office.spool)
        if _has_error(noted):
            return await self._refuse(noted, exchange)
        desk = SignalDesk(
            self.office.db, self._replier(), self.envelope, exchange, send_job(self.known), self.now
        )
        outcome, answer = await desk.handle()
        if isinstance(answer, EbmsError):
            return await self._refuse((answer,), exchange)
        self._count(outcome)
        return answer

    # --- refusing

    async def _refuse_parties(self, wrong: EbmsError) -> Answer:
        """Step 14: only the partner itself is told by an ErrorList; who acts for it gets a fault."""
        if self.peer.anonymous or self.peer.oin is None or self.peer.oin in self.known.partner_oins:
            return await self._refuse((wrong,), None)
        await self.incoming.discard(self.office.spool)
        raise SoapFault(FaultCode.CLIENT, "parties", "The parties do not fit the agreement", str(wrong))

    async def _refuse(
        self, errors: tuple[EbmsError, ...], exchange: Exchange | None, digest: str | None = None
    ) -> Answer:
        """Steps 31 and 32.

        `digest` is given once the signature held: the refusal then owns the MessageId, where duplicates are
        eliminated. Any other is remembered by its body.
        """
        await self.incoming.discard(self.office.spool)
        self._log_refusal(errors)
        if self._ends_here():
            return TAKEN
        owns_id = digest is not None and self.envelope.header.duplicate_elimination
        known_body = None
        if not owns_id:
            known_body = await self.office.db.read(
                find_refused, self.known.authority, self.known.cpa_id, self.incoming.body_digest
            )
        if known_body is not None:
            return await self._answer_again(exchange, known_body)
        return await self._store_refusal(errors, exchange, digest if owns_id else None)

    async def _store_refusal(
        self, errors: tuple[EbmsError, ...], exchange: Exchange | None, digest: str | None
    ) -> Answer:
        life = (exchange.duplicate_window if exchange is not None else MEMORY_OF_REFUSALS) + _MARGIN
        response = await asyncio.to_thread(
            self._replier().report, self.envelope, errors, life=life, now=self.now
        )
        synchronous = self._synchronous(exchange)
        refusal = Refusal(
            message=self._row(_kind(self.envelope), exchange),
            response=response,
            under_message_id=digest is not None,
            content_digest=digest or self.incoming.body_digest,
            keep_until=self.now + life,
            reason="; ".join(str(error) for error in errors),
            response_job=None if synchronous else send_job(self.known),
        )
        stored = await self.office.db.write(refuse, refusal, self.now)
        if not synchronous:
            return TAKEN
        if stored is None:
            return signal_answer(response.envelope)
        return signal_answer((await self.office.db.read(get_message, stored)).envelope)

    def _log_refusal(self, errors: tuple[EbmsError, ...]) -> None:
        self._count("refused")
        first = next(e for e in errors if e.severity is Severity.ERROR)
        self.office.metrics.refused_total.labels(reason=first.code.value).inc()
        log.warning(
            "message refused",
            action="message.refused",
            reason=first.code.value,
            problems=[str(error) for error in errors],
            peer=str(self.peer),
        )

    def _ends_here(self) -> bool:
        """Whether an error about this message could only be answered with another (ERR-04, step 31)."""
        listed = self.envelope.error_list
        return self.envelope.signal in {
            SignalAction.ACKNOWLEDGMENT,
            SignalAction.MESSAGE_ERROR,
            SignalAction.PONG,
            SignalAction.STATUS_RESPONSE,
        } or (listed is not None and listed.highest_severity is Severity.ERROR)

    # --- small things

    def _synchronous(self, exchange: Exchange | None) -> bool:
        return exchange.is_synchronous if exchange is not None else self.envelope.sync_reply

    def _replier(self) -> Replier:
        return Replier(self.authority, self.known)

    def _count(self, outcome: str) -> None:
        self.office.metrics.received_total.labels(authority=self.known.authority, outcome=outcome).inc()

    def _row(self, kind: MessageKind, exchange: Exchange | None) -> NewMessage:
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


def _has_error(errors: tuple[EbmsError, ...]) -> bool:
    return any(error.severity is Severity.ERROR for error in errors)


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
