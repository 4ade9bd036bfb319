"""Why the daemon is not ready: each check says what is wrong and what mends it."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.admin import ReadyCheck
from adapter.daemon.registry import Registry
from adapter.store import Database, StoreProblem, count_jobs
from adapter.work import Worker

MIN_FREE: Final = 256 * 1024 * 1024
"""Octets that must be free where the state is kept: less, and the next large message may not fit."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checks behind /health/ready."""

    db: Database
    worker: Worker
    registry: Registry
    state: Path

    def checks(self) -> Mapping[str, ReadyCheck]:
        """The checks by their name in the log."""
        return {
            "database": self.database,
            "worker": self.jobs,
            "disk": self.disk,
            "agreements": self.agreements,
        }

    async def database(self) -> list[str]:
        """The store answers."""
        try:
            await self.db.read(count_jobs)
        except (StoreProblem, SQLAlchemyError) as problem:
            return [f"the database does not answer ({type(problem).__name__}); see the log of the daemon"]
        return []

    async def jobs(self) -> list[str]:
        """The worker works."""
        return (
            [] if self.worker.is_healthy else ["the worker does not run; restart the daemon and see its log"]
        )

    async def disk(self) -> list[str]:
        """There is room for what comes in."""
        found = []
        for place in (self.state, self.state / "spool"):  # the spool may be on a shared file system
            usage = await asyncio.to_thread(shutil.disk_usage, place)
            if usage.free < MIN_FREE:
                found.append(
                    f"only {usage.free // 2**20} MiB are free at {place}; make room for at least 256 MiB"
                )
        return found[:1]

    async def agreements(self) -> list[str]:
        """There is something to receive under."""
        if any(True for _ in self.registry.current().agreements()):
            return []
        return ["no agreement can be used; add one with `stam-adapter cpa add`, or see the log for why not"]
