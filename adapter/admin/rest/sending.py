# SPDX-License-Identifier: EUPL-1.2

"""Messages that an application sends: what it asks for, made into a submission to the message service handler."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from adapter.admin.calls import Call, Refused, bad_request
from adapter.admin.rest.bodies import required_text, text_of
from adapter.admin.rest.lookup import find_message
from adapter.admin.rest.states import party_text, service_text
from adapter.authorities import KnownAgreement
from adapter.msh import Submission, SubmissionRefused, SubmittedPayload
from adapter.store import (
    Content,
    Direction,
    Spool,
    StoredMessage,
    StoredPayload,
    message_payloads,
)
from cpa import Profile, Service, pairs


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties of a message to be sent, as an application gives them."""

    cpa_id: str
    service: str
    action: str
    from_party_id: str | None = None
    from_role: str | None = None
    to_party_id: str | None = None
    to_role: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    ref_to_message_id: str | None = None


def read_wanted(values: dict[str, Any]) -> Wanted:
    """Read the properties from JSON. Raises Refused (400)."""
    return Wanted(
        cpa_id=required_text(values, "cpaId"),
        service=required_text(values, "service"),
        action=required_text(values, "action"),
        from_party_id=text_of(values, "fromPartyId"),
        from_role=text_of(values, "fromRole"),
        to_party_id=text_of(values, "toPartyId"),
        to_role=text_of(values, "toRole"),
        conversation_id=text_of(values, "conversationId"),
        message_id=text_of(values, "messageId"),
        ref_to_message_id=text_of(values, "refToMessageId"),
    )


async def send(call: Call, wanted: Wanted, payloads: tuple[SubmittedPayload, ...]) -> StoredMessage:
    """Submit a message, and return it as stored; the payloads are taken over, also when it is refused.

    Raises Refused (400).
    """
    contents = [payload.content for payload in payloads]
    try:
        known = call.agreement(wanted.cpa_id)
        _check_parties(known, wanted)
        message = await call.api.submitter.submit(_submission(known, wanted, payloads))
    except SubmissionRefused as refused:
        await discard(call.api.spool, contents)
        raise bad_request(str(refused)) from refused
    except Refused:
        await discard(call.api.spool, contents)
        raise
    # After any other exception the message may be stored all the same: then files stay until the next start sweeps
    # those that no row names. Of a payload that was encrypted, the octets in the clear have no row.
    kept = {payload.content.key for payload in await call.api.db.read(message_payloads, message.id)}
    await discard(call.api.spool, [content for content in contents if content.key not in kept])
    return message


async def resend_message(call: Call) -> web.StreamResponse:
    """Send a message again as a new one, in the same conversation; the answer is its MessageId."""
    found = await find_message(call)
    message = found.message
    if message.direction is Direction.IN:
        raise bad_request(
            f"message {message.message_id} was received; only one that was sent can be sent again"
        )
    known = call.agreement(message.cpa_id)
    service = Service(message.service, message.service_type)
    if _was_encrypted(message, known, service):
        raise bad_request(
            f"message {message.message_id} is kept as it was encrypted for the partner; submit its payloads again"
        )
    wanted = Wanted(
        cpa_id=message.cpa_id,
        service=service_text(service),
        action=message.action,
        conversation_id=message.conversation_id,
        ref_to_message_id=message.ref_to_message_id,
    )
    new = await send(call, wanted, await _copies(call.api.spool, found.payloads))
    await call.audit(call.entry(message.message_id, message.authority, message_id=new.message_id))
    return web.Response(text=new.message_id)


def _was_encrypted(message: StoredMessage, known: KnownAgreement, service: Service) -> bool:
    """Whether the payloads are kept encrypted; what was agreed then says so, or else what is agreed now."""
    if message.profile is not None:
        return Profile(message.profile).encrypted
    exchange = known.agreement.sent(service, message.action)
    return exchange is not None and exchange.requires_encryption


async def note_sent(call: Call, message: StoredMessage) -> web.StreamResponse:
    """The answer to who sent a message: its MessageId."""
    await call.audit(call.entry(message.message_id, message.authority, cpa_id=message.cpa_id))
    return web.Response(text=message.message_id)


def _submission(known: KnownAgreement, wanted: Wanted, payloads: tuple[SubmittedPayload, ...]) -> Submission:
    return Submission(
        authority=known.authority,
        cpa_id=known.cpa_id,
        service=_service(known, wanted.service),
        action=wanted.action,
        payloads=payloads,
        conversation_id=wanted.conversation_id,
        message_id=wanted.message_id,
        ref_to_message_id=wanted.ref_to_message_id,
        from_role=wanted.from_role,
        to_role=wanted.to_role,
    )


def _service(known: KnownAgreement, text: str) -> Service:
    """The agreed service of this text: type and value may both have colons, so only the agreement can tell."""
    agreed = {pair.service for pair in pairs(known.agreement.us, known.agreement.them)}
    return next((service for service in agreed if service_text(service) == text), Service(text))


def _check_parties(known: KnownAgreement, wanted: Wanted) -> None:
    for given, party, name in (
        (wanted.from_party_id, known.agreement.us, "fromPartyId"),
        (wanted.to_party_id, known.agreement.them, "toPartyId"),
    ):
        agreed = [party_text(one) for one in party.ids]
        if given is not None and given not in agreed:
            raise bad_request(f"{name} is {given!r}, agreed in {known.cpa_id} is {' or '.join(agreed)}")


async def _copies(spool: Spool, payloads: tuple[StoredPayload, ...]) -> tuple[SubmittedPayload, ...]:
    """Payloads to submit with the octets of others; each message has files of its own, to be removed with it."""
    return tuple(
        [
            SubmittedPayload(
                await _copy(spool, payload.content),
                payload.content_type or "application/octet-stream",
                payload.name,
                payload.content_id,
            )
            for payload in payloads
        ]
    )


async def _copy(spool: Spool, content: Content) -> Content:
    async with spool.writer() as writer:
        async for chunk in spool.open(content):
            await writer.write(chunk)
        return await writer.commit()


@asynccontextmanager
async def spooling(spool: Spool) -> AsyncIterator[list[SubmittedPayload]]:
    """A list for payloads as they land in the spool; what is in it is removed when that breaks off."""
    payloads: list[SubmittedPayload] = []
    try:
        yield payloads
    except BaseException:
        await discard(spool, [payload.content for payload in payloads])
        raise


async def discard(spool: Spool, contents: Iterable[Content]) -> None:
    """Remove payloads that no message has."""
    for content in contents:
        await spool.delete(content)
