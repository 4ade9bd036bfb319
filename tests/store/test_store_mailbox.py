# SPDX-License-Identifier: EUPL-1.2

import re
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import update as sql_update

from adapter.store import (
    Database,
    DeliveryState,
    EventType,
    Flow,
    MessageFilter,
    MessageState,
    NewDelivery,
    NewMessage,
    Origin,
    StaleState,
    complete_delivery,
    create_delivery,
    events_for,
    find_message_events,
    get_delivery,
    get_message,
    insert_message,
    is_in_mailbox,
    mailbox_messages,
    mark_mailbox_processed,
    skip_delivery,
)
from adapter.store.schema import delivery
from tests.store.conftest import only_sqlite
from tests.store.query_plans import plans

MakeMessage = Callable[..., NewMessage]
POST = ("voorbeeldstad", "post")


async def delivered(
    db: Database,
    now: datetime,
    message: int | None,
    *,
    keep: bool = True,
    box: tuple[str, str] = POST,
    **changes: Any,
) -> int:
    """A delivery that ended: kept in a mailbox, or taken by the other side."""
    values: dict[str, Any] = {"flow": Flow.MESSAGE, "origin": Origin.NOTIFICATION, "message": message}
    new = NewDelivery(authority=box[0], sink=box[1], name="m1", **(values | changes))
    row = await db.write(create_delivery, new, None, now)
    await db.write(complete_delivery, row, DeliveryState.READY, now, keep=keep)
    return row


async def received(db: Database, now: datetime, new_message: MakeMessage, **changes: Any) -> int:
    return await db.write(insert_message, new_message(**changes), None, now)


async def waiting(
    db: Database,
    boxes: Collection[tuple[str, str]] = (POST,),
    wanted: MessageFilter | None = None,
    limit: int = 100,
) -> list[int]:
    found = await db.read(mailbox_messages, boxes, wanted or MessageFilter(), limit)
    return [message.id for message in found]


async def state_of(db: Database, message: int) -> MessageState:
    return (await db.read(get_message, message)).state


async def actions(db: Database, message_id: str = "m1@dso") -> list[str]:
    return [event.action for event in await db.read(events_for, message_id=message_id)]


