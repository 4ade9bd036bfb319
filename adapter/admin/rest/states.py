# SPDX-License-Identifier: EUPL-1.2

"""States of messages and texts of parties and services, as applications know them.

The names are those of the reference adapter, of which every client has an enumeration; our states map onto them.
"""

from datetime import UTC, datetime
from typing import Any, Final

from adapter.store import MessageState, StoredMessage
from cpa import PartyId, Service

_STATUS: Final = {
    MessageState.RECEIVED: "RECEIVED",
    MessageState.PROCESSED: "PROCESSED",
    MessageState.REFUSED: "FAILED",
    MessageState.CREATED: "CREATED",
    MessageState.SENT: "CREATED",
    MessageState.DELIVERED: "DELIVERED",
    MessageState.TRANSMITTED: "DELIVERED",
    MessageState.ANSWERED: "DELIVERED",
    MessageState.FAILED: "DELIVERY_FAILED",
    MessageState.EXPIRED: "EXPIRED",
}

REMOTE_STATUS: Final = {
    "UnAuthorized": "UNAUTHORIZED",
    "NotRecognized": "NOT_RECOGNIZED",
    "Received": "RECEIVED",
    "Processed": "PROCESSED",
    "Forwarded": "FORWARDED",
}
"""The messageStatus of a StatusResponse (EB 7.1.2), by the name that applications know."""

STATUSES: Final = tuple(sorted({*_STATUS.values(), *REMOTE_STATUS.values()}))


def status_of(message: StoredMessage) -> str:
    """The status of a message, by its state."""
    return _STATUS[message.state]


def typed(value: str, kind: str | None) -> str:
    """A PartyId or Service as one text, `type:value`."""
    return value if kind is None else f"{kind}:{value}"


def party_text(party: PartyId) -> str:
    """A PartyId as one text."""
    return typed(party.value, party.type)


def service_text(service: Service) -> str:
    """A Service as one text."""
    return typed(service.name, service.type)


def instant(moment: datetime) -> str:
    """A moment as JSON has it: UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are there: absent ones are left out of the JSON."""
    return {name: value for name, value in values.items() if value is not None}


def properties_of(message: StoredMessage, status: str) -> dict[str, Any]:
    """The properties of a message, as JSON."""
    return without_none(
        {
            "cpaId": message.cpa_id,
            "fromParty": without_none({"partyId": message.from_party, "role": message.from_role}),
            "toParty": without_none({"partyId": message.to_party, "role": message.to_role}),
            "service": typed(message.service, message.service_type),
            "action": message.action,
            "timestamp": instant(message.timestamp),
            "conversationId": message.conversation_id,
            "messageId": message.message_id,
            "refToMessageId": message.ref_to_message_id,
            "messageStatus": status,
        }
    )
