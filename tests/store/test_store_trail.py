# SPDX-License-Identifier: EUPL-1.2

"""The audit trail: appended to, found again, removed by age alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from adapter.store import (
    AuditEntry,
    AuditFilter,
    AuditKind,
    AuditOutcome,
    AuditVia,
    Database,
    Periods,
    Purgeable,
    PurgeRun,
    RetentionPolicy,
    add_audit,
    count_by_moment,
    find_audit,
    purge_by_moment,
)
from adapter.store.schema import audit

DAY = timedelta(days=1)


def entry(at: datetime, **changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        "actor": "jan",
        "via": AuditVia.ADMIN,
        "origin": "192.0.2.1",
        "kind": AuditKind.CHANGE,
        "action": "message.resend",
        "subject": "m1@host",
        "authority": "stad",
        "detail": {"count": 2},
    }
    return AuditEntry(at, **(values | changes))


async def test_an_entry_is_found_as_it_was_written_the_newest_first(db: Database, now: datetime) -> None:
    first, second = entry(now), entry(now + DAY, outcome=AuditOutcome.REFUSED, authority=None, subject=None)
    for one in (first, second):
        await db.write(add_audit, one)
    assert await db.read(find_audit, AuditFilter(), 10) == [second, first]
    assert await db.read(find_audit, AuditFilter(), 1) == [second]


@pytest.mark.parametrize(
    "wanted",
    [
        {"actor": "piet"},
        {"via": AuditVia.COMMAND},
        {"kind": AuditKind.LOOK},
        {"action": "cpa.put"},
        {"subject": "m2@host"},
        {"authority": "dorp"},
        {"outcome": AuditOutcome.FAILED},
    ],
)
async def test_entries_are_chosen_by_what_they_say(
    db: Database, now: datetime, wanted: dict[str, Any]
) -> None:
    other = entry(now, **wanted)
    await db.write(add_audit, entry(now))
    await db.write(add_audit, other)
    assert await db.read(find_audit, AuditFilter(**wanted), 10) == [other]


async def test_entries_are_chosen_by_their_moment(db: Database, now: datetime) -> None:
    for days in range(4):
        await db.write(add_audit, entry(now + days * DAY))
    found = await db.read(find_audit, AuditFilter(since=now + DAY, before=now + 3 * DAY), 10)
    assert [one.at for one in found] == [now + 2 * DAY, now + DAY]


async def test_what_a_caller_chose_is_cut(db: Database, now: datetime) -> None:
    await db.write(add_audit, entry(now, subject="x" * 100_000, detail={"path": "y" * 100_000}))
    found = (await db.read(find_audit, AuditFilter(), 1))[0]
    assert len(found.subject or "") == len(found.detail["path"]) == 400


async def test_nobody_changes_an_entry(db: Database, now: datetime) -> None:
    await db.write(add_audit, entry(now))
    with pytest.raises(DBAPIError, match="append-only"):
        await db.write(lambda conn: conn.execute(update(audit).values(actor="niemand")))
    assert [one.actor for one in await db.read(find_audit, AuditFilter(), 10)] == ["jan"]


async def test_entries_go_by_their_age_a_few_at_a_time(db: Database, now: datetime) -> None:
    for days in range(5):
        await db.write(add_audit, entry(now + days * DAY))
    policy = RetentionPolicy(Periods(DAY, DAY, DAY), audit=10 * DAY)
    run = PurgeRun(policy, now + 13 * DAY)
    assert await db.read(count_by_moment, Purgeable.AUDIT, run) == 3
    counts = [
        (await db.write(purge_by_moment, Purgeable.AUDIT, run, 2)).counts[Purgeable.AUDIT] for _ in range(3)
    ]
    assert counts == [2, 1, 0]
    assert [one.at for one in await db.read(find_audit, AuditFilter(), 10)] == [now + 4 * DAY, now + 3 * DAY]
