# SPDX-License-Identifier: EUPL-1.2

"""What became of a message: asked by the partner, and asked of it (EB 7)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from lxml import etree

from adapter.ebms import ErrorCode, Severity, SignalAction, StatusResponse
from adapter.msh import new_status_request, send_job
from adapter.store import MessageKind, MessageState, StoredMessage, find_messages, get_message, insert_message
from tests.msh.conftest import Open, Serve
from tests.msh.house import Draft, House, Made, eb, envelope_of, notification
from tests.msh.sending import error, say


def status_request(house: House, asked: str, name: str = "rms", **header: Any) -> Made:
    def ask(root: etree._Element) -> None:
        request = etree.SubElement(root[1], eb("StatusRequest"), {eb("version"): "2.0"})
        etree.SubElement(request, eb("RefToMessageId")).text = asked

    return house.signal("StatusRequest", name, ask, **header)


async def status_of(house: House, asked: str, name: str = "rms") -> StatusResponse:
    """What the adapter says of a message; synchronous or not, as agreed."""
    made = status_request(house, asked, name)
    response = await house.send(made)
    if name == "sync":
        assert response.status == 200
        octets = response.body
    else:
        assert (response.status, response.body) == (204, b"")
        octets = (await house.answer(made)).envelope
    answer = envelope_of(octets)
    assert answer.signal is SignalAction.STATUS_RESPONSE
    assert answer.header.ref_to_message_id == made.id
    assert answer.header.conversation_id == made.header.conversation_id
    assert answer.header.sender.party_ids == made.header.receiver.party_ids
    assert answer.status_response is not None
    assert answer.status_response.ref_to_message_id == asked
    return answer.status_response


# --- asked by the partner


@pytest.mark.parametrize("name", ["rms", "be", "sync"])
async def test_a_message_that_was_delivered_is_processed(name: str, house: House):
    made = house.draft(name).make()
    before = house.clock()
    await house.send(made)
    await house.deliveries()
    status = await status_of(house, made.id, name)
    assert status.status == "Processed"
    assert status.timestamp is not None
    assert before - timedelta(milliseconds=1) <= status.timestamp <= house.clock()


async def test_a_message_that_waits_for_its_sink_is_received(open_house: Open):
    house = await open_house()
    (house.state.parent / "rms").rmdir()
    made = house.draft().make()
    await house.send(made)
    status = await status_of(house, made.id)
    assert (status.status, status.timestamp is not None) == ("Received", True)


@pytest.mark.parametrize("name", ["rms", "sync"])
async def test_an_unknown_message_is_not_recognized(name: str, house: House):
    status = await status_of(house, "nobody@knows", name)
    assert (status.status, status.timestamp) == ("NotRecognized", None)


async def test_a_message_under_another_agreement_is_not_recognized(house: House):
    """Of the same authority and of another, of the same partner and of another; nor what we sent ourselves."""
    other = Draft(house.agreements["neighbour"], house.keys["neighbour"]).make()
    assert (await house.send(other, keys="neighbour")).status == 204
    mine = house.draft("be").make()
    await house.send(mine)
    ours = await house.until_state(await house.submit("rms", b"<a/>"), MessageState.DELIVERED)
    for asked in (other.id, mine.id, ours.message_id):
        status = await status_of(house, asked)
        assert (status.status, status.timestamp) == ("NotRecognized", None)


async def test_a_refused_message_was_received(house: House):
    made = house.draft(header={"action": "other"}).make()
    await house.send(made)
    status = await status_of(house, made.id)
    assert (status.status, status.timestamp is not None) == ("Received", True)


async def test_a_message_that_was_accepted_after_a_broken_copy_is_processed(house: House):
    """Nobody can occupy a MessageId with a message whose signature does not hold."""
    made = house.draft().make()
    broken = replace(made, envelope=made.envelope.replace(b"</eb:Timestamp>", b"1</eb:Timestamp>"))
    await house.send(broken)
    await house.send(made)
    await house.send(replace(made, parts=(replace(notification("9"), content_id=made.parts[0].content_id),)))
    await house.deliveries()
    assert (await status_of(house, made.id)).status == "Processed"


async def test_a_status_is_not_told_to_another(house: House):
    made = house.draft().make()
    await house.send(made)
    asked = status_request(house, made.id)
    response = await house.send(asked, keys="neighbour")
    assert (response.status, response.body) == (403, b"")


# --- asked of the partner


async def ask(house: House, asked: str, name: str = "rms", **options: Any) -> StoredMessage:
    known = (await house.authorities()).find_agreement(house.agreements[name].cpa_id)
    assert known is not None
    request = new_status_request(known, asked, house.clock(), **options)
    row_id = await house.db.write(insert_message, request, send_job(known), house.clock())
    return await house.db.read(get_message, row_id)


@pytest.mark.parametrize("name", ["rms", "be", "sync"])
async def test_the_partner_answers_what_became_of_our_message(name: str, house: House):
    ended = MessageState.TRANSMITTED if name == "be" else MessageState.DELIVERED
    message = await house.until_state(await house.submit(name, b"<a/>"), ended)
    request = await house.until_state(await ask(house, message.message_id, name), MessageState.ANSWERED)
    assert request.reason == "Processed"
    unknown = await house.until_state(await ask(house, "nobody@knows", name), MessageState.ANSWERED)
    assert unknown.reason == "NotRecognized"
    assert envelope_of(request.envelope).status_request == message.message_id
    assert await house.told(request) == []


async def test_a_status_that_nobody_answers_expires(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    partner = await serve(house)
    request = await house.until_state(await ask(house, "a@b"), MessageState.SENT)
    assert envelope_of(partner.received[0][1]).status_request == "a@b"

    async def waits() -> bool:
        return [job.state for job in await house.jobs()] == ["ready"]

    await house.until(waits)
    house.pass_time(timedelta(seconds=61))
    request = await house.until_state(request, MessageState.EXPIRED)
    await house.at_rest()
    assert len(partner.received) == 1
    assert await house.told(request) == []


async def test_a_status_request_that_cannot_be_sent_fails_at_once(open_house: Open):
    house = await open_house(dso=False)
    request = await house.until_state(await ask(house, "a@b"), MessageState.FAILED)
    assert request.reason is not None
    assert "localhost" in request.reason


@pytest.mark.parametrize("synchronous", [True, False])
async def test_an_error_about_a_status_request_ends_it(synchronous: bool, open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    asked: asyncio.Future[StoredMessage] = asyncio.get_running_loop().create_future()

    async def refuse(_: bytes) -> web.Response:
        made = error(house, await asked, ErrorCode.NOT_SUPPORTED)
        if synchronous:
            return web.Response(body=made.envelope, content_type="text/xml")
        assert await say(house, made) == 204
        return web.Response(status=204)

    await serve(house, refuse)
    request = await ask(house, "a@b", "sync" if synchronous else "rms")
    asked.set_result(request)
    request = await house.until_state(request, MessageState.FAILED)
    assert request.reason == "the partner answered NotSupported"


async def test_a_warning_about_a_status_request_does_not_end_it(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    await serve(house)
    request = await house.until_state(await ask(house, "a@b"), MessageState.SENT)
    made = error(house, request, ErrorCode.NOT_SUPPORTED, severity=Severity.WARNING)
    assert await say(house, made) == 204
    assert (await house.reload(request)).state is MessageState.SENT
    assert len(house.lines("message.warned_about")) == 1


async def test_only_a_response_to_our_request_answers_it(house: House):
    """A StatusResponse for a Ping, or for nothing, is only logged."""

    def answer(root: etree._Element) -> None:
        attributes = {eb("version"): "2.0", eb("messageStatus"): "Processed"}
        response = etree.SubElement(root[1], eb("StatusResponse"), attributes)
        etree.SubElement(response, eb("RefToMessageId")).text = "a@b"

    message = await house.until_state(await house.submit("rms"), MessageState.DELIVERED)
    for reference in (message.message_id, "nobody@knows"):
        made = house.signal("StatusResponse", edit=answer, ref_to_message_id=reference)
        assert (await house.send(made)).status == 204
    assert len(house.lines("signal.unexpected")) == 2
    assert (await house.reload(message)).state is MessageState.DELIVERED
    assert await house.db.read(find_messages, kind=MessageKind.STATUS_REQUEST) == []
