# SPDX-License-Identifier: EUPL-1.2

"""Submitting a business message: checked against the agreement, packaged, signed, and stored to be sent.

What is stored is what is sent, at the first attempt and at every other: the octets of the envelope, and of each
payload as it goes over the line (REL-08, REL-17).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from adapter.authorities import Authorities, Authority, KnownAgreement
from adapter.ebms import (
    SKEW,
    AckRequested,
    EncryptionProblem,
    MessageHeader,
    OutgoingPayload,
    PackagingProblem,
    Party,
    SigningProblem,
    build_business_message,
    package_message,
    serialize,
)
from adapter.msh.encrypt import PayloadEncryption
from adapter.msh.reply import IdMaker, message_row, new_message_id, own_host, send_job
from adapter.msh.sign import KeyNotHeld, sign
from adapter.observe import bound, get_logger
from adapter.store import (
    Content,
    Database,
    Direction,
    MessageIdUsed,
    MessageKind,
    NewMessage,
    NewPayload,
    Spool,
    StoredMessage,
    get_message,
    submit_message,
)
from cpa import CpaError, Exchange, Frequency, Service

log = get_logger(__name__)

MAX_ID: Final = 255
"""Longest MessageId or ConversationId that is sent: peers keep them in columns of 256 characters."""

_MARGIN = timedelta(minutes=1)
"""A TimeToLive lies after the last attempt and the wait that follows it, not on it (REL-13)."""


class SubmissionRefused(Exception):
    """The message cannot be sent as asked; the text tells the application or operator what to change."""


@dataclass(frozen=True, slots=True)
class SubmittedPayload:
    """A payload to send, already in the spool; without a Content-ID one is made."""

    content: Content
    content_type: str = "application/octet-stream"
    name: str | None = None
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A business message to send under an agreement of an authority.

    Roles are checked where they are given. `message_id` and `conversation_id` are made where they are not given; a
    MessageId without `@` gets our host.
    """

    authority: str
    cpa_id: str
    service: Service
    action: str
    payloads: tuple[SubmittedPayload, ...] = ()
    conversation_id: str | None = None
    message_id: str | None = None
    ref_to_message_id: str | None = None
    from_role: str | None = None
    to_role: str | None = None


@dataclass(frozen=True, slots=True)
class Submitter:
    """Takes submissions for all authorities."""

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    clock: Callable[[], datetime]
    make_id: IdMaker = new_message_id

    async def submit(self, submission: Submission) -> StoredMessage:
        """Store a message to be sent, and return it; the daemon sends it from then on.

        Raises SubmissionRefused; the payloads then stay with the caller. Else they are ours: what is kept of a
        payload that is encrypted is how it was sent, and the octets in the clear are deleted.
        """
        now = self.clock()
        authority, known = self._find(submission)
        exchange = self._exchange(submission, known, now)
        payloads = self._named(submission.payloads, known)
        header = self._header(submission, known, exchange, now)
        with bound(authority=authority.name, cpa_id=known.cpa_id, message_id=header.message_id):
            envelope = await asyncio.to_thread(
                _envelope, authority, known, exchange, header, payloads, self.spool
            )
            new = self._row(known, header, exchange, envelope)
            row_id = await self._store(new, _rows(payloads), PayloadEncryption(self.spool, known, exchange))
            log.info(
                "message submitted",
                action="message.submitted",
                service=header.service.name,
                ebms_action=header.action,
                payloads=len(payloads),
                profile=exchange.profile,
            )
            return await self.db.read(get_message, row_id)

    async def _store(
        self, new: NewMessage, payloads: tuple[NewPayload, ...], encryption: PayloadEncryption
    ) -> int:
        """Store the message with its payloads as they are sent; of each payload one copy is left in the spool."""
        try:
            sent = await encryption.encrypt(payloads)
        except (EncryptionProblem, CpaError) as problem:
            raise SubmissionRefused(str(problem)) from problem
        made = [one.content for one, given in zip(sent, payloads, strict=True) if one is not given]
        try:
            row_id = await self.db.write(submit_message, new, sent, send_job(encryption.known), self.clock())
        except MessageIdUsed as problem:
            await self._delete(made)
            raise SubmissionRefused(f"{problem}; leave it out to have one made") from problem
        if made:
            await self._delete(payload.content for payload in payloads)
        return row_id

    async def _delete(self, contents: Iterable[Content]) -> None:
        for content in contents:
            await self.spool.delete(content)

    def _find(self, submission: Submission) -> tuple[Authority, KnownAgreement]:
        authorities = self.authorities()
        known = authorities.find_agreement(submission.cpa_id)
        if known is None or known.authority != submission.authority:
            raise SubmissionRefused(f"{submission.authority} has no agreement {submission.cpa_id} in use")
        return authorities.by_name[known.authority], known

    def _exchange(self, submission: Submission, known: KnownAgreement, now: datetime) -> Exchange:
        agreement = known.agreement
        exchange = agreement.sent(submission.service, submission.action)
        if exchange is None:
            raise SubmissionRefused(
                f"{known.cpa_id} does not say that {agreement.us.name} sends {submission.action!r} "
                f"of service {submission.service.name!r}; see `stam-adapter cpa show`"
            )
        if not agreement.is_active_at(now, SKEW):
            raise SubmissionRefused(
                f"{known.cpa_id} carries no traffic now: it is {agreement.status}, from {agreement.start.isoformat()} "
                f"to {agreement.end.isoformat()}"
            )
        for given, agreed, name in (
            (submission.from_role, exchange.sender_role, "from"),
            (submission.to_role, exchange.receiver_role, "to"),
        ):
            if given is not None and given != agreed:
                raise SubmissionRefused(f"the {name} role is {given!r}, agreed is {agreed!r}")
        return exchange

    def _named(
        self, payloads: tuple[SubmittedPayload, ...], known: KnownAgreement
    ) -> tuple[SubmittedPayload, ...]:
        host = own_host(known)
        named = tuple(replace(p, content_id=p.content_id or self.make_id(host)) for p in payloads)
        try:
            # what cannot be packaged now cannot be at any attempt either
            package_message(b"", [_described(payload) for payload in named])
        except PackagingProblem as problem:
            raise SubmissionRefused(f"a payload cannot be sent as it is: {problem}") from problem
        return named

    def _header(
        self, submission: Submission, known: KnownAgreement, exchange: Exchange, now: datetime
    ) -> MessageHeader:
        message_id = submission.message_id or self.make_id(own_host(known))
        if "@" not in message_id:
            message_id = f"{message_id}@{own_host(known)}"
        conversation_id = submission.conversation_id or message_id
        ref_to_message_id = submission.ref_to_message_id
        _check_id("MessageId", message_id)
        _check_id("ConversationId", conversation_id)
        if ref_to_message_id is not None:
            _check_id("RefToMessageId", ref_to_message_id)
        reliable = asks_acknowledgment(exchange)
        return MessageHeader(
            sender=Party(known.agreement.us.ids[:1], exchange.sender_role),
            receiver=Party(known.agreement.them.ids[:1], exchange.receiver_role),
            cpa_id=known.cpa_id,
            conversation_id=conversation_id,
            service=submission.service,
            action=submission.action,
            message_id=message_id,
            timestamp=now,
            ref_to_message_id=ref_to_message_id,
            time_to_live=now + _life(exchange) if reliable else None,
            duplicate_elimination=_set(exchange.characteristics.duplicate_elimination, exchange),
        )

    def _row(
        self, known: KnownAgreement, header: MessageHeader, exchange: Exchange, envelope: bytes
    ) -> NewMessage:
        return message_row(
            known,
            header,
            envelope,
            direction=Direction.OUT,
            kind=MessageKind.BUSINESS,
            profile=exchange.profile,
            expires_at=header.time_to_live,
        )


