# SPDX-License-Identifier: EUPL-1.2

"""The adapter of a world in a process of its own: started, awaited until it is ready, and stopped."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from adapter.simulator.world import World

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 60.0
_POLL: Final = 0.02


class AdapterEnded(Exception):
    """The adapter ended before it was ready; its log says why."""


@dataclass(frozen=True, slots=True)
class AdapterProcess:
    """The daemon of a world as a process; what it says is added to the log of the world."""

    world: World
    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, world: World, *arguments: str) -> Self:
        """Start the daemon; with `arguments` for Python, what they name in its place. It need not be ready yet."""
        command = arguments or ("-m", "adapter", "run", "--config", str(world.config))
        with world.adapter_log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=log, stderr=log)
        return cls(world, process)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.process.returncode

    async def until_ready(self) -> None:
        """Wait until the daemon says that it is ready. Raises AdapterEnded and TimeoutError."""
        url = f"http://127.0.0.1:{self.world.ports.admin}/health/ready"
        async with aiohttp.ClientSession() as session, asyncio.timeout(_START_SECONDS):
            while self.returncode is None:
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass  # it does not listen yet: that is what is waited for
                await asyncio.sleep(_POLL)
        raise AdapterEnded(f"the adapter ended before it was ready; see {self.world.adapter_log}")

    async def stop(self) -> int:
        """Stop the process as systemd does, by force when it does not end by itself; its exit code."""
        if self.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End the process at once, where it still runs; its exit code."""
        if self.returncode is None:
            self.process.kill()
        return await self.process.wait()

    async def wait(self) -> int:
        """Wait until the process has ended by itself; its exit code."""
        return await self.process.wait()


@asynccontextmanager
async def running_adapter(world: World) -> AsyncIterator[AdapterProcess]:
    """The daemon of a world, from ready to stopped. Raises AdapterEnded and TimeoutError."""
    adapter = await AdapterProcess.start(world)
    try:
        await adapter.until_ready()
        yield adapter
    finally:
        await adapter.stop()
