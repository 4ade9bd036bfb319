# SPDX-License-Identifier: EUPL-1.2

"""New embedded databases, whose tables are made by the statements that a migration in this process came down to.

Alembic takes ten times as long to come to them. Nothing changes for a database with something in it, for PostgreSQL,
and for a daemon in a process of its own.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from adapter.store import SchemaStatus, migrating

by_migrations = migrating.upgrade
"""The real thing, for tests that are about migrations."""

_made: dict[Path, tuple[SchemaStatus, list[str]]] = {}


def by_statements(connection: Connection, scripts: Path, current: str | None, **how: Any) -> SchemaStatus:
    """As `migrating.upgrade`."""
    if connection.dialect.name != "sqlite" or connection.scalar(text("SELECT count(*) FROM sqlite_master")):
        return by_migrations(connection, scripts, current, **how)
    if scripts not in _made:
        status = by_migrations(connection, scripts, current, **how)
        dumped = connection.connection.driver_connection.iterdump()  # type: ignore[union-attr]
        _made[scripts] = status, [one for one in dumped if one not in {"BEGIN TRANSACTION;", "COMMIT;"}]
        return status
    status, statements = _made[scripts]
    for statement in statements:
        connection.exec_driver_sql(statement)
    return status
