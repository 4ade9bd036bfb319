"""Processes under measurement: their CPU time and their memory, read from /proc; and the adapter as one of them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.sites import Site

_TICKS = os.sysconf("SC_CLK_TCK")
_START = 600.0


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
class RunningAdapter:
    """The daemon of a site, as a process, and what it took to be ready."""

    pid: int
    start: Start

    def cpu(self) -> float:
        """CPU time so far, in seconds, of all threads."""
        return cpu_of(self.pid)

    def peak_memory(self) -> float:
        """The largest resident size so far, in MiB."""
        return peak_memory(self.pid)


@asynccontextmanager
async def running_adapter(site: Site) -> AsyncIterator[RunningAdapter]:
    """The adapter of a site, from ready to stopped."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    with site.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapter", "run", "--config", str(site.config)), stdout=log, stderr=log
        )
    try:
        await _until_ready(site, process)
        yield RunningAdapter(process.pid, Start(loop.time() - started, cpu_of(process.pid)))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(site: Site, process: asyncio.subprocess.Process) -> None:
    url = f"http://127.0.0.1:{site.ports.admin}/health/ready"
    async with aiohttp.ClientSession() as session, asyncio.timeout(_START):
        while process.returncode is None:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # it does not listen yet: that is what is waited for
            await asyncio.sleep(0.01)
    raise RuntimeError(f"the adapter did not start: {site.log.read_text()[-2000:]}")
