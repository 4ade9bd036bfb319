# SPDX-License-Identifier: EUPL-1.2

"""Waiting for each other where no row or unique key is there to do it.

The embedded database has one writer at a time, so there nobody has to wait.
"""

import hashlib
from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, func, select

_LOCK: Final = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))


def lock_name(conn: Connection, *parts: str) -> None:
    """Let nobody else who locks the same name go on until this transaction ended."""
    if conn.dialect.name == "postgresql":
        conn.execute(_LOCK, {"key": _key(parts)})


def _key(parts: tuple[str, ...]) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
