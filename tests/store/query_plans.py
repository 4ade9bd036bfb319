# SPDX-License-Identifier: EUPL-1.2

"""How the embedded database goes about what it is asked."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event


def plans(conn: Connection, poll: Callable[[Connection], object]) -> list[str]:
    """How the database goes about every statement of a poll."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    event.listen(conn, "before_cursor_execute", note)
    poll(conn)
    event.remove(conn, "before_cursor_execute", note)
    return [
        row.detail
        for statement, values in asked
        for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    ]
