# SPDX-License-Identifier: EUPL-1.2

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from adapter.store import (
    Database,
    Direction,
    EventType,
    MessageEvent,
    MessageFilter,
    MessageKind,
    MessageState,
    NewMessage,
    StaleState,
    add_message_notice,
    events_for,
    find_message_events,
    get_message,
    insert_message,
    mark_event_processed,
    set_message_state,
)
from adapter.store.schema import message, message_event
from tests.store.conftest import only_sqlite
from tests.store.query_plans import plans

MakeMessage = Callable[..., NewMessage]


async def sent(db: Database, now: datetime, new_message: MakeMessage, **changes: Any) -> int:
    new = new_message(**({"direction": Direction.OUT} | changes))
    return await db.write(insert_message, new, None, now)


async def become(db: Database, now: datetime, row: int, state: MessageState) -> None:
    current = (await db.read(get_message, row)).state
    await db.write(set_message_state, row, current, state, None, now)


async def polled(db: Database, **changes: Any) -> list[MessageEvent]:
    asked: dict[str, Any] = {"authorities": None, "types": None, "filters": MessageFilter(), "limit": 100}
    return await db.read(find_message_events, **(asked | changes))


async def told(db: Database, **changes: Any) -> list[tuple[str, EventType]]:
    return [(found.message.message_id, found.type) for found in await polled(db, **changes)]


@pytest.mark.parametrize(
    ("reached", "type_"),
    [
        (MessageState.DELIVERED, EventType.DELIVERED),
        (MessageState.TRANSMITTED, EventType.DELIVERED),
        (MessageState.FAILED, EventType.FAILED),
        (MessageState.EXPIRED, EventType.EXPIRED),
    ],
)
async def test_what_became_of_a_sent_message_is_a_notice(
    db: Database, now: datetime, new_message: MakeMessage, reached: MessageState, type_: EventType
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.SENT)
    assert await polled(db) == []
    await become(db, now + timedelta(hours=1), row, reached)
    stored = await db.read(get_message, row)
    assert await polled(db) == [MessageEvent(stored, type_, now + timedelta(hours=1))]


@pytest.mark.parametrize("kind", [kind for kind in MessageKind if kind is not MessageKind.BUSINESS])
async def test_a_signal_is_no_notice(
    db: Database, now: datetime, new_message: MakeMessage, kind: MessageKind
) -> None:
    row = await sent(db, now, new_message, kind=kind)
    await become(db, now, row, MessageState.TRANSMITTED)
    await become(db, now, row, MessageState.FAILED)
    assert await polled(db) == []


async def test_a_received_message_that_was_handed_on_is_no_notice(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message, direction=Direction.IN)
    await become(db, now, row, MessageState.PROCESSED)
    assert await polled(db) == []


async def test_a_transition_that_is_refused_leaves_no_notice(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message)
    with pytest.raises(StaleState):
        await db.write(set_message_state, row, MessageState.SENT, MessageState.DELIVERED, None, now)
    assert await polled(db) == []


async def test_the_same_notice_is_written_once(db: Database, now: datetime, new_message: MakeMessage) -> None:
    row = await sent(db, now, new_message)
    assert await db.write(add_message_notice, row, EventType.FAILED, now)
    assert not await db.write(add_message_notice, row, EventType.FAILED, now + timedelta(hours=1))
    assert [found.at for found in await polled(db)] == [now]
    assert not await db.write(add_message_notice, 99, EventType.FAILED, now)


async def test_a_notice_that_was_processed_is_not_offered_again_nor_written_again(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.FAILED)
    assert await db.write(mark_event_processed, row, now)
    assert not await db.write(mark_event_processed, row, now)
    await become(db, now, row, MessageState.CREATED)
    await become(db, now, row, MessageState.FAILED)
    assert await polled(db) == []
    lines = await db.read(events_for, message_id="m1@dso")
    noted = [line.detail for line in lines if line.action == "message.notice_processed"]
    assert noted == [{"notice": "failed"}]


async def test_processing_one_notice_leaves_the_one_that_came_after_it(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.FAILED)
    await become(db, now, row, MessageState.DELIVERED)
    assert [type_ for _, type_ in await told(db)] == [EventType.FAILED, EventType.DELIVERED]
    assert await db.write(mark_event_processed, row, now)
    assert [type_ for _, type_ in await told(db)] == [EventType.DELIVERED]


async def test_a_message_without_a_notice_has_none_to_process(db: Database, now: datetime) -> None:
    assert not await db.write(mark_event_processed, 99, now)


