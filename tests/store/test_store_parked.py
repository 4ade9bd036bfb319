# SPDX-License-Identifier: EUPL-1.2

"""What waits for an operator: listed over all kinds, tried again once, given up for a reason."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from adapter.store import (
    Database,
    DeliveryState,
    Direction,
    Flow,
    JobKind,
    JobState,
    MessageKind,
    MessageState,
    NewDelivery,
    NewJob,
    NewMessage,
    Origin,
    ParkedItem,
    add_job,
    claim_jobs,
    count_parked,
    create_delivery,
    events_for,
    find_jobs,
    get_delivery,
    get_message,
    insert_message,
    list_parked,
    park_job,
    retry_parked,
    set_delivery_state,
    skip_parked,
)
from adapter.store.schema import job
from tests.store.conftest import on_store, only_sqlite
from tests.store.query_plans import plans

STAD = "voorbeeldstad"
HOUR = timedelta(hours=1)
MakeMessage = Callable[..., NewMessage]


async def park(db: Database, now: datetime, reason: str = "no route") -> None:
    """Park everything that waits."""
    kinds = (JobKind.SEND, JobKind.ROUTE, JobKind.COLLECT, JobKind.DELIVER, JobKind.RECONCILE)
    for claimed in await db.write(claim_jobs, "worker", now, timedelta(minutes=1), 100, (), kinds):
        await db.write(park_job, claimed, reason, now)


async def items(db: Database, *authorities: str) -> tuple[ParkedItem, ...]:
    return (await db.read(list_parked, authorities or (STAD,))).rows


@pytest.fixture
async def one_of_each(db: Database, now: datetime, new_message: MakeMessage) -> dict[str, ParkedItem]:
    """A message that cannot be routed, one that cannot be sent, a verzoek that cannot be collected and one that cannot
    be delivered, and a search that failed; by the kind of their work.
    """
    await db.write(insert_message, new_message(message_id="in@dso"), NewJob(JobKind.ROUTE, "route"), now)
    ack = new_message(message_id="ack@us", direction=Direction.OUT, kind=MessageKind.ACKNOWLEDGMENT)
    await db.write(insert_message, ack, NewJob(JobKind.SEND, "partner"), now)
    for kind, number in ((JobKind.COLLECT, "1001"), (JobKind.DELIVER, "1002")):
        new = NewDelivery(
            authority=STAD, sink="archief", flow=Flow.STAM, origin=Origin.OPERATOR, verzoeknummer=number
        )
        row = await db.write(create_delivery, new, NewJob(kind, "lane"), now)
        if kind == JobKind.DELIVER:
            await db.write(set_delivery_state, row, DeliveryState.COLLECTING, DeliveryState.READY, None, now)
    await db.write(add_job, NewJob(JobKind.RECONCILE, "dso"), STAD, 0, now)
    await park(db, now)
    return {item.kind: item for item in await items(db)}


async def test_what_is_parked_is_listed_over_all_kinds_with_what_it_is_about(
    one_of_each: dict[str, ParkedItem], db: Database
) -> None:
    subjects = {kind: item.subject for kind, item in one_of_each.items()}
    assert subjects == {
        JobKind.ROUTE: "in@dso",
        JobKind.SEND: "ack@us",
        JobKind.COLLECT: "1001",
        JobKind.DELIVER: "1002",
        JobKind.RECONCILE: None,
    }
    assert {item.reason for item in one_of_each.values()} == {"no route"}
    assert await db.read(count_parked, [STAD]) == dict.fromkeys(one_of_each, 1)


async def test_a_page_of_what_is_parked_begins_where_the_one_before_ended(
    one_of_each: dict[str, ParkedItem], db: Database
) -> None:
    first = await db.read(list_parked, [STAD], limit=3)
    second = await db.read(list_parked, [STAD], after=first.next, limit=3)
    assert {item.id for item in (*first.rows, *second.rows)} == {item.id for item in one_of_each.values()}
    assert second.next is None


async def test_what_is_parked_is_chosen_by_its_kind_and_lane(
    one_of_each: dict[str, ParkedItem], db: Database
) -> None:
    page = await db.read(list_parked, [STAD], kind=JobKind.SEND, lane="partner")
    assert [item.message_id for item in page.rows] == ["ack@us"]
    assert (await db.read(list_parked, [STAD], kind=JobKind.SEND, lane="route")).rows == ()


async def test_what_is_parked_of_other_authorities_is_neither_listed_nor_changed(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    ids = [item.id for item in one_of_each.values()]
    assert await items(db, "dorp") == ()
    assert await db.write(retry_parked, ids, ["dorp"], now) == ()
    assert await db.write(skip_parked, ids, ["dorp"], "by hand", now) == ()
    assert len(await items(db)) == len(ids)


async def test_what_is_tried_again_is_due_at_once_and_only_the_first_time_does_it(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    ids = [one_of_each[kind].id for kind in (JobKind.ROUTE, JobKind.COLLECT, JobKind.RECONCILE)]
    done = await db.write(retry_parked, ids, [STAD], now + HOUR)
    assert [item.id for item in done] == sorted(ids)
    again = await db.read(find_jobs, JobState.READY)
    assert {one.id: (one.not_before, one.attempts) for one in again} == dict.fromkeys(ids, (now + HOUR, 0))
    verzoek = one_of_each[JobKind.COLLECT].delivery
    assert verzoek is not None
    assert (await db.read(get_delivery, verzoek)).state is DeliveryState.COLLECTING
    assert await db.write(retry_parked, ids, [STAD], now + HOUR) == ()


async def test_trying_a_search_again_leaves_those_of_other_authorities_parked(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    await db.write(add_job, NewJob(JobKind.RECONCILE, "dso"), "dorp", 0, now)
    await park(db, now)
    await db.write(retry_parked, [one_of_each[JobKind.RECONCILE].id], [STAD, "dorp"], now)
    assert [item.kind for item in await items(db, "dorp")] == [JobKind.RECONCILE]


async def test_a_verzoek_that_is_given_up_is_skipped_for_the_reason(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    item = one_of_each[JobKind.DELIVER]
    assert await db.write(skip_parked, [item.id], [STAD], "by hand", now) == (item,)
    assert item.delivery is not None
    delivery = await db.read(get_delivery, item.delivery)
    assert (delivery.state, delivery.reason) == (DeliveryState.SKIPPED, "by hand")
    assert item.id not in {one.id for one in await items(db)}
    assert await db.write(skip_parked, [item.id], [STAD], "again", now) == ()


@pytest.mark.parametrize(
    ("kind", "becomes"), [(JobKind.ROUTE, MessageState.PROCESSED), (JobKind.SEND, MessageState.FAILED)]
)
async def test_a_message_that_is_given_up_says_so_and_waits_for_nobody(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime, kind: str, becomes: MessageState
) -> None:
    item = one_of_each[kind]
    await db.write(skip_parked, [item.id], [STAD], "by hand", now)
    assert item.message is not None
    message = await db.read(get_message, item.message)
    assert (message.state, message.reason) == (becomes, "skipped: by hand")
    last = (await db.read(events_for, message_id=message.message_id))[-1]
    assert last.detail["reason"] == "skipped: by hand"
    assert item.id not in {one.id for one in await items(db)}


async def test_what_comes_again_on_a_schedule_is_not_given_up(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    item = one_of_each[JobKind.RECONCILE]
    assert not item.can_be_skipped
    assert await db.write(skip_parked, [item.id], [STAD], "by hand", now) == ()
    assert item.id in {one.id for one in await items(db)}


async def test_what_runs_is_neither_tried_again_nor_given_up(
    one_of_each: dict[str, ParkedItem], db: Database, now: datetime
) -> None:
    item = one_of_each[JobKind.ROUTE]
    await db.write(lambda conn: conn.execute(update(job).values(state=JobState.RUNNING)))
    assert await db.write(retry_parked, [item.id], [STAD], now) == ()
    assert await db.write(skip_parked, [item.id], [STAD], "by hand", now) == ()


@only_sqlite
def test_what_is_parked_is_read_by_an_index(url: str, state: Path) -> None:
    def run(conn: Connection) -> list[str]:
        return plans(conn, lambda c: list_parked(c, [STAD]))

    found = on_store(url, state, run)
    assert any(line.startswith("SEARCH job USING INDEX ix_job_state") for line in found)
