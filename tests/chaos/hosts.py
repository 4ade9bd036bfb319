# SPDX-License-Identifier: EUPL-1.2

"""The daemon of one host, as a process of its own that is started and killed."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adapter.cli.run import run_daemon
from adapter.simulator import AdapterEnded, AdapterProcess, World
from tests.e2e.killable import LEASE, KillSwitch, materials
from tests.forked import fork

NEVER = "none"
LEASE_SECONDS = 2.0


class Crashed(Exception):
    """A daemon ended by itself, or not as it was told to."""


@dataclass(slots=True)
class Host:
    """One host; `world` has its ports and its state directory."""

    world: World
    adapter: AdapterProcess | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self, point: str = NEVER) -> None:
        """Start the daemon, which kills itself at a point; it is not ready yet."""
        process = fork(self.world.adapter_log, _run, self.world.config, point)
        self.adapter = AdapterProcess(self.world, cast(Process, process))

    async def until_ready(self) -> None:
        """Wait until the daemon is ready. Raises AdapterEnded where it ends before that."""
        await self._running().until_ready()

    async def until_ready_or_dead(self) -> bool:
        """Wait until the daemon is ready, or dead before it is; return whether it is ready."""
        try:
            await self.until_ready()
        except AdapterEnded:
            return False
        return True

    async def until_dead(self, seconds: float) -> bool:
        """Wait until the daemon is dead, at most so long; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._running().wait()
        except TimeoutError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """Kill the daemon, if it still lives. Raises Crashed where it ended in any other way than by SIGKILL."""
        self._expect(await self._running().kill(), -signal.SIGKILL)

    async def stop(self) -> None:
        """Stop the daemon as systemd does. Raises Crashed where it does not stop in good order."""
        self._expect(await self._running().stop(), 0)

    async def end(self) -> None:
        """Leave no process behind."""
        if self.adapter is not None:
            await self.adapter.kill()

    def _expect(self, found: int, expected: int) -> None:
        if found != expected:
            log = self.world.adapter_log.read_text(errors="replace")
            raise Crashed(f"the daemon ended with {found} instead of {expected}: {log[-5000:]}")

    def _running(self) -> AdapterProcess:
        if self.adapter is None:
            raise RuntimeError("the daemon of this host was not started yet")
        return self.adapter


def _run(config: Path, point: str) -> None:
    """What the process does."""
    os.environ[LEASE] = str(LEASE_SECONDS)
    run_daemon(config, materials(KillSwitch(point, config.parent / "trace")))
