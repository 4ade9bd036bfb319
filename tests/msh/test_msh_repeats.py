# SPDX-License-Identifier: EUPL-1.2

"""What is received again gets the answer of the first time."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapter.store import MessageKind, find_messages
from tests.msh.bad_input import texts
from tests.msh.conftest import Open, close
from tests.msh.house import House, Part, errors_of, notification, wrap
from tests.msh.receiving import BINARY, accepted, acknowledgments


async def test_a_repeat_gets_the_same_acknowledgment_and_is_not_delivered(house: House):
    made = house.draft(parts=[Part(bytes(300_000))]).make()
    await accepted(house, made)
    assert (await house.send(made)).status == 204
    await house.answer(made, 2)
    first, second = await acknowledgments(house, made)
    assert first == second
    assert await house.deliveries() == 1
    assert await house.count("payload") == 1
    assert len(house.spooled()) == 1
    assert len(house.lines("message.duplicate")) == 1


async def test_a_repeat_in_another_wrapping_is_a_repeat(house: House):
    made = house.draft(parts=[BINARY]).make()
    await accepted(house, made)
    coded = [replace(BINARY, encoding="base64")]
    await house.send(made, wrap(made, parts=coded, boundary="other", root_at=1))
    await house.answer(made, 2)
    assert await house.deliveries() == 1


async def test_a_repeat_after_a_restart_gets_the_same_acknowledgment(open_house: Open):
    first = await open_house()
    made = first.draft().make()
    await accepted(first, made)
    await close(first)
    second = await open_house(dso=False)
    second.dso = first.dso
    await second.send(made)
    await second.answer(made, 2)
    octets = await acknowledgments(second, made)
    assert octets[0] == octets[1]
    assert await second.deliveries() == 1


@pytest.mark.parametrize("name", ["rms", "rm", "sync"])
async def test_five_at_the_same_time_are_one_message(name: str, house: House):
    made = house.draft(name, parts=[Part(bytes(100_000))]).make()
    house.announce(made)
    request = wrap(made)
    answers = await asyncio.gather(*(house.post(request) for _ in range(5)))
    assert await house.deliveries() == 1
    assert await house.received() == 1
    assert len(house.spooled()) == 1
    octets = set(await acknowledgments(house, made)) | {a.body for a in answers if a.body}
    assert len(octets) == 1
    stored = await house.db.read(find_messages, kind=MessageKind.ACKNOWLEDGMENT)
    assert [message.envelope for message in stored] == list(octets)


async def test_a_repeat_after_agreement_and_time_to_live_ended_is_still_answered(house: House):
    """PersistDuration is longer here than what is left of the agreement when the message first comes."""
    house.clock.shift = timedelta(days=60) - timedelta(hours=2)
    made = house.draft(header={"time_to_live": house.clock() + timedelta(minutes=2)}).make()
    await accepted(house, made)
    house.clock.shift += timedelta(hours=20)
    assert (await house.send(made)).status == 204
    await house.answer(made, 2)
    first, second = await acknowledgments(house, made)
    assert first == second
    fresh = house.draft().make()
    await house.send(fresh)
    assert errors_of((await house.answer(fresh)).envelope)[0][0] == "Inconsistent"
    assert await house.deliveries() == 1


async def test_a_repeat_in_the_margin_after_the_window_is_still_answered(house: House):
    """It is remembered a day longer than repeats may come, and so is its acknowledgment to be sent."""
    made = house.draft().make()
    await accepted(house, made)
    house.clock.shift = timedelta(days=2, hours=12)  # PersistDuration is two days
    await house.send(made)
    await house.answer(made, 2)
    assert house.lines("acknowledgment.expired") == []


@pytest.mark.parametrize("name", ["rms", "rm"])
async def test_the_message_id_of_another_message_is_no_repeat(name: str, house: House):
    made = house.draft(name).make()
    await accepted(house, made)
    other = house.draft(name, parts=[notification("2023073100049")], header={"message_id": made.id}).make()
    await house.send(other)
    signal = await house.answer(made, 2)
    assert errors_of(signal.envelope) == [
        ("ValueNotRecognized", "/SOAP:Envelope/SOAP:Header/eb:MessageHeader/eb:MessageData/eb:MessageId")
    ]
    assert await house.deliveries() == 1
    await house.send(made)
    assert (await house.answer(made, 3)).action == "Acknowledgment"


async def test_a_repeat_of_a_refused_message_gets_the_same_error(house: House):
    made = house.draft(header={"time_to_live": house.clock() - timedelta(hours=1)}).make()
    for number in (1, 2):
        await house.send(made)
        await house.answer(made, number)
    first, second = await acknowledgments(house, made)
    assert first == second
    assert await house.count("message", "direction = 'out'") == 1


async def test_a_repeat_of_a_message_refused_for_its_signature_gets_the_same_error(house: House):
    made = house.draft(after=texts("Timestamp", "2026-01-01T00:00:00Z")).make()
    for number in (1, 2):
        await house.send(made)
        await house.answer(made, number)
    first, second = await acknowledgments(house, made)
    assert first == second


async def test_a_forgery_does_not_occupy_the_message_id_of_the_real_one(house: House):
    made = house.draft().make()
    forged = replace(made, envelope=made.envelope.replace(b"Z</eb:Timestamp>", b"1Z</eb:Timestamp>", 1))
    assert forged.envelope != made.envelope
    await house.send(forged)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    await house.send(made)
    assert (await house.answer(made, 2)).action == "Acknowledgment"
    assert await house.deliveries() == 1


async def test_two_best_effort_messages_that_differ_in_the_header_get_an_error_each(house: House):
    """The same payload in the same body, refused twice: an error about each, and about the repeat of one."""
    late = {"time_to_live": house.clock() - timedelta(hours=1)}
    part = notification()
    first = house.draft("be", parts=[part], header=late).make()
    second = house.draft("be", parts=[part], header=late).make()
    for made in (first, second):
        await house.send(made)
        assert errors_of((await house.answer(made)).envelope)[0][0] == "TimeToLiveExpired"
    await house.send(first)
    again = await house.answer(first, 2)
    assert again.envelope == (await house.answer(first)).envelope
