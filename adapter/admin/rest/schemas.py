# SPDX-License-Identifier: EUPL-1.2

"""The shapes of the JSON of the application API, as JSON schemas for its OpenAPI document."""

from typing import Any, Final

from adapter.admin.rest.states import STATUSES
from adapter.store import EventType

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
_OCTETS: Final[Schema] = {"type": "string", "contentEncoding": "base64"}
_FILE: Final[Schema] = {"type": "string", "contentMediaType": "application/octet-stream"}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}


def array_of(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


URL_MAPPING: Final = _named("URLMapping")
CERTIFICATE_MAPPING: Final = _named("CertificateMapping")
MESSAGE: Final = _named("Message")
MESSAGE_REQUEST: Final = _named("MessageRequest")
MESSAGE_STATUS: Final = _named("MessageStatus")
MESSAGE_EVENT: Final = _named("MessageEvent")
EVENT_TYPES: Final = _named("MessageEventType")
_STATUS: Final = _named("EbMSMessageStatus")

FORM_SENT: Final = _object(
    {"requestProperties": _named("MessageRequestProperties")}, attachment=array_of(_FILE)
)
FORM_FETCHED: Final = _object({"properties": _named("MessageProperties")}, attachment=array_of(_FILE))

COMPONENTS: Final[dict[str, Schema]] = {
    "URLMapping": _object({"source": TEXT}, destination=TEXT),
    "CertificateMapping": _object({"source": _OCTETS, "destination": _OCTETS}, cpaId=TEXT),
    "Party": _object({"partyId": TEXT}, role=TEXT),
    "DataSource": _object({"contentType": TEXT, "content": _OCTETS}, name=TEXT, contentId=TEXT),
    "MessageRequestProperties": _object(
        {"cpaId": TEXT, "service": TEXT, "action": TEXT},
        fromPartyId=TEXT,
        fromRole=TEXT,
        toPartyId=TEXT,
        toRole=TEXT,
        conversationId=TEXT,
        messageId=TEXT,
        refToMessageId=TEXT,
    ),
    "MessageRequest": _object(
        {"properties": _named("MessageRequestProperties")}, dataSources=array_of(_named("DataSource"))
    ),
    "MessageProperties": _object(
        {
            "cpaId": TEXT,
            "fromParty": _named("Party"),
            "toParty": _named("Party"),
            "service": TEXT,
            "action": TEXT,
            "timestamp": _MOMENT,
            "conversationId": TEXT,
            "messageId": TEXT,
            "messageStatus": _STATUS,
        },
        refToMessageId=TEXT,
    ),
    "Message": _object(
        {"properties": _named("MessageProperties"), "dataSources": array_of(_named("DataSource"))}
    ),
    "EbMSMessageStatus": {"type": "string", "enum": list(STATUSES)},
    "MessageStatus": _object({"status": _STATUS}, timestamp=_MOMENT),
    "MessageEventType": {"type": "string", "enum": list(EventType.__members__)},
    "MessageEvent": _object({"messageId": TEXT, "type": EVENT_TYPES}),
}
"""The named shapes."""
