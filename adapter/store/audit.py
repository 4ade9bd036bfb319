# SPDX-License-Identifier: EUPL-1.2

"""Whether the contents are what was stored, and whether the spool holds what no row names."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, select

from adapter.store.database import Database
from adapter.store.ended import has_octets
from adapter.store.problems import SpoolDamaged
from adapter.store.schema import delivery, delivery_file, message, payload
from adapter.store.spool import Content, Spool, Stored
from adapter.store.spooled import named_keys

UNFINISHED: Final = timedelta(days=1)
"""A content can be in the spool before its row is in the store: for as long as a request takes, so less than this."""

_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """A content that is not what was stored: `of` is the id of its message or, for a file, of its delivery."""

    kind: str
    authority: str
    of: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A content that was looked at; `finding` is None when it is what was stored."""

    size: int
    finding: Finding | None


async def verify_contents(
    db: Database, spool: Spool, rate: int, pause: Callable[[float], Any] = asyncio.sleep
) -> AsyncGenerator[Checked, None]:
    """Digest every content again, at most `rate` octets a second; what is removed meanwhile is passed over.

    Raises:
        SpoolUnavailable: it cannot be read now; that says nothing of the contents.

    """
    for table in (payload, delivery_file):
        after: int | None = 0
        while after is not None:
            rows, after = await db.read(_page, table, after)
            for row in rows:
                content = Content(row.size, row.sha256, row.inline, row.spool_key)
                problem = await _problem(spool, content)
                if problem is not None and not await db.read(_still_names, table, row.id, row.spool_key):
                    continue
                finding = None if problem is None else _finding(table, row, problem)
                yield Checked(row.size, finding)
                await pause(row.size / rate)


async def find_orphans(db: Database, spool: Spool, now: datetime) -> AsyncGenerator[tuple[Stored, ...], None]:
    """Find what the spool holds and no row names, written more than a day ago, some at a time.

    The rows are read after the spool was: what was named in between is found named.
    """
    async for page in spool.stored(now - UNFINISHED):
        named = await db.read(named_keys, [one.key for one in page])
        if orphans := tuple(one for one in page if one.key not in named):
            yield orphans


async def _problem(spool: Spool, content: Content) -> str | None:
    """What is wrong with a content; None when it is what was stored."""
    if content.inline is not None and len(content.inline) != content.size:
        return (
            f"has {len(content.inline)} octets instead of {content.size}; restore the database from a backup"
        )
    try:
        await spool.verify(content)
    except (SpoolDamaged, OSError) as problem:
        return str(problem)
    return None


def _page(conn: Connection, table: Table, after: int) -> tuple[list[Row[Any]], int | None]:
    """The next rows with octets, and where to go on."""
    wanted = (table.c.id > after, has_octets(table))
    owner, of = (message, payload.c.message) if table is payload else (delivery, delivery_file.c.delivery)
    query = (
        select(
            table.c.id,
            table.c.position,
            table.c.size,
            table.c.sha256,
            table.c.inline,
            table.c.spool_key,
            owner.c.authority,
            of.label("of"),
        )
        .select_from(table.join(owner, of == owner.c.id))
        .where(*wanted)
    )
    rows: list[Row[Any]] = list(conn.execute(query.order_by(table.c.id).limit(_ROWS)))
    return rows, rows[-1].id if rows else None


def _still_names(conn: Connection, table: Table, row_id: int, key: str | None) -> bool:
    """Whether a row still has the content that was read."""
    same = table.c.spool_key == key if key is not None else table.c.inline.is_not(None)
    return conn.execute(select(table.c.id).where(table.c.id == row_id, same)).first() is not None


def _finding(table: Table, row: Row[Any], reason: str) -> Finding:
    kind = "payload" if table is payload else "file"
    return Finding(kind, row.authority, row.of, row.position, reason)
