# SPDX-License-Identifier: EUPL-1.2

"""Measuring the load, for back-pressure: what waits, what the spool holds, what is left of its disk."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.config import LimitsConfig
from adapter.msh import Load, Pressure, Room
from adapter.observe import Metrics, get_logger
from adapter.store import Database, Spool, StoreProblem, count_waiting, spooled_octets, spooled_per_authority

log = get_logger(__name__)

_EVERY: Final = 2.0
_SPOOL_EVERY: Final = 15
"""The spool is measured once in so many times: that costs a look at every file, or at every row that names one."""


def room_of(limits: LimitsConfig) -> Room:
    """The room that a configuration gives."""
    return Room(
        requests=limits.requests,
        requests_per_partner=limits.requests_per_partner,
        backlog=limits.backlog,
        backlog_per_authority=limits.backlog_per_authority,
        spool=limits.spool,
        spool_per_authority=limits.spool_per_authority,
        free=limits.free,
    )


async def watch_load(db: Database, spool: Spool, state: Path, pressure: Pressure, metrics: Metrics) -> None:
    """Keep the load up to date, until cancelled; what cannot be measured stays as it was.

    What is free is that of the disk of the spool; where it has none, that of the state directory.
    """
    number, size = 0, 0
    size_of_each: Mapping[str, int] = {}
    while True:
        try:
            backlog = await db.read(count_waiting)
            if number % _SPOOL_EVERY == 0:
                size = await _size_of(spool, db)
                metrics.spool_bytes.set(size)
                await _show_disks(spool, state, metrics)
                if pressure.room.spool_per_authority is not None:
                    size_of_each = await db.read(spooled_per_authority)
            free = await spool.free()
            if free is None:
                free = await _free(state)
            pressure.load = Load(backlog=backlog, spool=size, spool_of=size_of_each, free=free)
        except (StoreProblem, SQLAlchemyError, OSError) as problem:
            log.warning("the load cannot be measured now", action="load.not_measured", reason=str(problem))
        number += 1
        await asyncio.sleep(_EVERY)


async def _free(directory: Path) -> int:
    return (await asyncio.to_thread(shutil.disk_usage, directory)).free


async def _show_disks(spool: Spool, state: Path, metrics: Metrics) -> None:
    metrics.disk_free_bytes.labels("state").set(await _free(state))
    free = await spool.free()
    if free is not None:
        metrics.disk_free_bytes.labels("spool").set(free)


async def _size_of(spool: Spool, db: Database) -> int:
    size = await spool.size()
    return await db.read(spooled_octets) if size is None else size
