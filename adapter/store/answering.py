# SPDX-License-Identifier: EUPL-1.2

"""Whether the store answers, and takes what is written."""

from sqlalchemy import Connection, select, text

from adapter.store.database import Database
from adapter.store.problems import StoreUnavailable
from adapter.store.schema import job

_STANDBY = text("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean")


async def see_whether_it_takes_writes(db: Database) -> None:
    """Ask for a row, and for what a write begins with; nothing is changed. Raises StoreProblem."""
    if await db.read(_is_standby):
        raise StoreUnavailable(
            "the PostgreSQL server takes no writes; it is a standby, or default_transaction_read_only is on: "
            "let store.url lead to the primary"
        )
    await db.write(_look)


def _is_standby(conn: Connection) -> bool:
    return conn.dialect.name == "postgresql" and bool(conn.scalar(_STANDBY))


def _look(conn: Connection) -> None:
    conn.execute(select(job.c.id).limit(1)).first()
