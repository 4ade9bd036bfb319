# SPDX-License-Identifier: EUPL-1.2

"""Lists of messages as people look through them: by authority, partner, state and period, without their octets."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from adapter.store.pages import Page, Place, behind, bounded, newest_of, page_end, within, without_index
from adapter.store.schema import message
from adapter.store.states import Direction, MessageKind, MessageState


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChoice:
    """Which messages are wanted: of these authorities, stored in a period; what is None holds of all.

    `partner` is the PartyId of either side. A MessageId, a conversation or what is answered is looked for whatever the
    period is; without one of these a period is needed.
    """

    authorities: Collection[str]
    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    kind: MessageKind | None = None
    state: MessageState | None = None
    partner: str | None = None
    cpa_id: str | None = None
    message_id: str | None = None
    conversation_id: str | None = None
    ref_to_message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMessage:
    """A message as it stands in a list."""

    id: int
    authority: str
    direction: Direction
    kind: MessageKind
    cpa_id: str
    message_id: str
    conversation_id: str
    ref_to_message_id: str | None
    from_party: str
    to_party: str
    service: str
    action: str
    state: MessageState
    reason: str | None
    created_at: datetime
    updated_at: datetime
    attempts: int


_COLUMNS: Final = tuple(message.c[field.name] for field in fields(ListedMessage))
_EQUAL: Final = ("direction", "kind", "state", "cpa_id", "message_id", "conversation_id", "ref_to_message_id")


def list_messages(
    conn: Connection, wanted: MessageChoice, after: Place | None = None, limit: int = 50
) -> Page[ListedMessage]:
    """A page of the messages that are wanted, the newest first.

    What it costs is bounded by how many authorities there are, and where few messages are wanted, by what they have in
    the period.
    """
    conditions = _conditions(wanted)
    if after is not None:
        conditions.append(behind(message.c.created_at, message.c.id, after))
    if wanted.message_id or wanted.conversation_id or wanted.ref_to_message_id:
        conditions.append(without_index(message.c.authority).in_(sorted(wanted.authorities)))
    else:
        if wanted.since is None or wanted.until is None:
            raise ValueError("messages are listed by a name of theirs, or by a period")
        conditions += within(message.c.created_at, wanted.since, wanted.until)
        ids = newest_of(conn, message, wanted.authorities, conditions, bounded(limit))
        if not ids:
            return Page(())
        conditions = [message.c.id.in_(ids)]
    query = select(*_COLUMNS).where(*conditions)
    query = query.order_by(message.c.created_at.desc(), message.c.id.desc()).limit(bounded(limit))
    rows = conn.execute(query).all()
    shown = rows[: bounded(limit) - 1]
    return Page(tuple(map(_listed, shown)), page_end(rows, limit, message, "created_at"))


def _conditions(wanted: MessageChoice) -> list[ColumnElement[bool]]:
    given = {name: getattr(wanted, name) for name in _EQUAL}
    found = [message.c[name] == value for name, value in given.items() if value is not None]
    if wanted.partner is not None:
        found.append(or_(message.c.from_party == wanted.partner, message.c.to_party == wanted.partner))
    return found


def _listed(row: Row[Any]) -> ListedMessage:
    return ListedMessage(**row._mapping)
