# SPDX-License-Identifier: EUPL-1.2

"""What people look through: messages, partners, agreements and the audit trail, a page at a time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from adapter.store import (
    AgreementSource,
    AgreementState,
    AuditEntry,
    AuditFilter,
    AuditKind,
    AuditVia,
    Database,
    Direction,
    ListedMessage,
    MessageChoice,
    MessageKind,
    MessageState,
    NewMessage,
    NotFound,
    Page,
    Place,
    add_audit,
    agreement_in_force,
    agreement_versions,
    get_agreement,
    insert_message,
    list_audit,
    list_messages,
    partner_traffic,
    put_agreement,
    set_message_state,
    withdraw_agreement,
)
from tests.store.conftest import on_store, only_sqlite
from tests.store.query_plans import plans

HOUR = timedelta(hours=1)
MakeMessage = Callable[..., NewMessage]


def choice(now: datetime, *authorities: str, **changes: Any) -> MessageChoice:
    values = {
        "authorities": authorities or ("voorbeeldstad",),
        "since": now - 24 * HOUR,
        "until": now + 24 * HOUR,
    }
    return MessageChoice(**(values | changes))


async def stored(db: Database, new: NewMessage, at: datetime, state: MessageState | None = None) -> int:
    return await db.write(insert_message, new, None, at, state=state)


async def names(db: Database, wanted: MessageChoice, **options: Any) -> list[str]:
    page: Page[ListedMessage] = await db.read(list_messages, wanted, **options)
    return [one.message_id for one in page.rows]


async def test_messages_are_listed_the_newest_first_without_their_octets(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    for number in range(3):
        await stored(db, new_message(message_id=f"m{number}"), now + number * HOUR)
    page = await db.read(list_messages, choice(now))
    assert [one.message_id for one in page.rows] == ["m2", "m1", "m0"]
    assert page.next is None
    assert not hasattr(page.rows[0], "envelope")


async def test_each_page_begins_where_the_one_before_ended_also_where_moments_are_equal(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    for number in range(7):
        await stored(db, new_message(message_id=f"m{number}"), now + (number // 3) * HOUR)
    seen: list[str] = []
    after: Place | None = None
    for _ in range(4):
        page = await db.read(list_messages, choice(now), after, 2)
        seen += [one.message_id for one in page.rows]
        after = page.next
        # what comes while somebody turns pages is not on the older ones
        await stored(db, new_message(message_id="later"), now + 5 * HOUR)
    assert seen == ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]
    assert after is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"direction": Direction.OUT},
        {"kind": MessageKind.PING},
        {"state": MessageState.REFUSED},
        {"partner": "elders"},
        {"cpa_id": "CPA-2"},
        {"message_id": "other"},
        {"conversation_id": "c2"},
    ],
)
async def test_messages_are_chosen_by_what_they_are(
    db: Database, now: datetime, new_message: MakeMessage, wanted: dict[str, Any]
) -> None:
    changes = {("from_party" if name == "partner" else name): value for name, value in wanted.items()}
    state = changes.pop("state", None)
    await stored(db, new_message(), now)
    await stored(db, new_message(**({"message_id": "other"} | changes)), now, state)
    assert await names(db, choice(now, **wanted)) == ["other"]


async def test_a_partner_is_found_on_either_side(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    await stored(db, new_message(message_id="in", from_party="dso", to_party="stad"), now)
    await stored(db, new_message(message_id="out", from_party="stad", to_party="dso"), now)
    assert await names(db, choice(now, partner="dso")) == ["out", "in"]


async def test_messages_of_other_authorities_are_not_listed(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    for authority in ("voorbeeldstad", "voorbeelddorp", "elders"):
        await stored(db, new_message(authority=authority, message_id=authority), now)
    assert await names(db, choice(now, "voorbeelddorp", "voorbeeldstad")) == [
        "voorbeelddorp",
        "voorbeeldstad",
    ]
    assert await names(db, choice(now, "voorbeelddorp", message_id="elders")) == []


async def test_the_end_of_a_period_is_not_in_it_and_its_beginning_is(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    for number in range(3):
        await stored(db, new_message(message_id=f"m{number}"), now + number * HOUR)
    assert await names(db, choice(now, since=now, until=now + 2 * HOUR)) == ["m1", "m0"]


async def test_a_message_is_found_by_its_name_however_old_it_is(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    await stored(db, new_message(message_id="old", conversation_id="c9"), now - 1000 * HOUR)
    assert await names(db, choice(now, message_id="old")) == ["old"]
    assert await names(db, choice(now, conversation_id="c9")) == ["old"]


@only_sqlite
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "ix_message_authority_created_at"),
        ({"state": MessageState.FAILED}, "ix_message_authority_created_at"),
        ({"message_id": "m1"}, "ix_message_message_id"),
        ({"conversation_id": "c1"}, "ix_message_conversation_id"),
    ],
)
def test_a_list_of_messages_reads_an_index_and_never_the_whole_table(
    url: str, state: Path, now: datetime, wanted: dict[str, Any], index: str
) -> None:
    def run(conn: Connection) -> list[str]:
        return plans(conn, lambda c: list_messages(c, choice(now, **wanted), Place(now, 7)))

    found = on_store(url, state, run)
    assert any(index in line for line in found)
    assert not any(line.startswith("SCAN") for line in found)


async def test_of_a_partner_is_known_what_passed_when_and_what_was_lost(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    out = {"direction": Direction.OUT}
    await stored(db, new_message(), now)
    await stored(db, new_message(**out), now + HOUR, MessageState.DELIVERED)
    await stored(db, new_message(**out), now + 2 * HOUR, MessageState.FAILED)
    await stored(db, new_message(cpa_id="CPA-2"), now)
    await stored(db, new_message(cpa_id="CPA-3", authority="elders"), now)
    found = await db.read(partner_traffic, ["voorbeeldstad"], now, now + 3 * HOUR)
    assert set(found) == {("voorbeeldstad", "CPA-1"), ("voorbeeldstad", "CPA-2")}
    traffic = found["voorbeeldstad", "CPA-1"]
    assert (traffic.received, traffic.sent, traffic.lost) == (1, 2, 1)
    assert (traffic.last_received, traffic.last_sent) == (now, now + 2 * HOUR)
    assert traffic.ping is None
    assert found["voorbeeldstad", "CPA-2"].last_sent is None


async def test_of_a_partner_is_known_what_became_of_the_last_ping_of_ours(
    db: Database, now: datetime, new_message: MakeMessage
) -> None:
    ours = new_message(direction=Direction.OUT, kind=MessageKind.PING)
    await stored(db, ours, now)
    last = await stored(db, ours, now + HOUR)
    await db.write(
        set_message_state, last, MessageState.CREATED, MessageState.FAILED, "no Pong", now + 2 * HOUR
    )
    await stored(db, new_message(kind=MessageKind.PING), now + 2 * HOUR)
    found = await db.read(partner_traffic, ["voorbeeldstad"], now, now + 3 * HOUR)
    ping = found["voorbeeldstad", "CPA-1"].ping
    assert ping is not None
    assert (ping.message, ping.at, ping.changed_at) == (last, now + HOUR, now + 2 * HOUR)
    assert (ping.state, ping.reason) == (MessageState.FAILED, "no Pong")


async def test_an_agreement_is_found_as_it_was_in_force_at_a_moment(db: Database, now: datetime) -> None:
    for hours, document in ((0, b"<first/>"), (2, b"<second/>")):
        await db.write(put_agreement, "stad", "CPA-1", document, AgreementSource.UPLOAD, now + hours * HOUR)
    await db.write(withdraw_agreement, "CPA-1", now + 4 * HOUR)

    async def document(hours: int, authority: str = "stad") -> bytes | None:
        found = await db.read(agreement_in_force, authority, "CPA-1", now + hours * HOUR)
        return found.document if found else None

    assert [await document(hours) for hours in (-1, 0, 1, 2, 3, 4)] == [
        None,
        b"<first/>",
        b"<first/>",
        b"<second/>",
        b"<second/>",
        None,
    ]
    assert await document(1, "dorp") is None


async def test_the_versions_of_agreements_are_those_of_the_authorities_that_are_asked_for(
    db: Database, now: datetime
) -> None:
    for authority, cpa_id in (("stad", "B"), ("stad", "A"), ("dorp", "C"), ("stad", "A")):
        await db.write(
            put_agreement, authority, cpa_id, b"<cpa/>", AgreementSource.FILE, now, Path("cpa.xml")
        )
    found = await db.read(agreement_versions, ["stad"])
    assert [(one.cpa_id, one.state) for one in found] == [
        ("A", AgreementState.ACTIVE),
        ("A", AgreementState.REPLACED),
        ("B", AgreementState.ACTIVE),
    ]
    assert [one.cpa_id for one in await db.read(agreement_versions, ["stad", "dorp"], "C")] == ["C"]
    assert (await db.read(get_agreement, found[0].id)).document == b"<cpa/>"
    with pytest.raises(NotFound, match="no version 999"):
        await db.read(get_agreement, 999)


def entry(at: datetime, authority: str | None = "stad", action: str = "message.resend") -> AuditEntry:
    return AuditEntry(at, "jan", AuditVia.ADMIN, "192.0.2.1", AuditKind.CHANGE, action, "m1", authority)


async def test_the_audit_trail_is_read_a_page_at_a_time(db: Database, now: datetime) -> None:
    entries = [entry(now + (number // 2) * HOUR, action=f"a{number}") for number in range(5)]
    for one in entries:
        await db.write(add_audit, one)
    first = await db.read(list_audit, AuditFilter(), None, None, 3)
    second = await db.read(list_audit, AuditFilter(), None, first.next, 3)
    assert [*first.rows, *second.rows] == entries[::-1]
    assert second.next is None


async def test_of_the_audit_trail_only_what_is_about_the_authorities_asked_for_is_listed(
    db: Database, now: datetime
) -> None:
    own, others, nobodys = entry(now), entry(now, "dorp"), entry(now, None)
    for one in (own, others, nobodys):
        await db.write(add_audit, one)
    assert (await db.read(list_audit, AuditFilter(), ["stad"])).rows == (own,)
    assert (await db.read(list_audit, AuditFilter(), None)).rows == (nobodys, others, own)


@only_sqlite
def test_the_audit_trail_of_a_period_is_read_by_its_index(url: str, state: Path, now: datetime) -> None:
    wanted = AuditFilter(since=now, before=now + HOUR)
    found = on_store(
        url, state, lambda conn: plans(conn, lambda c: list_audit(c, wanted, ["stad"], Place(now, 7)))
    )
    assert any("ix_audit_at" in line for line in found)
