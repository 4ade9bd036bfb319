# SPDX-License-Identifier: EUPL-1.2

"""The routes of the application API, in one table: what is served, who may use it, and how it is described."""

from dataclasses import dataclass, field
from typing import Final

from adapter.admin.calls import Audited
from adapter.admin.guard import Answer
from adapter.admin.rest import cpas, events, mappings, messages, multipart, sending, signals
from adapter.admin.rest.schemas import (
    CERTIFICATE_MAPPING,
    EVENT_TYPES,
    FORM_FETCHED,
    FORM_SENT,
    MESSAGE,
    MESSAGE_EVENT,
    MESSAGE_REQUEST,
    MESSAGE_STATUS,
    TEXT,
    URL_MAPPING,
    Schema,
    array_of,
)
from adapter.config import Role
from adapter.store import AuditKind

JSON: Final = "application/json"
PLAIN: Final = "text/plain"
FORM: Final = "multipart/form-data"

Content = tuple[str, Schema]
"""The media type of a body, and its schema."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter in the query."""

    name: str
    schema: Schema = field(default_factory=lambda: TEXT)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: `path` is relative to the API; a variable in it takes one segment, `{name*}` all that follow.

    `returns` None is 204 without a body. `refuses` has the statuses of errors beside 401, 403, 429 and 500.
    `audited` is None for what changes nothing and shows nothing that may be personal.
    """

    method: str
    path: str
    answer: Answer
    role: Role
    name: str
    summary: str
    returns: Content | None = None
    takes: Content | None = None
    query: tuple[Query, ...] = ()
    refuses: tuple[int, ...] = ()
    audited: Audited | None = None


_FLAG: Final[Schema] = {"type": "boolean", "default": False}
_MAX: Final = Query("maxNr", {"type": "integer", "minimum": 0, "default": 0})
_FILTER: Final = tuple(
    Query(name)
    for name in (
        "cpaId",
        "fromPartyId",
        "fromRole",
        "toPartyId",
        "toRole",
        "service",
        "action",
        "conversationId",
        "messageId",
        "refToMessageId",
    )
)
_PROCESS: Final = (Query("process", _FLAG),)
_OVERWRITE: Final = (Query("overwrite", _FLAG),)
_TYPES: Final = Query("eventTypes", array_of(EVENT_TYPES))
_IDS: Final = (JSON, array_of(TEXT))
_ID: Final = (PLAIN, TEXT)

CPA_ROUTES: Final = (
    Route("GET", "/cpas", cpas.list_cpas, Role.LOOK, "getCPAIds", "The CPAIds in use.", _IDS),
    Route(
        "POST",
        "/cpas",
        cpas.put_cpa,
        Role.ADMINISTER,
        "insertCPA",
        "Put a CPA to use; the answer is its CPAId.",
        _ID,
        _ID,
        _OVERWRITE,
        (400, 413, 415),
        audited=Audited(AuditKind.CHANGE, "cpa.put"),
    ),
    Route(
        "POST",
        "/cpas/validate",
        cpas.validate_cpa,
        Role.LOOK,
        "validateCPA",
        "Check a CPA; nothing is changed.",
        takes=_ID,
        refuses=(400, 413, 415),
    ),
    Route(
        "DELETE",
        "/cpas/cache",
        cpas.clear_cache,
        Role.ADMINISTER,
        "deleteCPACache",
        "Does nothing: no cache can be out of date.",
    ),
    Route("GET", "/cpas/{cpaId}", cpas.get_cpa, Role.LOOK, "getCPA", "A CPA in use.", _ID, refuses=(404,)),
    Route(
        "DELETE",
        "/cpas/{cpaId}",
        cpas.delete_cpa,
        Role.ADMINISTER,
        "deleteCPA",
        "Withdraw a CPA.",
        refuses=(404,),
        audited=Audited(AuditKind.CHANGE, "cpa.withdraw"),
    ),
)

MAPPING_ROUTES: Final = (
    Route(
        "GET",
        "/urlMappings",
        mappings.list_url_mappings,
        Role.LOOK,
        "getURLMappings",
        "The URLs used instead of endpoints in CPAs.",
        (JSON, array_of(URL_MAPPING)),
    ),
    Route(
        "POST",
        "/urlMappings",
        mappings.put_url_mapping,
        Role.ADMINISTER,
        "setURLMapping",
        "Set a URL mapping; without destination it is removed.",
        takes=(JSON, URL_MAPPING),
        refuses=(400, 413, 415),
        audited=Audited(AuditKind.CHANGE, "url_mapping.put"),
    ),
    Route(
        "DELETE",
        "/urlMappings/cache",
        cpas.clear_cache,
        Role.ADMINISTER,
        "deleteURLMappingCache",
        "Does nothing: no cache can be out of date.",
    ),
    Route(
        "DELETE",
        "/urlMappings/{source*}",
        mappings.delete_url_mapping,
        Role.ADMINISTER,
        "deleteURLMapping",
        "Remove the mapping of a URL, which is the rest of the path, escaped or as it is.",
        refuses=(404,),
        audited=Audited(AuditKind.CHANGE, "url_mapping.delete"),
    ),
    Route(
        "GET",
        "/certificateMappings",
        mappings.list_certificate_mappings,
        Role.LOOK,
        "getCertificateMappings",
        "The TLS client certificates used instead of those in CPAs.",
        (JSON, array_of(CERTIFICATE_MAPPING)),
    ),
    Route(
        "POST",
        "/certificateMappings",
        mappings.put_certificate_mapping,
        Role.ADMINISTER,
        "setCertificateMapping",
        "Set a certificate mapping, of one CPA where cpaId is given.",
        takes=(JSON, CERTIFICATE_MAPPING),
        refuses=(400, 413, 415),
        audited=Audited(AuditKind.CHANGE, "certificate_mapping.put"),
    ),
    Route(
        "DELETE",
        "/certificateMappings",
        mappings.delete_certificate_mapping,
        Role.ADMINISTER,
        "deleteCertificateMapping",
        "Remove the mapping of the certificate in the body (base64 of DER).",
        takes=_ID,
        query=(Query("cpaId"),),
        refuses=(400, 404, 413, 415),
        audited=Audited(AuditKind.CHANGE, "certificate_mapping.delete"),
    ),
    Route(
        "DELETE",
        "/certificateMappings/cache",
        cpas.clear_cache,
        Role.ADMINISTER,
        "deleteCertificateMappingCache",
        "Does nothing: no cache can be out of date.",
    ),
)

MESSAGE_ROUTES: Final = (
    Route(
        "POST",
        "/ebms/ping/{cpaId}/from/{fromPartyId}/to/{toPartyId}",
        signals.ping,
        Role.REPAIR,
        "ping",
        "Send a Ping to the partner and wait for the Pong.",
        refuses=(400,),
        audited=Audited(AuditKind.CHANGE, "ping"),
    ),
    Route(
        "POST",
        "/ebms/messages",
        messages.send_message,
        Role.REPAIR,
        "sendMessage",
        "Send a message; the answer is its MessageId.",
        _ID,
        (JSON, MESSAGE_REQUEST),
        refuses=(400, 413, 415),
        audited=Audited(AuditKind.CHANGE, "message.send"),
    ),
    Route(
        "POST",
        "/ebms/messages/mtom",
        multipart.send_multipart,
        Role.REPAIR,
        "sendMessageMTOM",
        "Send a message with payloads of any size; the answer is its MessageId.",
        _ID,
        (FORM, FORM_SENT),
        refuses=(400, 413, 415),
        audited=Audited(AuditKind.CHANGE, "message.send"),
    ),
    Route(
        "GET",
        "/ebms/messages/unprocessed",
        messages.list_messages,
        Role.LOOK,
        "getUnprocessedMessageIds",
        "The MessageIds that wait in mailboxes, oldest first.",
        _IDS,
        query=(*_FILTER, _MAX),
        refuses=(400,),
    ),
    Route(
        "GET",
        "/ebms/messages/mtom/{messageId}",
        multipart.get_multipart,
        Role.LOOK,
        "getMessageMTOM",
        "A message with payloads of any size; with process, it is marked as dealt with (role repair).",
        (FORM, FORM_FETCHED),
        query=_PROCESS,
        refuses=(400, 404),
        audited=Audited(AuditKind.LOOK, "message.fetch"),
    ),
    Route(
        "GET",
        "/ebms/messages/{messageId}",
        messages.get_message,
        Role.LOOK,
        "getMessage",
        "A message; with process, it is marked as dealt with (role repair).",
        (JSON, MESSAGE),
        query=_PROCESS,
        refuses=(400, 404),
        audited=Audited(AuditKind.LOOK, "message.fetch"),
    ),
    Route(
        "PUT",
        "/ebms/messages/{messageId}",
        sending.resend_message,
        Role.REPAIR,
        "resendMessage",
        "Send a message again as a new one; the answer is the new MessageId.",
        _ID,
        refuses=(400, 404),
        audited=Audited(AuditKind.CHANGE, "message.resend"),
    ),
    Route(
        "PATCH",
        "/ebms/messages/{messageId}",
        messages.process_message,
        Role.REPAIR,
        "processMessage",
        "Say that a message was dealt with.",
        audited=Audited(AuditKind.CHANGE, "message.process"),
    ),
    Route(
        "GET",
        "/ebms/messages/{messageId}/status",
        signals.message_status,
        Role.REPAIR,
        "getMessageStatus",
        "What the partner says became of a message that was sent to it.",
        (JSON, MESSAGE_STATUS),
        refuses=(400, 404),
        audited=Audited(AuditKind.CHANGE, "message.status"),
    ),
    Route(
        "GET",
        "/ebms/events/unprocessed",
        events.list_events,
        Role.LOOK,
        "getUnprocessedMessageEvents",
        "What became of messages, oldest first.",
        (JSON, array_of(MESSAGE_EVENT)),
        query=(*_FILTER, _TYPES, _MAX),
        refuses=(400,),
    ),
    Route(
        "PATCH",
        "/ebms/events/{messageId}",
        events.process_event,
        Role.REPAIR,
        "processMessageEvent",
        "Say that an event was dealt with, and with it the message.",
        audited=Audited(AuditKind.CHANGE, "event.process"),
    ),
)

ROUTES: Final[tuple[Route, ...]] = (*CPA_ROUTES, *MAPPING_ROUTES, *MESSAGE_ROUTES)
"""Every route, the fixed ones before those with a variable in their place."""
