# SPDX-License-Identifier: EUPL-1.2

"""The adapter as a receiver: the daemons of one store, and the lanes of their routes to hold work back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from adapter.store import Database, open_database, pause_lane, resume_lane
from bench.measuring import until_delivered
from bench.processes import MeasuredAdapter, cpu_of_family, measured_adapter
from bench.sites import Site
from tests.postgresql import Server


@dataclass(frozen=True, slots=True)
class Daemons:
    """The running daemons of one store; `server` is its database where that is a process of its own."""

    sites: Sequence[Site]
    adapters: Sequence[MeasuredAdapter]
    db: Database
    server: Server | None = None

    @property
    def endpoints(self) -> Sequence[str]:
        """Where they receive."""
        return [site.world.adapter_endpoint for site in self.sites]

    def cpu(self) -> float:
        """CPU time so far of all daemons, in seconds."""
        return sum(adapter.cpu() for adapter in self.adapters)

    def database_cpu(self) -> float:
        """CPU time so far of the server with all its processes, in seconds."""
        if self.server is None or self.server.process is None:
            return 0.0
        return cpu_of_family(self.server.process.pid)

    def peak_memory(self) -> float:
        """The largest resident size so far, in MiB, of the largest of them."""
        return max(adapter.peak_memory() for adapter in self.adapters)

    async def hold(self) -> None:
        """Pause what follows on receiving, as `stam-adapter lane pause` does: the jobs are made, and wait."""
        for lane in self._lanes():
            await self.db.write(pause_lane, lane, "a benchmark measures what comes before")

    async def release(self, messages: int) -> None:
        """Resume it, and wait until so many more messages are in their sinks."""
        target = self.delivered() + messages
        for lane in self._lanes():
            await self.db.write(resume_lane, lane)
        await until_delivered(self.delivered, target)

    def delivered(self) -> int:
        """How many messages are in the sinks."""
        return self.sites[0].delivered()

    def _lanes(self) -> Sequence[str]:
        return [f"route:{authority.name}" for authority in self.sites[0].world.authorities]


@asynccontextmanager
async def running_daemons(sites: Sequence[Site], server: Server | None = None) -> AsyncIterator[Daemons]:
    """The daemons of these sites, which are those of one store, from ready to stopped."""
    async with AsyncExitStack() as running:
        adapters = [await running.enter_async_context(measured_adapter(site.world)) for site in sites]
        db = open_database(sites[0].store, sites[0].state, exclusive=False)
        running.push_async_callback(db.close)
        yield Daemons(sites, adapters, db, server)
