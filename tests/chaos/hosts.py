"""The daemon of one host, as a process of its own that can be started and killed many times in a minute.

A process that has imported everything already is forked at each start, which saves most of the second that a start
takes; for what happens from there on it is like any other.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import aiohttp

from adapter.cli.run import run_daemon
from adapter.simulator import World
from tests.e2e.conftest import START, until
from tests.e2e.killable import LEASE, KillSwitch, materials

NEVER = "none"
LEASE_SECONDS = 2.0

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["adapter.cli.run", "tests.e2e.killable"])


class Crashed(Exception):
    """A daemon ended by itself, or not as it was told to."""


@dataclass(slots=True)
class Host:
    """One host; `world` has its ports and its state directory."""

    world: World
    process: ForkServerProcess | None = None

    @property
    def log(self) -> str:
        return _log(self.world.directory).read_text(errors="replace")

    @property
    def pid(self) -> int:
        pid = self._running().pid
        if pid is None:
            raise RuntimeError("the process was not started")
        return pid

    def start(self, point: str = NEVER) -> None:
        """Start the daemon, which kills itself at a point; it is not ready yet."""
        process = _forking.Process(target=_run, args=(self.world.config, point))
        process.start()
        self.process = process

    async def is_ready(self) -> bool:
        """Whether the daemon answers that it is ready."""
        url = f"http://127.0.0.1:{self.world.ports.admin}/health/ready"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def until_ready(self) -> None:
        """Wait until the daemon is ready. Raises Crashed where it ends before that."""
        if not await self.until_ready_or_dead():
            raise Crashed(self.log[-5000:])

    async def until_ready_or_dead(self) -> bool:
        """Wait until the daemon is ready, or dead before it is; return whether it is ready."""
        process = self._running()

        async def either() -> bool:
            return not process.is_alive() or await self.is_ready()

        await until(either, START)
        return process.is_alive()

    async def until_dead(self, seconds: float) -> bool:
        """Wait until the daemon is dead, at most so long; return whether it is."""
        process = self._running()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(process.sentinel, ended.set)
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(process.sentinel)
        process.join()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """Kill the daemon, if it still lives. Raises Crashed where it ended in any other way than by SIGKILL."""
        process = self._running()
        process.kill()
        await self.until_dead(START)
        if process.exitcode != -signal.SIGKILL:
            raise Crashed(self.log[-5000:])

    async def stop(self) -> None:
        """Stop the daemon as systemd does. Raises Crashed where it does not stop in good order."""
        process = self._running()
        process.terminate()
        if not await self.until_dead(START) or process.exitcode != 0:
            raise Crashed(self.log[-5000:])

    def end(self) -> None:
        """Leave no process behind."""
        if self.process is not None and self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _running(self) -> ForkServerProcess:
        if self.process is None:
            raise RuntimeError("the daemon of this host was not started yet")
        return self.process


def _log(directory: Path) -> Path:
    return directory / "adapter.log"


def _run(config: Path, point: str) -> None:
    """What the process does."""
    with _log(config.parent).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.environ[LEASE] = str(LEASE_SECONDS)
    run_daemon(config, materials(KillSwitch(point, config.parent / "trace")))