async def test_a_message_that_is_kept_waits_until_it_was_processed(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    row = await delivered(db, now, message)
    assert await waiting(db) == [message]
    assert await state_of(db, message) is MessageState.RECEIVED
    stored = await db.read(get_delivery, row)
    assert (stored.state, stored.processed_at) == (DeliveryState.DELIVERED, None)
    later = now + timedelta(hours=1)
    assert await db.write(mark_mailbox_processed, message, later)
    assert await waiting(db) == []
    assert await state_of(db, message) is MessageState.PROCESSED
    assert (await db.read(get_delivery, row)).processed_at == later
    assert await actions(db) == [
        "message.received",
        "delivery.created",
        "delivery.kept",
        "delivery.processed",
        "message.processed",
    ]


async def test_keeping_a_message_tells_applications_of_it(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    await delivered(db, now, message)
    (found,) = await db.read(
        find_message_events,
        authorities=("voorbeeldstad",),
        types=(EventType.RECEIVED,),
        filters=MessageFilter(),
        limit=10,
    )
    assert (found.message.id, found.type, found.at) == (message, EventType.RECEIVED, now)


async def test_what_the_other_side_took_is_processed_and_in_no_mailbox(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    row = await delivered(db, now, message, keep=False)
    assert await state_of(db, message) is MessageState.PROCESSED
    assert (await db.read(get_delivery, row)).processed_at == now
    # Not even when this sink is made a mailbox later.
    assert await waiting(db) == []
    assert not await db.write(mark_mailbox_processed, message, now)
    assert await actions(db) == [
        "message.received",
        "delivery.created",
        "delivery.delivered",
        "message.processed",
    ]


async def test_processing_twice_changes_nothing(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    row = await delivered(db, now, message)
    assert await db.write(mark_mailbox_processed, message, now)
    assert not await db.write(mark_mailbox_processed, message, now + timedelta(hours=1))
    assert (await db.read(get_delivery, row)).processed_at == now
    assert (await actions(db)).count("delivery.processed") == 1


async def test_a_message_that_is_not_in_a_mailbox_yet_cannot_be_processed(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    new = NewDelivery(
        authority=POST[0],
        sink=POST[1],
        flow=Flow.MESSAGE,
        origin=Origin.NOTIFICATION,
        message=message,
        name="m1",
    )
    await db.write(create_delivery, new, None, now)
    assert not await db.write(mark_mailbox_processed, message, now)
    assert await waiting(db) == []
    assert await state_of(db, message) is MessageState.RECEIVED


async def test_mailboxes_are_apart_by_authority_and_sink(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    boxes = [POST, ("voorbeeldstad", "other"), ("voorbeelddorp", "post")]
    rows = []
    for authority, sink in boxes:
        rows.append(await received(db, now, new_message, authority=authority))
        await delivered(db, now, rows[-1], box=(authority, sink))
    for box, row in zip(boxes, rows, strict=True):
        assert await waiting(db, (box,)) == [row]
        assert await db.read(is_in_mailbox, (box,), row)
        assert not await db.read(is_in_mailbox, set(boxes) - {box}, row)
    assert await waiting(db, boxes) == rows
    assert await waiting(db, ()) == []
    await db.write(mark_mailbox_processed, rows[0], now)
    assert not await db.read(is_in_mailbox, boxes, rows[0])


async def test_messages_come_oldest_first_over_all_mailboxes_and_at_most_so_many(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    rows = []
    for number in range(6):
        rows.append(await received(db, now, new_message, message_id=f"m{number}"))
        await delivered(db, now, rows[-1], box=("voorbeeldstad", "ab"[number % 2]))
    both = (("voorbeeldstad", "b"), ("voorbeeldstad", "a"))
    assert await waiting(db, both) == rows
    assert await waiting(db, both, limit=3) == rows[:3]
    assert await waiting(db, both, MessageFilter(message_id="m4")) == [rows[4]]
    assert await waiting(db, both, MessageFilter(message_id="m4", action="other")) == []


async def test_a_message_that_was_put_in_twice_is_one_message(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    message = await received(db, now, new_message)
    await delivered(db, now, message)
    await delivered(db, now, message, origin=Origin.OPERATOR)
    assert await waiting(db) == [message]
    assert await db.write(mark_mailbox_processed, message, now)
    assert await waiting(db) == []


@pytest.mark.parametrize("flow", Flow)
async def test_without_a_message_of_its_own_a_delivery_cannot_be_kept(
    db: Database, now: datetime, new_message: MakeMessage, flow: Flow
) -> None:
    message = await received(db, now, new_message) if flow is Flow.STAM else None
    with pytest.raises(StaleState, match="nothing to keep"):
        await delivered(db, now, message, flow=flow)
    (row,) = await db.read(lambda conn: [row.id for row in conn.execute(delivery.select())])
    assert (await db.read(get_delivery, row)).state is not DeliveryState.DELIVERED


@pytest.mark.parametrize("keep", [True, False])
async def test_a_delivery_that_was_skipped_does_not_end_otherwise(
    db: Database, now: datetime, new_message: MakeMessage, keep: bool
) -> None:
    message = await received(db, now, new_message)
    new = NewDelivery(
        authority=POST[0],
        sink=POST[1],
        flow=Flow.MESSAGE,
        origin=Origin.NOTIFICATION,
        message=message,
        name="m1",
    )
    row = await db.write(create_delivery, new, None, now)
    await db.write(skip_delivery, row, "operator", now)
    with pytest.raises(StaleState, match="is not ready"):
        await db.write(complete_delivery, row, DeliveryState.READY, now, keep=keep)
    assert await waiting(db) == []
    assert await state_of(db, message) is MessageState.RECEIVED


async def test_a_delivery_ends_when_its_message_is_gone(db: Database, now: datetime) -> None:
    row = await delivered(db, now, None, keep=False)
    assert (await db.read(get_delivery, row)).processed_at == now


async def test_a_message_that_retention_removed_is_not_offered(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    row = await delivered(db, now, await received(db, now, new_message))
    forget = sql_update(delivery).where(delivery.c.id == row).values(message=None)
    await db.write(lambda conn: conn.execute(forget).rowcount)
    assert await waiting(db) == []


@only_sqlite
@pytest.mark.parametrize("wanted", [MessageFilter(), MessageFilter(cpa_id="CPA-1", action="x")])
async def test_polling_a_mailbox_reads_only_what_waits_there_and_sorts_nothing(
    db: Database, now: datetime, new_message: MakeMessage, wanted: MessageFilter
) -> None:
    message = await received(db, now, new_message)
    await delivered(db, now, message)
    found = await db.read(plans, lambda conn: mailbox_messages(conn, (POST,), wanted, 10))
    index = "INDEX ix_delivery_unprocessed (authority=? AND sink=? AND flow=? AND state=?)"
    assert any(index in step for step in found)
    assert not [step for step in found if re.match(r"SCAN (message|delivery)\b", step) or "TEMP" in step]


@only_sqlite
@pytest.mark.parametrize("ask", [mark_mailbox_processed, is_in_mailbox], ids=lambda ask: ask.__name__)
async def test_one_message_of_a_mailbox_is_found_by_its_index(
    db: Database, now: datetime, new_message: MakeMessage, ask: Callable[..., bool]
) -> None:
    message = await received(db, now, new_message)
    await delivered(db, now, message)

    def run(conn: Connection) -> object:
        return ask(conn, message, now) if ask is mark_mailbox_processed else ask(conn, (POST,), message)

    found = await db.write(plans, run)
    assert not [step for step in found if re.match(r"SCAN (message|delivery)\b", step)]


@only_sqlite
@pytest.mark.parametrize("name", ["message_id", "conversation_id", "ref_to_message_id"])
async def test_asking_a_mailbox_for_a_few_messages_does_not_read_all_that_waits(
    db: Database, name: str
) -> None:
    wanted = MessageFilter(**{name: "m1"})
    found = await db.read(plans, lambda conn: mailbox_messages(conn, (POST,), wanted, 10))
    assert any(f"ix_message_{name} ({name}=?)" in step for step in found)
    assert any("ix_delivery_message (message=?)" in step for step in found)
