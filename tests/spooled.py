# SPDX-License-Identifier: EUPL-1.2

"""What the rows of a store say of its spool."""

from sqlalchemy import Connection, select, union

from adapter.store.schema import delivery_file, payload


def known_spool_keys(conn: Connection) -> frozenset[str]:
    """All the keys that a row names."""
    query = union(
        *(
            select(table.c.spool_key).where(table.c.spool_key.is_not(None))
            for table in (payload, delivery_file)
        )
    )
    return frozenset(conn.execute(query).scalars())
