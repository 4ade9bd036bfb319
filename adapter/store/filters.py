# SPDX-License-Identifier: EUPL-1.2

"""Which messages an application asks for, when it polls."""

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, or_, type_coerce

from adapter.store.schema import message


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """What must hold of a message; what is None holds of all.

    Parties and the service are one text, `type:value` (or the value alone where it has no type).
    """

    cpa_id: str | None = None
    from_party: str | None = None
    from_role: str | None = None
    to_party: str | None = None
    to_role: str | None = None
    service: str | None = None
    action: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    ref_to_message_id: str | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether only a few messages can pass, which the table of messages has an index for."""
        return any((self.message_id, self.conversation_id, self.ref_to_message_id))


def filter_conditions(wanted: MessageFilter) -> tuple[ColumnElement[bool], ...]:
    """Turn a filter into conditions on the table of messages; none when it lets everything through."""
    given = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    return tuple(
        _is_service(value) if name == "service" else message.c[name] == value
        for name, value in given.items()
        if value is not None
    )


def _is_service(text: str) -> ColumnElement[bool]:
    # Both a type and a value may have colons in them: only the whole text can be compared.
    return or_(
        and_(message.c.service_type.is_(None), message.c.service == text),
        message.c.service_type + ":" + message.c.service == text,
    )


def equals(column: ColumnElement[Any], value: str, wanted: MessageFilter) -> ColumnElement[bool]:
    """Compare a first column of an index of what waits; under a narrow filter so that the index is not used.

    The database would otherwise read all that waits, in its order, to come upon the few that pass.
    """
    text = type_coerce(column, Text)
    return (text.concat("") if wanted.is_narrow else text) == str(value)
