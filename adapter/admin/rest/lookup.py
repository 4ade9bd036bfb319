# SPDX-License-Identifier: EUPL-1.2

"""Finding the message that a call names, among those of the user's authorities."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from adapter.admin.calls import Call, not_found
from adapter.admin.rest.states import status_of
from adapter.sinks import mailboxes
from adapter.store import (
    Mailbox,
    MessageFilter,
    MessageKind,
    StoredMessage,
    StoredPayload,
    find_messages,
    is_in_mailbox,
    mailbox_messages,
    message_payloads,
)

Mailboxes = frozenset[Mailbox]


@dataclass(frozen=True, slots=True)
class Found:
    """A message with its payloads; `waits` says that it lies in a mailbox and was not taken from it."""

    message: StoredMessage
    payloads: tuple[StoredPayload, ...]
    waits: bool

    def status(self, *, process: bool = False) -> str:
        """Its status for applications; `process` says that it is being marked as dealt with."""
        if self.waits:
            return "PROCESSED" if process else "RECEIVED"
        return status_of(self.message)


def own_mailboxes(call: Call) -> Mailboxes:
    """The mailboxes of the user's authorities."""
    return frozenset(mailbox for mailbox in mailboxes(call.api.config()) if mailbox[0] in call.scope)


async def find_message(call: Call) -> Found:
    """The business message that the path names. Raises Refused (403, 404).

    A MessageId can be in the store several times: best-effort messages are not checked for duplicates. The oldest that
    waits in a mailbox goes first, so that each of them is listed, fetched and processed; else it is the last one.
    """
    message_id = call.path("messageId")
    found = await call.api.db.read(_find, message_id, call.scope, own_mailboxes(call))
    if found is None:
        await refuse_if_seen(call)
        raise not_found(f"there is no message {message_id}")
    return found


async def refuse_if_seen(call: Call) -> None:
    """Raises Refused (403) where the message that the path names is of an authority that the user may only look at."""
    if call.visible != call.scope:
        seen = await call.api.db.read(_last, call.path("messageId"), call.visible - call.scope)
        if seen is not None:
            raise call.denied(seen.authority)


def waiting_message(conn: Connection, message_id: str, boxes: Mailboxes) -> StoredMessage | None:
    """The oldest message of this MessageId that waits in a mailbox."""
    waiting = mailbox_messages(conn, boxes, MessageFilter(message_id=message_id), 1)
    return waiting[0] if waiting else None


def _find(conn: Connection, message_id: str, scope: Collection[str], boxes: Mailboxes) -> Found | None:
    message = waiting_message(conn, message_id, boxes) or _last(conn, message_id, scope)
    if message is None:
        return None
    return Found(message, message_payloads(conn, message.id), is_in_mailbox(conn, boxes, message.id))


def _last(conn: Connection, message_id: str, scope: Collection[str]) -> StoredMessage | None:
    for authority in sorted(scope):
        found = find_messages(
            conn, authority=authority, kind=MessageKind.BUSINESS, message_id=message_id, limit=1
        )
        if found:
            return found[0]
    return None
