# SPDX-License-Identifier: EUPL-1.2

"""Messages as the store takes them."""

from datetime import datetime
from typing import Any

from adapter.store import Direction, MessageKind, NewMessage


def new_message(timestamp: datetime, **changes: Any) -> NewMessage:
    """A business message that was received, but for what a test changes."""
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
        "timestamp": timestamp,
        "envelope": b"<Envelope/>",
    }
    return NewMessage(**(values | changes))
