# SPDX-License-Identifier: EUPL-1.2

"""Waiting until something is so in the store."""

import asyncio
from collections.abc import Awaitable, Callable

from adapter.store import Database


async def until_stored(db: Database, condition: Callable[[], Awaitable[bool]], patience: float) -> None:
    """Look after every change of the store until a condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(patience):
        while True:
            seen = db.changes.count
            if await condition():
                return
            await db.wait_for_change(0.1, since=seen)