def _check_id(name: str, value: str) -> None:
    """An id is one word that can be written in XML (HDR-18)."""
    if not value or len(value) > MAX_ID or not value.isprintable() or any(c in " <>" for c in value):
        raise SubmissionRefused(
            f"{name} {value[:MAX_ID]!r} is empty, longer than {MAX_ID} characters, or has spaces, control "
            "characters or angle brackets"
        )


def asks_acknowledgment(exchange: Exchange) -> bool:
    """Whether a message in this exchange asks for an acknowledgment (ACK-01)."""
    return _set(exchange.characteristics.ack_requested, exchange)


def _set(agreed: Frequency, exchange: Exchange) -> bool:
    """What `perMessage` leaves to the sender is set where the channel has reliable messaging at all."""
    if agreed is not Frequency.PER_MESSAGE:
        return agreed is Frequency.ALWAYS
    binding = exchange.sender_exchange.sender
    return binding is not None and binding.reliable_messaging is not None


def _life(exchange: Exchange) -> timedelta:
    """Until after the last attempt, but not as long as the receiver remembers the MessageId (REL-13).

    Where PersistDuration leaves no room for that, the attempts go first: they are agreed too, and receivers remember
    a MessageId as long as there may be attempts (pitfall 45).
    """
    attempts = (1 + exchange.retries) * exchange.retry_interval
    room = exchange.persist_duration - attempts
    return attempts + (min(_MARGIN, room / 2) if room > timedelta() else _MARGIN)


def _envelope(
    authority: Authority,
    known: KnownAgreement,
    exchange: Exchange,
    header: MessageHeader,
    payloads: tuple[SubmittedPayload, ...],
    spool: Spool,
) -> bytes:
    """The octets of the envelope, signed where the agreement says so; the signature is over the plain payloads."""
    asked = None
    if asks_acknowledgment(exchange):
        signed = exchange.characteristics.ack_signature_requested
        asked = AckRequested(
            signed is Frequency.ALWAYS or (signed is Frequency.PER_MESSAGE and exchange.requires_signature)
        )
    root = build_business_message(
        header,
        ack_requested=asked,
        sync_reply=exchange.is_synchronous,
        content_ids=[payload.content_id or "" for payload in payloads],
    )
    if exchange.requires_signature:
        contents = [(payload.content_id or "", payload.content) for payload in payloads]
        try:
            sign(root, authority, known, exchange, contents, spool)
        except (KeyNotHeld, CpaError, SigningProblem) as problem:
            raise SubmissionRefused(str(problem)) from problem
    return serialize(root)


def _described(payload: SubmittedPayload) -> OutgoingPayload:
    return OutgoingPayload(
        payload.content_id or "", payload.content_type, payload.content.size, payload.name, lambda: ()
    )


def _rows(payloads: tuple[SubmittedPayload, ...]) -> tuple[NewPayload, ...]:
    return tuple(NewPayload(p.content, p.content_id, p.content_type, p.name) for p in payloads)
