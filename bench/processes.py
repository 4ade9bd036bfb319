"""Processes under measurement: the adapter, its CPU time and its memory, read from /proc."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from adapter.simulator import World

_TICKS = os.sysconf("SC_CLK_TCK")
_START = 30.0


@dataclass(frozen=True, slots=True)
class RunningAdapter:
    """The daemon of a world, as a process; `ready_after` is in seconds."""

    pid: int
    ready_after: float

    def cpu(self) -> float:
        """CPU time so far, in seconds, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_memory(self) -> float:
        """The largest resident size so far, in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise LookupError("the kernel does not say")


@asynccontextmanager
async def running_adapter(world: World) -> AsyncIterator[RunningAdapter]:
    """The adapter of a world, from ready to stopped."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    with (world.directory / "adapter.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapter", "run", "--config", str(world.config), stdout=log, stderr=log
        )
    try:
        await _until_ready(world, process)
        yield RunningAdapter(process.pid, loop.time() - started)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(world: World, process: asyncio.subprocess.Process) -> None:
    url = f"http://127.0.0.1:{world.ports.admin}/health/ready"
    async with aiohttp.ClientSession() as session, asyncio.timeout(_START):
        while process.returncode is None:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # it does not listen yet: that is what is waited for
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the adapter did not start; see {world.directory / 'adapter.log'}")
