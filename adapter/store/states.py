# SPDX-License-Identifier: EUPL-1.2

"""The names of the states and kinds that the rows of the store are in."""

from enum import StrEnum
from typing import Final


class Direction(StrEnum):
    """Which way a message went, seen from the adapter."""

    IN = "in"
    OUT = "out"


class MessageKind(StrEnum):
    """What an ebMS message is: a business message or one of the signals (EB 4.2, 6.3, 7.1, 8.1)."""

    BUSINESS = "business"
    ACKNOWLEDGMENT = "acknowledgment"
    ERROR = "error"
    PING = "ping"
    PONG = "pong"
    STATUS_REQUEST = "status_request"
    STATUS_RESPONSE = "status_response"


class MessageState(StrEnum):
    """How far a message is; the first three are of incoming messages, the others of outgoing ones.

    RECEIVED: stored and answered for. PROCESSED: handed on. REFUSED: answered with an error.
    CREATED: stored, to be sent. SENT: sent, an acknowledgment is awaited. DELIVERED: acknowledged.
    FAILED: given up, or refused by the other party. EXPIRED: its time to live passed.
    TRANSMITTED: sent, no acknowledgment will come. ANSWERED: the signal was answered.
    """

    RECEIVED = "received"
    PROCESSED = "processed"
    REFUSED = "refused"
    CREATED = "created"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    TRANSMITTED = "transmitted"
    ANSWERED = "answered"


class EventType(StrEnum):
    """What an application is told of a message: one it can fetch (RECEIVED), or what became of one it sent."""

    RECEIVED = "received"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"


class Flow(StrEnum):
    """What happens to a received message: a verzoek is collected first, or its payloads are delivered."""

    STAM = "stam"
    MESSAGE = "message"


class Origin(StrEnum):
    """Why a delivery exists."""

    NOTIFICATION = "notification"
    RECONCILIATION = "reconciliation"
    OPERATOR = "operator"


class DeliveryState(StrEnum):
    """How far a delivery is."""

    COLLECTING = "collecting"
    READY = "ready"
    DELIVERED = "delivered"
    PARKED = "parked"
    SKIPPED = "skipped"
    REPEATED = "repeated"


OPEN_DELIVERY: Final = (DeliveryState.COLLECTING, DeliveryState.READY, DeliveryState.PARKED)
"""The states of a delivery that is on its way, or waits for a person."""


class FileKind(StrEnum):
    """What a file of a delivery is."""

    VERZOEK = "verzoek"
    PDF = "pdf"
    DOCUMENT = "document"
    PAYLOAD = "payload"


class JobState(StrEnum):
    """How far a job is; a finished job has no row."""

    READY = "ready"
    RUNNING = "running"
    PARKED = "parked"


class AgreementSource(StrEnum):
    """Where an agreement came from."""

    FILE = "file"
    UPLOAD = "upload"


class AgreementState(StrEnum):
    """Whether an agreement is in use."""

    ACTIVE = "active"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class JobKind:
    """The kinds of jobs, and what the `subject` of each is.

    The worker takes any kind that it has a handler for; these are the ones that the store itself knows.
    """

    SEND: Final = "send"
    """Sends an outgoing message; the subject is a message."""
    ROUTE: Final = "route"
    """Decides where a received business message goes; the subject is a message."""
    COLLECT: Final = "collect"
    """Fetches a verzoek; the subject is a delivery."""
    DELIVER: Final = "deliver"
    """Hands a delivery to its sink; the subject is a delivery."""
    RECONCILE: Final = "reconcile"
    """Asks for verzoeken that were never announced; the subject is 0, since it is about the authority of the job."""
    PING: Final = "ping"
    """Pings the partners of an authority by the clock; the subject is 0, since it is about the authority of the job."""
    NOTIFY: Final = "notify"
    """Tells people what there is to tell; the subject is 0, and the authority the name of a channel."""


SCHEDULED: Final = (JobKind.RECONCILE, JobKind.PING, JobKind.NOTIFY)
"""The kinds of jobs that come again by a schedule: that they wait is no backlog."""


class AuditVia(StrEnum):
    """By which door somebody came: the admin listener, a signed link to a file, or the command line."""

    ADMIN = "admin"
    LINK = "link"
    COMMAND = "command"


class AuditKind(StrEnum):
    """What the audit trail keeps: changes, looks at what may be personal, and logins that failed."""

    CHANGE = "change"
    LOOK = "look"
    LOGIN = "login"


class AuditOutcome(StrEnum):
    """What became of it: done, refused to whoever asked, or broken off."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
