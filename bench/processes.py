"""Processes under measurement: the adapter, its CPU time and its memory, read from /proc."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter.simulator import World, running_adapter

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class MeasuredAdapter:
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
async def measured_adapter(world: World) -> AsyncIterator[MeasuredAdapter]:
    """The adapter of a world, from ready to stopped."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with running_adapter(world) as adapter:
        yield MeasuredAdapter(adapter.pid, loop.time() - started)
