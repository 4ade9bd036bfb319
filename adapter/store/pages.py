# SPDX-License-Identifier: EUPL-1.2

"""Lists that are read a page at a time, the newest first: each page begins where the one before it ended."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    literal,
    or_,
    select,
    type_coerce,
)

from adapter.store.columns import UtcDateTime

T = TypeVar("T")

MAX_PAGE: Final = 500
"""The most rows that one page has."""

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the moment and the id of its last row."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows; `next` is where the following page begins, None at the end."""

    rows: tuple[T, ...]
    next: Place | None = None


def behind(at: ColumnElement[datetime], row_id: ColumnElement[int], place: Place) -> ColumnElement[bool]:
    """Whether a row comes after a place, where the newest are first.

    The first condition says nothing new: it lets an index on the moment begin at the place.
    """
    moment = literal(place.at, UtcDateTime())
    return and_(at <= moment, or_(at < moment, row_id < place.id))


def within(at: ColumnElement[datetime], since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    """Whether a moment is in a period; `until` itself is not."""
    return at >= literal(since, UtcDateTime()), at < literal(until, UtcDateTime())


def without_index(column: ColumnElement[Any]) -> ColumnElement[str]:
    """A text column to compare with, of which no index is used: the one for another condition is far better."""
    return type_coerce(column, Text).concat("")


def bounded(limit: int) -> int:
    """How many rows to ask the database for: one more than the page has, to know whether there is another page."""
    return min(max(1, limit), MAX_PAGE) + 1


def newest_of(
    conn: Connection,
    table: Table,
    authorities: Collection[str],
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
) -> list[int]:
    """The ids of the newest rows of these authorities for which the conditions hold, the newest first, `limit` at most.

    Each authority is asked by itself, from its own part of the index on authority and moment, for what is not older
    than all that was found before: so what it costs is bounded by how many there are, and not by what all of them have.
    """
    query = (
        select(table.c.created_at, table.c.id)
        .where(
            table.c.authority == bindparam("of_authority"),
            table.c.created_at >= bindparam("not_before", type_=UtcDateTime()),
            *conditions,
        )
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(limit)
    )
    found: list[tuple[datetime, int]] = []
    for name in sorted(authorities):
        not_before = found[-1][0] if len(found) == limit else _EVER
        rows = conn.execute(query, {"of_authority": name, "not_before": not_before})
        found += [(row.created_at, row.id) for row in rows]
        found = sorted(found, reverse=True)[:limit]
    return [row_id for _, row_id in found]


def page_end(rows: Sequence[Row[Any]], limit: int, table: Table, at: str) -> Place | None:
    """Where the following page begins, after `bounded(limit)` rows were asked for."""
    size = bounded(limit) - 1
    if len(rows) <= size:
        return None
    last = rows[size - 1]._mapping
    return Place(last[table.c[at]], last[table.c.id])
