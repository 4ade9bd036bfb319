# SPDX-License-Identifier: EUPL-1.2

"""Every combination of profile, reply mode, direction and kind that the matrix runs, with the reference adapter."""

from collections.abc import Awaitable, Callable

import pytest
from lxml import etree

from adapter.ebms import read_envelope
from adapter.msh import MessageStatus
from adapter.store import MessageKind, MessageState
from tests.interop.conftest import OURS_ONLY, PEER_ONLY, XML, Meeting, payloads_of
from tests.interop.line import Trouble
from tests.interop.matrix import RUN, Combination, Kind, Way

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def is_signed(envelope: bytes) -> bool:
    return etree.fromstring(envelope).find(f".//{SIGNATURE}") is not None


def error_codes(envelope: bytes) -> list[str]:
    listed = read_envelope(envelope).error_list
    return [] if listed is None else [error.code for error in listed.errors]


# --- the peer sends


async def ping_in(meeting: Meeting, one: Combination) -> None:
    route = meeting.route(one.authority)
    await meeting.peer.ping(route.cpa_id, route.sender, route.receiver)


async def message_in(meeting: Meeting, one: Combination) -> None:
    sent = await meeting.peer_sends(one.authority, XML)
    assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    assert payloads_of(await meeting.delivered(one.authority, sent)) == [XML]
    assert await meeting.peer.events(sent) == ["DELIVERED"]
    assert len(await meeting.peer.attempts(sent)) == 1
    assert is_signed(await meeting.peer.envelope(sent)) is one.profile.signed
    acknowledgments = await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT)
    signed = [is_signed(found.envelope) for found in acknowledgments]
    assert signed == ([one.profile.signed] if one.profile.reliable else [])


async def duplicate_in(meeting: Meeting, one: Combination) -> None:
    if one.synchronous:
        async with meeting.line_to_us(one.authority) as line:
            line.trouble.append(Trouble.LOSE_ANSWER)
            sent = await meeting.peer_sends(one.authority, XML)
            assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    else:
        await meeting.peer.refuse(1_000)
        try:
            sent = await meeting.peer_sends(one.authority, XML)
            await meeting.peer_attempts(sent, 2)
        finally:
            await meeting.peer.refuse(0)
        assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    assert meeting.logged("message.duplicate", message_id=sent)
    assert payloads_of(await meeting.delivered(one.authority, sent)) == [XML]
    assert len(await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT)) == 1
    assert await meeting.peer.events(sent) == ["DELIVERED"]


async def status_in(meeting: Meeting, one: Combination) -> None:
    sent = await meeting.peer_sends(one.authority, XML)
    assert await meeting.peer.ended(sent) == "DELIVERED", await meeting.peer.attempts(sent)
    await meeting.processed(sent)
    assert await meeting.peer.partner_status(sent) == "PROCESSED"


async def error_in(meeting: Meeting, one: Combination) -> None:
    sent = await meeting.peer_sends(one.authority, XML, action=PEER_ONLY)
    error = await meeting.peer_answer(sent)
    assert error_codes(await meeting.peer.envelope(error)) == ["ValueNotRecognized"]
    if one.profile.reliable:
        assert await meeting.peer.ended(sent) == "DELIVERY_FAILED"
        assert await meeting.peer.events(sent) == ["FAILED"]
    else:  # it was sent, and with that it ended
        assert await meeting.peer.ended(sent) == "DELIVERED"
        assert await meeting.peer.events(sent) == ["DELIVERED"]
    assert not meeting.manifests(one.authority, sent)
    assert await meeting.answers(sent, MessageKind.ACKNOWLEDGMENT) == []


# --- we send


async def ping_out(meeting: Meeting, one: Combination) -> None:
    assert (await meeting.we_ping(one.authority)).state is MessageState.ANSWERED


async def message_out(meeting: Meeting, one: Combination) -> None:
    submitted = await meeting.we_send(one.authority, XML)
    sent = await meeting.ended(submitted.id)
    done = MessageState.DELIVERED if one.profile.reliable else MessageState.TRANSMITTED
    assert (sent.state, sent.attempts, sent.reason) == (done, 1, None)
    assert is_signed(sent.envelope) is one.profile.signed
    assert await meeting.peer.events(sent.message_id) == ["RECEIVED"]
    assert sent.message_id in await meeting.peer.received()
    got = await meeting.peer.payloads(sent.message_id, meeting.directory / "got")
    assert payloads_of(got) == [XML]
    assert [payload.content_type for payload in got] == ["application/xml"]
    if one.profile.reliable:
        acknowledgment = await meeting.peer_answer(sent.message_id)
        assert is_signed(await meeting.peer.envelope(acknowledgment)) is one.profile.signed


async def duplicate_out(meeting: Meeting, one: Combination) -> None:
    between = meeting.line_to_peer if one.synchronous else meeting.line_to_us
    async with between(one.authority) as line:
        line.trouble.append(Trouble.LOSE_ANSWER if one.synchronous else Trouble.REFUSE)
        submitted = await meeting.we_send(one.authority, XML)
        sent = await meeting.ended(submitted.id)
    assert (sent.state, sent.attempts) == (MessageState.DELIVERED, 2)
    assert (await meeting.peer.received()).count(sent.message_id) == 1
    assert await meeting.peer.events(sent.message_id) == ["RECEIVED"]


async def status_out(meeting: Meeting, one: Combination) -> None:
    submitted = await meeting.we_send(one.authority, XML)
    sent = await meeting.ended(submitted.id)
    asked = await meeting.we_ask_status(one.authority, sent.message_id)
    assert (asked.state, asked.reason) == (MessageState.ANSWERED, MessageStatus.RECEIVED)


async def error_out(meeting: Meeting, one: Combination) -> None:
    submitted = await meeting.we_send(one.authority, XML, action=OURS_ONLY)
    sent = await meeting.ended(submitted.id, MessageState.FAILED)
    assert sent.attempts == 1
    assert (sent.reason or "").startswith("ValueNotRecognized ")
    assert await meeting.peer.status(sent.message_id) == "FAILED"
    assert sent.message_id not in await meeting.peer.received()


PLAYS: dict[tuple[Kind, Way], Callable[[Meeting, Combination], Awaitable[None]]] = {
    (Kind.PING, Way.IN): ping_in,
    (Kind.MESSAGE, Way.IN): message_in,
    (Kind.DUPLICATE, Way.IN): duplicate_in,
    (Kind.STATUS, Way.IN): status_in,
    (Kind.ERROR, Way.IN): error_in,
    (Kind.PING, Way.OUT): ping_out,
    (Kind.MESSAGE, Way.OUT): message_out,
    (Kind.DUPLICATE, Way.OUT): duplicate_out,
    (Kind.STATUS, Way.OUT): status_out,
    (Kind.ERROR, Way.OUT): error_out,
}


@pytest.mark.parametrize("one", RUN, ids=lambda one: one.name)
async def test_the_two_adapters_do_together_what_the_matrix_says(meeting: Meeting, one: Combination) -> None:
    await PLAYS[one.kind, one.way](meeting, one)
