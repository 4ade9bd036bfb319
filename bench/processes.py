# SPDX-License-Identifier: EUPL-1.2

"""Processes under measurement: their CPU time and their memory, read from /proc; and the adapter as one of them."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adapter.simulator import AdapterProcess, World

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 20


def cpu_of(pid: int) -> float:
    """CPU time of a process so far, in seconds, of all its threads and of its children that ended."""
    fields = _fields(pid)
    return sum(int(field) for field in fields[11:15]) / _TICKS


def cpu_of_family(pid: int) -> float:
    """CPU time of a process and all its children, those that ended included."""
    children = [found for found in Path("/proc").iterdir() if found.name.isdecimal()]
    total = cpu_of(pid)
    for child in children:
        try:
            if int(_fields(int(child.name))[1]) == pid:
                total += cpu_of(int(child.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended, and counts with its parent
    return total


def peak_memory(pid: int) -> float:
    """The largest resident size of a process so far, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("the kernel does not say")


def _fields(pid: int) -> list[str]:
    """What /proc says of a process after its name, from its state on (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True, slots=True)
class Start:
    """From start to ready, in seconds; and the CPU time of that, which depends less on what else runs."""

    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class MeasuredAdapter:
    """The daemon of a world, as a process, and what it took to be ready."""

    pid: int
    start: Start

    def cpu(self) -> float:
        """CPU time so far, in seconds, of all threads."""
        return cpu_of(self.pid)

    def peak_memory(self) -> float:
        """The largest resident size so far, in MiB."""
        return peak_memory(self.pid)


@asynccontextmanager
async def measured_adapter(world: World) -> AsyncIterator[MeasuredAdapter]:
    """The adapter of a world, from ready to stopped."""
    started = time.perf_counter()
    adapter = await AdapterProcess.start(world)
    try:
        await _until_ready(adapter)
        yield MeasuredAdapter(adapter.pid, Start(time.perf_counter() - started, cpu_of(adapter.pid)))
    finally:
        await adapter.stop()


async def _until_ready(adapter: AdapterProcess) -> None:
    """Wait longer than it waits by itself: one with a thousand authorities has a thousand keys to load."""
    for _ in range(_PATIENCE):
        with suppress(TimeoutError):
            return await adapter.until_ready()
    raise TimeoutError(f"the adapter is not ready; see {adapter.world.adapter_log}")
