# SPDX-License-Identifier: EUPL-1.2

"""The load as the benchmark sees it: a process to be asked for messages, and its CPU time."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from adapter.simulator import World
from bench.processes import cpu_of

_LONGEST_LINE = 64 * 1024 * 1024


class LoadFailed(Exception):
    """The load could not do what was asked; the text is its own."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What sending came to, in seconds; the latencies are sorted."""

    seconds: float
    latencies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    """The running load of one world."""

    process: asyncio.subprocess.Process

    def cpu(self) -> float:
        """CPU time so far, in seconds."""
        return cpu_of(self.process.pid)

    async def prepare(self, number: int, cpa_ids: Sequence[str], size: int | None = None) -> None:
        """Make and sign messages, by turns under these agreements; with a payload of a size, or a notification."""
        await self._ask("prepare", number=number, cpa_ids=list(cpa_ids), size=size)

    async def send(self, endpoints: Sequence[str], senders: int) -> Sent:
        """Send what was prepared. Raises LoadFailed where one message is not answered as it should be."""
        answer = await self._ask("send", endpoints=list(endpoints), senders=senders)
        return Sent(answer["seconds"], tuple(answer["latencies"]))

    async def acknowledged(self) -> float:
        """Wait until all that was sent is acknowledged; the seconds since the first POST."""
        return float((await self._ask("acknowledged"))["seconds"])

    async def _ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        if self.process.stdin is None:
            raise LoadFailed("the load has no standard input")
        self.process.stdin.write(json.dumps({"command": command} | arguments).encode() + b"\n")
        return await _answer(self.process)


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = await process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise LoadFailed("the load ended")
    answer: dict[str, Any] = json.loads(line)
    if "problem" in answer:
        raise LoadFailed(answer["problem"])
    return answer


@asynccontextmanager
async def running_load(world: World) -> AsyncIterator[Generator]:
    """The partner of all authorities of a world, from listening to stopped."""
    settings = world.directory / "load.json"
    cpas = [str(authority.cpa_path) for authority in world.authorities]
    tls = str(world.directory / "tls")
    settings.write_text(json.dumps({"tls": tls, "cpas": cpas, "port": world.ports.dso_ebms}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", str(settings)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        await _answer(process)
        yield Generator(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
