# SPDX-License-Identifier: EUPL-1.2

"""What the rows say of the spool: which contents they name, and how much that is."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select, union, union_all

from adapter.store.schema import delivery, delivery_file, message, payload


def named_keys(conn: Connection, keys: Collection[str]) -> frozenset[str]:
    """Those of the keys of the spool that a row names."""
    named = union(
        *(select(table.c.spool_key).where(table.c.spool_key.in_(keys)) for table in (payload, delivery_file))
    )
    return frozenset(conn.execute(named).scalars())


def spooled_octets(conn: Connection) -> int:
    """How many octets the contents have that rows name in the spool."""
    return sum(
        conn.execute(
            select(func.coalesce(func.sum(table.c.size), 0)).where(table.c.spool_key.is_not(None))
        ).scalar_one()
        for table in (payload, delivery_file)
    )


def spooled_per_authority(conn: Connection) -> Mapping[str, int]:
    """How many octets the contents of each authority have that rows name in the spool."""
    sizes = union_all(
        select(message.c.authority, payload.c.size)
        .join(message, payload.c.message == message.c.id)
        .where(payload.c.spool_key.is_not(None)),
        select(delivery.c.authority, delivery_file.c.size)
        .join(delivery, delivery_file.c.delivery == delivery.c.id)
        .where(delivery_file.c.spool_key.is_not(None)),
    ).subquery()
    query = select(sizes.c.authority, func.sum(sizes.c.size)).group_by(sizes.c.authority)
    return {authority: int(octets) for authority, octets in conn.execute(query)}
