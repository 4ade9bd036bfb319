# SPDX-License-Identifier: EUPL-1.2

"""Verzoeken as operators look for them: lists by period and state, counts, and one with all that is known of it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.store import (
    Database,
    DeliveryState,
    Event,
    Flow,
    NewDelivery,
    NewJob,
    Origin,
    VerzoekChoice,
    add_event,
    count_by_authority,
    count_by_hour,
    count_open,
    create_delivery,
    latest_changes,
    list_verzoeken,
    oldest_on_its_way,
    set_delivery_state,
    verzoek_history,
)
from tests.store.conftest import on_store, only_sqlite
from tests.store.query_plans import plans

HOUR = timedelta(hours=1)
BOTH = ("dorp", "stad")


async def came(
    db: Database,
    at: datetime,
    number: str,
    authority: str = "stad",
    state: DeliveryState = DeliveryState.COLLECTING,
    flow: Flow = Flow.STAM,
) -> int:
    new = NewDelivery(
        authority=authority,
        sink="archief",
        flow=flow,
        origin=Origin.NOTIFICATION,
        verzoeknummer=number if flow is Flow.STAM else None,
        name=number,
    )
    row = await db.write(create_delivery, new, NewJob("collect", "dso"), at)
    if state is not DeliveryState.COLLECTING and flow is Flow.STAM:
        await db.write(set_delivery_state, row, DeliveryState.COLLECTING, state, None, at)
    return row


def choice(now: datetime, **changes: Any) -> VerzoekChoice:
    values = {"authorities": BOTH, "since": now - 24 * HOUR, "until": now + HOUR}
    return VerzoekChoice(**(values | changes))


async def test_a_page_begins_where_the_one_before_it_ended(db: Database, now: datetime) -> None:
    for number in "abcde":
        await came(db, now, number)  # in the same microsecond
    found, after = "", None
    while True:
        page = await db.read(list_verzoeken, choice(now), after, 2)
        found += "".join(one.verzoeknummer or "" for one in page.rows)
        if (after := page.next) is None:
            break
    assert found == "edcba"


async def test_a_list_has_what_was_chosen(db: Database, now: datetime) -> None:
    await came(db, now - 30 * HOUR, "old")
    await came(db, now, "parked", state=DeliveryState.PARKED)
    await came(db, now, "dorp", "dorp")
    await came(db, now, "message", flow=Flow.MESSAGE)

    async def numbers(**changes: Any) -> set[str | None]:
        page = await db.read(list_verzoeken, choice(now, **changes))
        return {one.verzoeknummer for one in page.rows}

    assert await numbers() == {"parked", "dorp"}
    assert await numbers(state=DeliveryState.PARKED) == {"parked"}
    assert await numbers(authorities=("stad",)) == {"parked"}
    assert await numbers(verzoeknummer="old") == {"old"}
    assert await numbers(verzoeknummer="old", authorities=("dorp",)) == set()
    assert await numbers(sink="elsewhere") == set()


async def test_counts_are_by_hour_authority_and_state(db: Database, now: datetime) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    await came(db, hour, "1", state=DeliveryState.PARKED)
    await came(db, hour + 59 * timedelta(minutes=1), "2")
    await came(db, hour + HOUR, "3", "dorp", DeliveryState.SKIPPED)
    await came(db, hour - HOUR, "4")
    await came(db, hour, "message", flow=Flow.MESSAGE)
    collecting, parked, skipped = DeliveryState.COLLECTING, DeliveryState.PARKED, DeliveryState.SKIPPED
    assert await db.read(count_by_hour, BOTH, hour) == {
        hour: {parked: 1, collecting: 1},
        hour + HOUR: {skipped: 1},
    }
    assert await db.read(count_by_hour, ("dorp",), hour) == {hour + HOUR: {skipped: 1}}
    assert await db.read(count_by_authority, BOTH, hour) == {
        "stad": {parked: 1, collecting: 1},
        "dorp": {skipped: 1},
    }
    assert await db.read(count_open, BOTH) == {"stad": {parked: 1, collecting: 2}}
    assert await db.read(oldest_on_its_way, BOTH) == hour - HOUR
    assert await db.read(oldest_on_its_way, ("dorp",)) is None


async def test_of_a_verzoek_only_what_is_of_the_authority_is_known(db: Database, now: datetime) -> None:
    await came(db, now, "1", "stad")
    await came(db, now, "1", "dorp")
    found = await db.read(verzoek_history, "1", "dorp")
    assert found is not None
    assert [one.delivery.authority for one in found.deliveries] == ["dorp"]
    assert {event.authority for event in found.events} == {"dorp"}
    assert await db.read(verzoek_history, "2", "dorp") is None


async def test_the_latest_changes_say_what_they_are_about(db: Database, now: datetime) -> None:
    await came(db, now, "1")
    start = await db.read(latest_changes, None)
    assert start.changes == frozenset()
    await came(db, now, "2", "dorp")
    await db.write(add_event, Event(now, "stad", "message.received", message_id="m1"))
    found = await db.read(latest_changes, start.last)
    assert found.changes == {("dorp", frozenset({"2"})), ("stad", frozenset({"m1"}))}
    assert await db.read(latest_changes, found.last) == type(found)(found.last)


@only_sqlite
@pytest.mark.parametrize("wanted", [{}, {"state": DeliveryState.PARKED}, {"verzoeknummer": "1"}])
def test_no_list_reads_the_whole_table(url: str, state: Path, now: datetime, wanted: dict[str, Any]) -> None:
    def look(conn: Any) -> list[str]:
        return plans(conn, lambda conn: list_verzoeken(conn, choice(now, **wanted)))

    assert not [plan for plan in on_store(url, state, look) if plan.startswith("SCAN delivery")]
