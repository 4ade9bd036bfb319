# SPDX-License-Identifier: EUPL-1.2

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from adapter.store import (
    Accepted,
    Conflict,
    Database,
    Direction,
    Duplicate,
    JobState,
    MessageKind,
    MessageState,
    NewJob,
    NewMessage,
    Reception,
    Refusal,
    StaleState,
    accept,
    claim_jobs,
    count_jobs,
    events_for,
    find_messages,
    find_outgoing,
    find_received,
    find_refused,
    get_message,
    insert_message,
    jobs_for,
    message_payloads,
    note_attempt,
    park_job,
    purge_received,
    refuse,
    resend_response,
    set_message_state,
)

MakeReception = Callable[..., Reception]
MakeMessage = Callable[..., NewMessage]


async def accepted(db: Database, reception: Reception, now: datetime) -> Accepted:
    outcome = await db.write(accept, reception, now)
    assert isinstance(outcome, Accepted)
    return outcome


async def actions(db: Database, message_id: str) -> list[str]:
    return [event.action for event in await db.read(events_for, message_id=message_id)]


async def test_a_message_is_stored_with_its_payloads_response_and_job(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    done = await accepted(db, reception(), now)
    stored = await db.read(get_message, done.message)
    assert (stored.state, stored.message_id, stored.created_at) == (MessageState.RECEIVED, "m1@dso", now)
    assert stored.http_headers == (("SOAPAction", '"ebXML"'),)
    (payload,) = await db.read(message_payloads, done.message)
    assert (payload.content.inline, payload.content_id) == (b"hi", "p1")
    assert done.response is not None
    response = await db.read(get_message, done.response)
    assert (response.envelope, response.state) == (b"<Acknowledgment/>", MessageState.TRANSMITTED)
    (job,) = await db.read(jobs_for, "route", done.message)
    assert (job.state, job.lane, job.authority) == (JobState.READY, "dso", "voorbeeldstad")
    assert await actions(db, "m1@dso") == ["message.received"]
    assert await actions(db, "ack-m1@dso") == ["acknowledgment.stored"]


async def test_a_response_with_a_job_waits_to_be_sent(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    done = await accepted(db, reception(response_job=NewJob("send", "dso")), now)
    assert done.response is not None
    assert (await db.read(get_message, done.response)).state is MessageState.CREATED
    assert len(await db.read(jobs_for, "send", done.response)) == 1


async def test_a_duplicate_gives_the_stored_response_and_does_nothing_else(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    first = await accepted(db, reception(), now)
    again = await db.write(accept, reception(), now)
    assert isinstance(again, Duplicate)
    assert again.message == first.message
    assert again.response is not None
    assert again.response.id == first.response
    assert len(await db.read(find_messages)) == 2
    assert await db.read(count_jobs) == {("route", JobState.READY): 1}
    assert (await actions(db, "m1@dso"))[-1] == "message.duplicate"


async def test_the_same_id_with_other_content_is_a_conflict(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    await accepted(db, reception(), now)
    assert await db.write(accept, reception(content_digest="d2"), now) == Conflict("m1@dso")
    assert len(await db.read(find_messages)) == 2


@pytest.mark.parametrize(
    "change", [{"authority": "x"}, {"cpa_id": "x"}, {"from_party": "x"}, {"message_id": "x"}]
)
async def test_each_part_of_the_key_makes_another_message(
    db: Database, reception: MakeReception, now: datetime, change: dict[str, str]
) -> None:
    first = reception()
    await accepted(db, first, now)
    await accepted(db, dataclasses.replace(first, message=dataclasses.replace(first.message, **change)), now)


async def test_without_duplicate_elimination_every_message_is_new(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    ids = {(await accepted(db, reception(eliminate_duplicates=False), now)).message for _ in range(3)}
    assert len(ids) == 3
    assert await db.read(find_received, "voorbeeldstad", "CPA-1", "dso", "m1@dso") is None


async def test_an_id_is_remembered_until_it_is_purged(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    await accepted(db, reception(keep_until=now), now)
    later = now + timedelta(days=1)
    assert isinstance(await db.write(accept, reception(), later), Duplicate)
    assert await db.write(purge_received, later) == 1
    assert isinstance(await db.write(accept, reception(), later), Accepted)


async def test_a_received_id_is_found(db: Database, reception: MakeReception, now: datetime) -> None:
    done = await accepted(db, reception(), now)
    found = await db.read(find_received, "voorbeeldstad", "CPA-1", "dso", "m1@dso")
    assert found is not None
    assert (found.message, found.response, found.content_digest) == (done.message, done.response, "d1")


def refusal_of(reception: Reception, *, under_message_id: bool, digest: str = "d1") -> Refusal:
    assert reception.response is not None
    error = dataclasses.replace(reception.response, kind=MessageKind.ERROR, envelope=b"<ErrorList/>")
    return Refusal(
        message=reception.message,
        response=error,
        under_message_id=under_message_id,
        content_digest=digest,
        keep_until=reception.keep_until,
        reason="SecurityFailure",
    )


async def test_a_refusal_keeps_evidence_and_answers_duplicates(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    response = await db.write(refuse, refusal_of(reception(), under_message_id=True), now)
    (evidence,) = await db.read(find_messages, state=MessageState.REFUSED)
    assert evidence.reason == "SecurityFailure"
    again = await db.write(accept, reception(), now)
    assert isinstance(again, Duplicate)
    assert again.response is not None
    assert (again.response.id, again.response.envelope) == (response, b"<ErrorList/>")
    assert await actions(db, "m1@dso") == ["message.refused", "message.duplicate"]
    assert await db.read(find_refused, "voorbeeldstad", "CPA-1", "d1") is None


async def test_a_refusal_before_the_signature_held_does_not_take_the_message_id(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    response = await db.write(refuse, refusal_of(reception(), under_message_id=False, digest="body"), now)
    found = await db.read(find_refused, "voorbeeldstad", "CPA-1", "body")
    assert found is not None
    assert found.id == response
    assert isinstance(await db.write(accept, reception(), now), Accepted)


@pytest.mark.parametrize("under_message_id", [True, False])
async def test_the_first_answer_to_a_refused_message_stands(
    db: Database, reception: MakeReception, now: datetime, under_message_id: bool
) -> None:
    refusal = refusal_of(reception(), under_message_id=under_message_id)
    first = await db.write(refuse, refusal, now)
    assert await db.write(refuse, refusal, now) == first
    assert len(await db.read(find_messages)) == 2


async def test_a_refused_message_under_a_taken_id_leaves_the_first_alone(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    done = await accepted(db, reception(), now)
    other = await db.write(refuse, refusal_of(reception(), under_message_id=True, digest="d2"), now)
    assert other not in {None, done.response}
    found = await db.read(find_received, "voorbeeldstad", "CPA-1", "dso", "m1@dso")
    assert found is not None
    assert found.response == done.response


async def test_resending_makes_a_job_when_there_is_none(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    done = await accepted(db, reception(), now)
    assert done.response is not None
    await db.write(resend_response, done.response, NewJob("send", "dso"), now)
    assert len(await db.read(jobs_for, "send", done.response)) == 1
    assert (await db.read(get_message, done.response)).state is MessageState.CREATED


async def test_resending_arms_the_job_that_waits_or_is_parked(
    db: Database, reception: MakeReception, now: datetime
) -> None:
    later = now + timedelta(hours=1)
    done = await accepted(db, reception(response_job=NewJob("send", "dso", not_before=later)), now)
    assert done.response is not None
    await db.write(resend_response, done.response, NewJob("send", "dso"), now)
    (job,) = await db.write(claim_jobs, "w", now, timedelta(seconds=9), 1, (), ("send",))
    await db.write(resend_response, done.response, NewJob("send", "dso"), now)
    assert (await db.read(jobs_for, "send", done.response))[0].state is JobState.RUNNING
    await db.write(park_job, job, "no answer", now)
    await db.write(resend_response, done.response, NewJob("send", "dso"), now)
    (again,) = await db.read(jobs_for, "send", done.response)
    assert (again.state, again.not_before, again.attempts) == (JobState.READY, now, 0)


async def test_a_message_moves_only_from_the_expected_state(
    db: Database, new_message: MakeMessage, now: datetime
) -> None:
    row = await db.write(insert_message, new_message(direction=Direction.OUT), NewJob("send", "dso"), now)
    await db.write(set_message_state, row, MessageState.CREATED, MessageState.SENT, None, now)
    with pytest.raises(StaleState, match="is not created"):
        await db.write(set_message_state, row, MessageState.CREATED, MessageState.FAILED, "late", now)
    both = (MessageState.SENT, MessageState.FAILED)
    await db.write(set_message_state, row, both, MessageState.DELIVERED, None, now)
    assert (await db.read(get_message, row)).state is MessageState.DELIVERED
    assert await actions(db, "m1@dso") == ["message.stored", "message.sent", "message.delivered"]


async def test_attempts_are_counted(db: Database, new_message: MakeMessage, now: datetime) -> None:
    row = await db.write(insert_message, new_message(direction=Direction.OUT), None, now)
    await db.write(note_attempt, row, now)
    await db.write(note_attempt, row, now)
    assert (await db.read(get_message, row)).attempts == 2


async def test_an_outgoing_message_is_found_by_its_id(
    db: Database, new_message: MakeMessage, now: datetime
) -> None:
    await db.write(insert_message, new_message(), None, now)
    row = await db.write(insert_message, new_message(direction=Direction.OUT), None, now)
    found = await db.read(find_outgoing, "CPA-1", "m1@dso")
    assert found is not None
    assert found.id == row
    assert await db.read(find_outgoing, "CPA-1", "m1@dso", MessageKind.PING) is None
    assert await db.read(find_outgoing, "CPA-2", "m1@dso") is None


async def test_messages_are_found_newest_first_page_by_page(
    db: Database, new_message: MakeMessage, now: datetime
) -> None:
    rows = [await db.write(insert_message, new_message(), None, now) for _ in range(3)]
    first = await db.read(find_messages, conversation_id="c1", limit=2)
    assert [message.id for message in first] == [rows[2], rows[1]]
    assert [message.id for message in await db.read(find_messages, before=rows[1])] == [rows[0]]


async def test_a_moment_without_a_time_zone_is_refused(
    db: Database, new_message: MakeMessage, now: datetime
) -> None:
    with pytest.raises(Exception, match="time zone"):
        await db.write(insert_message, new_message(), None, now.replace(tzinfo=None))