async def test_notices_come_oldest_first_of_the_types_and_authorities_that_are_asked_for(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    for number, (authority, state) in enumerate(
        [
            ("stad", MessageState.FAILED),
            ("dorp", MessageState.DELIVERED),
            ("stad", MessageState.DELIVERED),
            ("dorp", MessageState.EXPIRED),
        ]
    ):
        row = await sent(db, now, new_message, authority=authority, message_id=f"m{number}")
        await become(db, now, row, state)
    ids = [message_id for message_id, _ in await told(db)]
    assert ids == ["m0", "m1", "m2", "m3"]
    assert [name for name, _ in await told(db, limit=3)] == ["m0", "m1", "m2"]
    assert [name for name, _ in await told(db, authorities=("stad", "other"))] == ["m0", "m2"]
    assert [name for name, _ in await told(db, types=(EventType.DELIVERED,))] == ["m1", "m2"]
    assert await told(db, authorities=("dorp",), types=(EventType.FAILED,)) == []
    assert await told(db, authorities=()) == []
    assert await told(db, types=()) == []


FACTS = {
    "cpa_id": "CPA-9",
    "from_party": "urn:osb:oin:1",
    "from_role": "VERZENDER",
    "to_party": "urn:osb:oin:2",
    "to_role": "ONTVANGER",
    "action": "bevestigen",
    "conversation_id": "c9",
    "message_id": "m9",
    "ref_to_message_id": "m8",
}


@pytest.mark.parametrize("name", FACTS)
async def test_each_part_of_a_filter_holds(
    db: Database, now: datetime, new_message: MakeMessage, name: str
) -> None:
    wanted = await sent(db, now, new_message, **FACTS)
    other = await sent(db, now, new_message, **(FACTS | {name: "other"}))
    for row in (wanted, other):
        await become(db, now, row, MessageState.DELIVERED)
    found = await polled(db, filters=MessageFilter(**{name: FACTS[name]}))
    assert [one.message.id for one in found] == [wanted]
    assert [one.message.id for one in await polled(db, filters=MessageFilter(**FACTS))] == [wanted]


@pytest.mark.parametrize(
    ("service", "service_type", "asked", "found"),
    [
        ("afleveren:1.1$1.0", "urn:osb:services", "urn:osb:services:afleveren:1.1$1.0", True),
        ("urn:osb:services:afleveren", None, "urn:osb:services:afleveren", True),
        ("afleveren", "urn:osb", "afleveren", False),
        ("afleveren", None, "urn:osb:afleveren", False),
    ],
)
async def test_a_service_is_asked_for_by_type_and_value_in_one_text(
    db: Database,
    now: datetime,
    new_message: MakeMessage,
    service: str,
    service_type: str | None,
    asked: str,
    found: bool,
) -> None:
    row = await sent(db, now, new_message, service=service, service_type=service_type)
    await become(db, now, row, MessageState.DELIVERED)
    assert bool(await polled(db, filters=MessageFilter(service=asked))) is found


async def test_the_notices_of_a_message_go_with_it(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.DELIVERED)
    await db.write(lambda conn: conn.execute(message.delete().where(message.c.id == row)).rowcount)
    assert await polled(db) == []
    assert await db.read(lambda conn: conn.execute(select(message_event)).all()) == []


@only_sqlite
@pytest.mark.parametrize("filters", [MessageFilter(), MessageFilter(cpa_id="CPA-1", action="x")])
async def test_polling_reads_only_what_is_unprocessed_and_sorts_nothing(
    db: Database, now: datetime, new_message: MakeMessage, filters: MessageFilter
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.DELIVERED)

    def poll(conn: Connection) -> object:
        return find_message_events(
            conn, authorities=("voorbeeldstad",), types=None, filters=filters, limit=10
        )

    found = await db.read(plans, poll)
    assert any(
        "message_event USING INDEX ix_message_event_unprocessed (authority=? AND type=?)" in s for s in found
    )
    assert not [step for step in found if re.match(r"SCAN (message|message_event)\b", step) or "TEMP" in step]


@only_sqlite
async def test_processing_a_notice_finds_it_by_its_message(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await sent(db, now, new_message)
    await become(db, now, row, MessageState.DELIVERED)
    found = await db.write(plans, lambda conn: mark_event_processed(conn, row, now))
    assert not [step for step in found if re.match(r"SCAN (message|message_event)\b", step)]


@only_sqlite
@pytest.mark.parametrize("name", ["message_id", "conversation_id", "ref_to_message_id"])
async def test_asking_for_a_few_messages_does_not_read_all_that_waits(
    db: Database, now: datetime, new_message: MakeMessage, name: str
) -> None:
    filters = MessageFilter(**{name: "m1"})

    def poll(conn: Connection) -> object:
        return find_message_events(
            conn, authorities=("voorbeeldstad",), types=None, filters=filters, limit=10
        )

    await become(db, now, await sent(db, now, new_message), MessageState.DELIVERED)
    found = await db.read(plans, poll)
    assert any(f"ix_message_{name} ({name}=?)" in step for step in found)
    assert any("message_event_1 (message=? AND type=?)" in step for step in found)
