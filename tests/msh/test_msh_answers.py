# SPDX-License-Identifier: EUPL-1.2

"""What the partner says of a message that was sent, in a session of its own or in the response."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiohttp import web
from lxml import etree

from adapter.ebms import EbmsError, ErrorCode, Party, Severity, SignalAction, build_message_error, serialize
from adapter.store import EventType, MessageState, StoredMessage
from tests.msh.conftest import Open, Serve
from tests.msh.house import House, Made, eb, other_party
from tests.msh.sending import (
    HOUR,
    acknowledgment,
    error,
    next_attempt,
    payloads,
    references_of,
    reply,
    say,
    sent,
    until_answered,
)


async def test_an_error_ends_a_message_and_its_codes_are_told(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.SECURITY_FAILURE, ErrorCode.MIME_PROBLEM)
    assert await say(waiting, made) == 204
    message = await waiting.until_state(message, MessageState.FAILED)
    assert message.reason == (
        "SecurityFailure /place/of/SecurityFailure: Message security checks failed; "
        "MimeProblem /place/of/MimeProblem: URI resolve error"
    )
    assert await waiting.told(message) == [EventType.FAILED]
    assert await waiting.jobs() == []
    assert waiting.lines("message.rejected")[0]["log_level"] == "error"
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    assert (await waiting.reload(message)).state is MessageState.FAILED


async def test_one_error_among_warnings_ends_a_message(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.UNKNOWN, ErrorCode.NOT_SUPPORTED, severity=Severity.WARNING)
    octets = made.envelope.replace(b'eb:severity="Warning"', b'eb:severity="Error"', 1)
    await say(waiting, replace(made, envelope=octets))
    await waiting.until_state(message, MessageState.FAILED)


async def test_a_warning_is_logged_and_the_message_waits_on(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.NOT_SUPPORTED, severity=Severity.WARNING)
    assert await say(waiting, made) == 204
    assert "NotSupported" in waiting.lines("message.warned_about")[0]["reason"]
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT
    assert await waiting.told(message) == []


async def test_a_warning_beside_an_acknowledgment_does_not_undo_it(waiting: House):
    message = await sent(waiting)
    header = reply(message, SignalAction.MESSAGE_ERROR, waiting)
    warning = EbmsError(ErrorCode.INCONSISTENT, severity=Severity.WARNING)
    listed = build_message_error(header, (warning,)).find(f".//{eb('ErrorList')}")
    assert listed is not None
    made = acknowledgment(waiting, message, before=lambda root: root[0].append(listed))
    assert await say(waiting, made) == 204
    await waiting.until_state(message, MessageState.DELIVERED)
    assert "Inconsistent" in waiting.lines("message.warned_about")[0]["reason"]


async def test_an_error_about_an_unknown_message_is_only_logged(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.UNKNOWN, ref_to_message_id="other@localhost")
    assert await say(waiting, made) == 204
    assert waiting.lines("signal.received")[0]["errors"] == ["Error: Unknown"]
    assert (await waiting.reload(message)).state is MessageState.SENT
    assert await waiting.count("message", "kind = 'error'") == 0


async def test_an_error_about_a_best_effort_message_comes_after_it_was_transmitted(waiting: House):
    """Without an acknowledgment to wait for, the error is the first that is heard of it."""
    message = await waiting.until_state(await waiting.submit("bes"), MessageState.TRANSMITTED)
    assert await say(waiting, error(waiting, message, ErrorCode.SECURITY_FAILURE)) == 204
    message = await waiting.until_state(message, MessageState.FAILED)
    assert message.reason is not None
    assert "SecurityFailure" in message.reason
    assert await waiting.told(message) == [EventType.DELIVERED, EventType.FAILED]


def _no_references(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, references=())


def _other_references(house: House, message: StoredMessage) -> Made:
    references = references_of(message)
    for value in references[-1].iter("{*}DigestValue"):
        value.text = "AAAA" + (value.text or "")[4:]
    return acknowledgment(house, message, references=references)


def _one_reference_less(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, references=references_of(message)[:-1])


def _unsigned(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, signed=False)


def _changed(house: House, message: StoredMessage) -> Made:
    made = acknowledgment(house, message)
    root = etree.fromstring(made.envelope)
    root.find(f".//{eb('Timestamp')}").text = "2026-01-01T00:00:00Z"
    return replace(made, envelope=etree.tostring(root))


def _of_a_stranger(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, signer=house.keys["stranger"])


FLAWS = {
    "unsigned": (_unsigned, "acknowledgment.refused", "is not signed"),
    "no references": (_no_references, "acknowledgment.refused", "not those of the message"),
    "other references": (_other_references, "acknowledgment.refused", "not those of the message"),
    "one reference less": (_one_reference_less, "acknowledgment.refused", "not those of the message"),
    "broken signature": (_changed, "message.refused", "SecurityFailure"),
    "signed by a stranger": (_of_a_stranger, "message.refused", "SecurityFailure"),
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_an_acknowledgment_that_does_not_hold_is_not_believed(flaw: str, waiting: House):
    """An alarm, no answer, and the message is sent again (ACK-10)."""
    make, action, said = FLAWS[flaw]
    message = await sent(waiting, "rms", *payloads()[:2])
    assert await say(waiting, make(waiting, message)) == 204
    (line,) = waiting.lines(action)
    assert line["log_level"] == "error"
    assert said in line["reason"]
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT
    assert await waiting.count("message") == 1
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    await waiting.until_state(message, MessageState.DELIVERED)


async def test_the_references_of_an_acknowledgment_may_come_in_any_order(waiting: House):
    message = await sent(waiting, "rms", *payloads())
    made = acknowledgment(waiting, message, references=references_of(message)[::-1])
    await say(waiting, made)
    await waiting.until_state(message, MessageState.DELIVERED)


async def test_an_acknowledgment_that_nobody_asked_for_is_not_believed(waiting: House):
    message = await waiting.until_state(await waiting.submit("be"), MessageState.TRANSMITTED)
    await say(waiting, acknowledgment(waiting, message, signed=False))
    assert "no acknowledgment was asked for" in waiting.lines("acknowledgment.refused")[0]["reason"]
    assert (await waiting.reload(message)).state is MessageState.TRANSMITTED


async def test_a_late_acknowledgment_corrects_what_was_given_up(waiting: House):
    message = await sent(waiting)
    waiting.pass_time(28 * HOUR)
    message = await waiting.until_state(message, MessageState.EXPIRED)
    await waiting.at_rest()
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    message = await waiting.until_state(message, MessageState.DELIVERED)
    assert message.reason == "acknowledged late"
    assert await waiting.told(message) == [EventType.EXPIRED, EventType.DELIVERED]
    assert waiting.lines("acknowledgment.late")[0]["log_level"] == "warning"


async def test_a_late_error_corrects_what_was_given_up(waiting: House):
    message = await sent(waiting)
    waiting.pass_time(28 * HOUR)
    message = await waiting.until_state(message, MessageState.EXPIRED)
    await say(waiting, error(waiting, message, ErrorCode.TIME_TO_LIVE_EXPIRED))
    message = await waiting.until_state(message, MessageState.FAILED)
    assert len(waiting.lines("message.rejected_late")) == 1


async def test_a_second_answer_changes_nothing(waiting: House):
    message = await sent(waiting)
    await say(waiting, acknowledgment(waiting, message))
    delivered = await waiting.until_state(message, MessageState.DELIVERED)
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    assert await say(waiting, error(waiting, message, ErrorCode.UNKNOWN)) == 204
    assert await waiting.reload(message) == delivered
    assert len(waiting.lines("acknowledgment.known")) == 1
    assert await waiting.told(message) == [EventType.DELIVERED]


async def test_an_acknowledgment_may_come_before_the_response(open_house: Open, serve: Serve):
    house = await open_house(dso=False)

    async def acknowledge_first(_: bytes) -> web.Response:
        assert await say(house, acknowledgment(house, message)) == 204
        await house.until_state(message, MessageState.DELIVERED)
        return web.Response(status=204)

    submitted = asyncio.Event()

    async def when_submitted(body: bytes) -> web.Response:
        await submitted.wait()
        return await acknowledge_first(body)

    partner = await serve(house, when_submitted)
    message = await house.submit("rms", b"<a/>")
    submitted.set()
    await house.until_state(message, MessageState.DELIVERED)
    await house.at_rest()
    assert len(partner.received) == 1
    assert await house.told(message) == [EventType.DELIVERED]


@pytest.mark.parametrize("who", ["neighbour", "stranger"])
async def test_who_is_not_the_partner_cannot_stop_retries(who: str, waiting: House):
    """Not even with an acknowledgment that the partner itself signed; nothing is told of the message."""
    message = await sent(waiting)
    assert await say(waiting, error(waiting, message, ErrorCode.UNKNOWN), who) == 403
    assert await say(waiting, acknowledgment(waiting, message), who) == 403
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT


async def test_a_partner_cannot_end_what_was_sent_under_the_agreement_of_another(waiting: House):
    message = await sent(waiting)
    neighbour = waiting.agreements["neighbour"]
    header = replace(
        reply(message, SignalAction.MESSAGE_ERROR, waiting),
        cpa_id=neighbour.cpa_id,
        sender=Party(neighbour.us.ids),
        receiver=Party(neighbour.them.ids),
    )
    made = Made(header, serialize(build_message_error(header, (EbmsError(ErrorCode.UNKNOWN),))), ())
    assert await say(waiting, made, "neighbour") == 204
    assert len(waiting.lines("signal.received")) == 1
    assert (await waiting.reload(message)).state is MessageState.SENT


# --- in the response


async def answered(house: House, serve: Serve, name: str, make: Callable[..., Made | bytes]) -> StoredMessage:
    """A message whose first attempt is answered with this in the response."""
    submitted: asyncio.Future[StoredMessage] = asyncio.get_running_loop().create_future()

    async def respond(_: bytes) -> web.Response:
        said = make(house, await submitted)
        body = said if isinstance(said, bytes) else said.envelope
        return web.Response(body=body, content_type="text/xml")

    await serve(house, respond)
    message = await house.submit(name, b"<a/>")
    submitted.set_result(message)
    return message


@pytest.mark.parametrize("name", ["sync", "rms"])
async def test_an_error_in_the_response_ends_a_message(name: str, open_house: Open, serve: Serve):
    """Also where it comes out of turn (pitfall 23)."""
    house = await open_house(dso=False)
    message = await answered(house, serve, name, lambda h, m: error(h, m, ErrorCode.SECURITY_FAILURE))
    message = await house.until_state(message, MessageState.FAILED)
    assert message.reason is not None
    assert "SecurityFailure" in message.reason
    await house.at_rest()


def _octets(octets: bytes) -> Callable[[House, StoredMessage], bytes]:
    return lambda *_: octets


RESPONSES: dict[str, tuple[Callable[..., Made | bytes], str]] = {
    "a page": (_octets(b"<html>Welkom</html>"), "warning"),
    "no XML": (_octets(b"OK"), "warning"),
    "about another message": (
        lambda h, m: acknowledgment(h, m, ref_to_message_id="other@localhost"),
        "warning",
    ),
    "under another agreement": (lambda h, m: acknowledgment(h, m, cpa_id="CPA-2"), "warning"),
    "of another party": (
        lambda h, m: acknowledgment(h, m, sender=Party(other_party("00000099000000002000"))),
        "warning",
    ),
    "the message itself": (lambda _, m: m.envelope, "warning"),
    "broken signature": (_changed, "error"),
}


@pytest.mark.parametrize("case", RESPONSES)
async def test_an_odd_response_changes_nothing(case: str, open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    make, level = RESPONSES[case]
    message = await until_answered(house, await answered(house, serve, "sync", make))
    assert message.state is MessageState.SENT
    (line,) = house.lines("response.odd")
    assert line["log_level"] == level


async def test_a_wrong_acknowledgment_in_the_response_is_not_believed(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    message = await until_answered(house, await answered(house, serve, "sync", _other_references))
    assert message.state is MessageState.SENT
    assert house.lines("acknowledgment.refused")[0]["log_level"] == "error"
