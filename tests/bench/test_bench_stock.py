# SPDX-License-Identifier: EUPL-1.2

"""Copies of stored messages are messages like others: with keys, ids and times of their own, and the rest the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import (
    Accepted,
    Content,
    Direction,
    MessageKind,
    NewMessage,
    NewPayload,
    Reception,
    accept,
    events_for,
    find_messages,
    find_received,
    get_message,
    message_payloads,
    migrate,
    open_database,
)
from bench.stock import stock_postgresql, stock_sqlite

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COPIES = 3


def message(number: int, direction: Direction, kind: MessageKind, about: str | None = None) -> NewMessage:
    return NewMessage(
        authority="voorbeeldstad",
        direction=direction,
        kind=kind,
        cpa_id="CPA-1",
        message_id=f"{kind}-{number}@example",
        conversation_id="c1",
        from_party="dso",
        to_party="voorbeeldstad",
        service="verzoek",
        action="indienen",
        timestamp=NOW,
        envelope=b"<Envelope/>",
        ref_to_message_id=about,
    )


def reception(number: int) -> Reception:
    received = message(number, Direction.IN, MessageKind.BUSINESS)
    return Reception(
        message=received,
        payloads=(NewPayload(Content(2, "ab" * 32, b"hi"), "p1", "text/xml"),),
        content_digest="d1",
        keep_until=NOW + timedelta(days=5),
        eliminate_duplicates=True,
        response=message(number, Direction.OUT, MessageKind.ACKNOWLEDGMENT, received.message_id),
        route=None,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return "sqlite" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def test_a_store_is_filled_with_copies_of_what_it_holds(url: str, tmp_path: Path) -> None:
    migrate(url, tmp_path)
    db = open_database(url, tmp_path, exclusive=False)
    for number in (1, 2):
        await db.write(accept, reception(number), NOW)
    await db.close()

    if url == "sqlite":
        stock_sqlite(tmp_path, COPIES)
    else:
        await stock_postgresql(url, COPIES)

    db = open_database(url, tmp_path, exclusive=False)
    try:
        stored = await db.read(find_messages, direction=Direction.IN)
        assert len({one.message_id for one in stored}) == 2 * (1 + COPIES)
        for one in stored:
            key = (one.authority, one.cpa_id, one.from_party, one.message_id)
            received = await db.read(find_received, *key)
            assert received is not None
            assert received.message == one.id
            assert received.response is not None
            answer = await db.read(get_message, received.response)
            assert answer.ref_to_message_id == one.message_id
            (payload,) = await db.read(message_payloads, one.id)
            assert payload.content.size == 2
            assert [event.message for event in await db.read(events_for, message_id=one.message_id)] == [
                one.id
            ]
        assert min(one.created_at for one in stored) < NOW - timedelta(days=200)
        assert isinstance(await db.write(accept, reception(3), NOW), Accepted)
    finally:
        await db.close()
