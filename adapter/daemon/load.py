"""Measuring the load, for back-pressure: what waits, what the spool holds, what is left of its disk."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.config import LimitsConfig
from adapter.msh import Load, Pressure, Room
from adapter.observe import Metrics, get_logger
from adapter.store import Database, StoreProblem, count_waiting

log = get_logger(__name__)

_EVERY: Final = 2.0
_SPOOL_EVERY: Final = 15
"""The spool is walked once in so many measurements: that costs a look at every file."""


def room_of(limits: LimitsConfig) -> Room:
    """The room that a configuration gives."""
    return Room(
        requests=limits.requests,
        requests_per_partner=limits.requests_per_partner,
        backlog=limits.backlog,
        backlog_per_authority=limits.backlog_per_authority,
        spool=limits.spool,
        free=limits.free,
    )


async def watch_load(db: Database, spool: Path, pressure: Pressure, metrics: Metrics) -> None:
    """Keep the load up to date, until cancelled; what cannot be measured stays as it was."""
    number, size = 0, 0
    while True:
        try:
            backlog = await db.read(count_waiting)
            if number % _SPOOL_EVERY == 0:
                size = await asyncio.to_thread(size_of, spool)
                metrics.spool_bytes.set(size)
            usage = await asyncio.to_thread(shutil.disk_usage, spool)
            pressure.load = Load(backlog=backlog, spool=size, free=usage.free)
        except (StoreProblem, SQLAlchemyError, OSError) as problem:
            log.warning("the load cannot be measured now", action="load.not_measured", reason=str(problem))
        number += 1
        await asyncio.sleep(_EVERY)


def size_of(directory: Path) -> int:
    """Octets of the files below a directory; a file that goes while it is looked at does not count. Blocking."""
    total = 0
    for entry in os.scandir(directory):
        try:
            total += size_of(Path(entry.path)) if entry.is_dir() else entry.stat().st_size
        except FileNotFoundError:
            continue
    return total
