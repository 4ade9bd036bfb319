# SPDX-License-Identifier: EUPL-1.2

"""The messages of one verzoek in their order: an Aanvulling follows what it supplements (STAM 4.0, volgnummer)."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from adapter.store.schema import delivery, delivery_file
from adapter.store.states import DeliveryState, FileKind

_DIGITS: Final = 20
_COUNTED: Final = (DeliveryState.READY, DeliveryState.PARKED, DeliveryState.DELIVERED)


def position_of(volgnummer: str) -> str:
    """The place of a volgnummer as a text that sorts: numbers by their value, and after them whatever is no number."""
    text = volgnummer.strip()
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return text.zfill(_DIGITS)
    return f"z{text}"


def lapsed_documents(conn: Connection, current: Row[Any], volgnummer: str) -> list[Mapping[str, Any]]:
    """The documents that the message before this one had, of the same verzoek, and that this one has no longer.

    Messages that were skipped do not count: the other side never saw them.
    """
    before = _before(conn, current, position_of(volgnummer))
    if before is None:
        return []
    kept = {row.document_id for row in _documents(conn, current.id)}
    return [
        {"documentId": row.document_id, "bestandsnaam": row.bestandsnaam}
        for row in _documents(conn, before)
        if row.document_id not in kept
    ]


def _before(conn: Connection, current: Row[Any], position: str) -> int | None:
    query = select(delivery.c.id, delivery.c.volgnummer, delivery.c.revision).where(
        delivery.c.authority == current.authority,
        delivery.c.verzoeknummer == current.verzoeknummer,
        delivery.c.volgnummer.is_not(None),
        delivery.c.state.in_(_COUNTED),
        delivery.c.id != current.id,
    )
    places = [(position_of(row.volgnummer), row.revision, row.id) for row in conn.execute(query)]
    # one with the same volgnummer is an earlier revision of this one
    return max((place for place in places if place[0] <= position), default=(None, None, None))[2]


def _documents(conn: Connection, of: int) -> list[Row[Any]]:
    query = (
        select(delivery_file.c.document_id, delivery_file.c.bestandsnaam)
        .where(
            delivery_file.c.delivery == of,
            delivery_file.c.kind == FileKind.DOCUMENT,
            delivery_file.c.document_id.is_not(None),
        )
        .order_by(delivery_file.c.position)
    )
    return list(conn.execute(query))
