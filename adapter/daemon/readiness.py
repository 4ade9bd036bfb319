# SPDX-License-Identifier: EUPL-1.2

"""Why the daemon is not ready: each check says what is wrong and what mends it."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.admin import ReadyCheck
from adapter.daemon.clock import StoreClock
from adapter.daemon.crls import CrlFetcher
from adapter.daemon.listener import Listener
from adapter.daemon.registry import Registry
from adapter.store import Database, Spool, SpoolUnavailable, StoreProblem, count_jobs
from adapter.work import Worker

MIN_FREE: Final = 256 * 1024 * 1024
"""Octets that must be free where the state is kept: less, and the next large message may not fit."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checks behind /health/ready."""

    db: Database
    spool: Spool
    worker: Worker
    registry: Registry
    state: Path
    clock: StoreClock
    listener: Listener
    fetcher: CrlFetcher | None = None

    def checks(self) -> Mapping[str, ReadyCheck]:
        """The checks by their name in the log."""
        return {
            "listener": self.listens,
            "database": self.database,
            "worker": self.jobs,
            "disk": self.disk,
            "payloads": self.payloads,
            "agreements": self.agreements,
            "revocation": self.revocation,
            "clock": self.clock.problems,
        }

    async def listens(self) -> list[str]:
        """Partners can connect."""
        return (
            [] if self.listener.is_open else ["partners cannot connect: the daemon is starting or stopping"]
        )

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
        usage = await asyncio.to_thread(shutil.disk_usage, self.state)
        in_spool = await self.spool.free()  # it may be on a shared file system, or nobody can say
        for free, place in ((usage.free, str(self.state)), (in_spool, "the spool")):
            if free is not None and free < MIN_FREE:
                return [f"only {free // 2**20} MiB are free at {place}; make room for at least 256 MiB"]
        return []

    async def payloads(self) -> list[str]:
        """The spool can be reached."""
        try:
            await self.spool.reach()
        except SpoolUnavailable as problem:
            return [str(problem)]
        return []

    async def agreements(self) -> list[str]:
        """There is something to receive under."""
        if any(True for _ in self.registry.current().agreements()):
            return []
        return ["no agreement can be used; add one with `stam-adapter cpa add`, or see the log for why not"]

    async def revocation(self) -> list[str]:
        """Everybody whose certificate holds can be let in."""
        return [] if self.fetcher is None else self.fetcher.problems()
