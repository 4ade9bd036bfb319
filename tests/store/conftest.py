from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.store import (
    Content,
    Database,
    Direction,
    MessageKind,
    NewJob,
    NewMessage,
    NewPayload,
    Reception,
    migrate,
    open_database,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def state(tmp_path: Path) -> Path:
    migrate("sqlite", tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
async def db(state: Path) -> AsyncIterator[Database]:
    database = open_database("sqlite", state, exclusive=True)
    yield database
    await database.close()


@pytest.fixture
def new_message() -> Callable[..., NewMessage]:
    def make(**changes: Any) -> NewMessage:
        values: dict[str, Any] = {
            "authority": "voorbeeldstad",
            "direction": Direction.IN,
            "kind": MessageKind.BUSINESS,
            "cpa_id": "CPA-1",
            "message_id": "m1@dso",
            "conversation_id": "c1",
            "from_party": "dso",
            "to_party": "voorbeeldstad",
            "service": "verzoek",
            "action": "indienen",
            "timestamp": NOW,
            "envelope": b"<Envelope/>",
            "http_headers": (("SOAPAction", '"ebXML"'),),
        }
        return NewMessage(**(values | changes))

    return make


@pytest.fixture
def reception(new_message: Callable[..., NewMessage]) -> Callable[..., Reception]:
    def make(message_id: str = "m1@dso", **changes: Any) -> Reception:
        values: dict[str, Any] = {
            "message": new_message(message_id=message_id),
            "payloads": (NewPayload(Content(2, "ab" * 32, b"hi"), "p1", "text/xml"),),
            "content_digest": "d1",
            "keep_until": NOW + timedelta(days=5),
            "eliminate_duplicates": True,
            "response": new_message(
                direction=Direction.OUT,
                kind=MessageKind.ACKNOWLEDGMENT,
                message_id=f"ack-{message_id}",
                ref_to_message_id=message_id,
                envelope=b"<Acknowledgment/>",
            ),
            "route": NewJob("route", "dso"),
        }
        return Reception(**(values | changes))

    return make
