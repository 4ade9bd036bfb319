# SPDX-License-Identifier: EUPL-1.2

"""Stored messages by the million: what a store holds of messages that were received and delivered, copied in SQL.

So the copies have all that the adapter itself writes about a message, in every table, whatever the schema is. They
differ in their keys, in their MessageIds (scattered as random ones are) and in their times: spread evenly over what
retention keeps, with the octets of payloads in the youngest only, as retention leaves them.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import Column, Table

from adapter.store.columns import InlineOctets, UtcDateTime
from adapter.store.schema import metadata
from adapter.store.sqlite import sqlite_path

_TABLES = (
    "message",
    "message_event",
    "payload",
    "received_id",
    "delivery",
    "delivery_file",
    "checkpoint",
    "timeline",
)
_UNIQUE = frozenset({"message_id", "conversation_id", "ref_to_message_id"})
_KEPT, _PAYLOADS_KEPT = timedelta(days=390), timedelta(days=29)
_CHUNK = 10_000
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Copying:
    """How rows are copied: `strides` are the largest keys of what is copied, `tag` makes a text of a number `n.k`."""

    strides: Mapping[str, int]
    copies: int
    tag: str

    def statement(self, table: Table, first: int, last: int) -> str:
        """Insert copies `first` to `last` of the rows of a table."""
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        values = ", ".join(self._value(column) for column in table.columns)
        key = next(column for column in table.columns if column.name == "id" or column.foreign_keys)
        return (
            f"WITH RECURSIVE n(k) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT k + 1 FROM n WHERE k < {last}) "  # noqa: S608
            f'INSERT INTO "{table.name}" ({columns}) SELECT {values} FROM "{table.name}" AS t, n '
            f'WHERE t."{key.name}" <= {self._stride(key)}'
        )

    def _value(self, column: Column[object]) -> str:
        value = f't."{column.name}"'
        if column.name == "id" or column.foreign_keys:
            return f"{value} + n.k * {self._stride(column)}"
        if column.name in _UNIQUE or (column.table.name, column.name) == ("delivery", "name"):
            return f"{self.tag} || {value}"
        age = f"({self.copies} - n.k) * {_microseconds(_KEPT) // self.copies}"
        if isinstance(column.type, InlineOctets):
            return f"CASE WHEN {age} < {_microseconds(_PAYLOADS_KEPT)} THEN {value} END"
        if isinstance(column.type, UtcDateTime) and column.name != "keep_until":
            return f"{value} - {age}"
        return value

    def _stride(self, column: Column[object]) -> int:
        """The largest key of the table that a column is, or refers to, the key of."""
        target = next((key.column.table.name for key in column.foreign_keys), column.table.name)
        return self.strides[target]


_SCATTERED = "(n.k * 2654435761) % 4294967296"
"""Another number for each number below 2 to the power 32, in no order: the factor is odd."""


def stock_sqlite(state: Path, copies: int) -> None:
    """Copy everything that is stored so many times. Blocking; no daemon runs."""
    db = sqlite3.connect(sqlite_path(state), isolation_level=None)
    try:
        for pragma in ("synchronous = OFF", "cache_size = -500000"):
            db.execute(f"PRAGMA {pragma}")
        strides = {name: db.execute(_largest(name)).fetchone()[0] for name in _with_id()}
        copying = _Copying(strides, copies, f"printf('%08x', {_SCATTERED})")
        for statements in _chunks(copying):
            db.execute("BEGIN IMMEDIATE")
            for statement in statements:
                db.execute(statement)
            db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


async def stock_postgresql(url: str, copies: int) -> None:
    """As `stock_sqlite`, for a database that nobody else uses."""
    db = await asyncpg.connect(url)
    try:
        # keys of other tables need no check: they are copied by the same rule
        await db.execute("SET synchronous_commit = off; SET session_replication_role = replica")
        strides = {name: await db.fetchval(_largest(name)) for name in _with_id()}
        copying = _Copying(strides, copies, f"lpad(to_hex({_SCATTERED}), 8, '0')")
        for statements in _chunks(copying):
            async with db.transaction():
                for statement in statements:
                    await db.execute(statement)
        for name in _with_id():
            await db.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), ({_largest(name)}))")
        await db.execute("VACUUM ANALYZE")
        await db.execute("CHECKPOINT")
    finally:
        await db.close()


def _chunks(copying: _Copying) -> list[Sequence[str]]:
    tables = [metadata.tables[name] for name in _TABLES]
    return [
        [copying.statement(table, first, min(first + _CHUNK - 1, copying.copies)) for table in tables]
        for first in range(1, copying.copies + 1, _CHUNK)
    ]


def _with_id() -> list[str]:
    return [name for name in _TABLES if "id" in metadata.tables[name].columns]


def _largest(table: str) -> str:
    # at least 1: copies of a table without rows need a stride, too
    return f'SELECT coalesce(max(id), 1) FROM "{table}"'  # noqa: S608


def _microseconds(time: timedelta) -> int:
    return int(time.total_seconds()) * _MICROSECONDS
