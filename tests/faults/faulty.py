# SPDX-License-Identifier: EUPL-1.2

"""The daemon with sinks and a clock that a test disturbs while it runs: `python faulty.py CONFIG ORDERS`.

ORDERS is the directory of `Orders`. The product has no switch for any of this: it is all here.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BufferedWriter
from pathlib import Path

import typer

from adapter.cli.run import run_daemon
from adapter.daemon import Materials
from adapter.delivery import Checkpoint, Handover, Outcome, Permanent, SinkType
from adapter.sinks import DirectoryOptions, DirectorySink, Disk
from adapter.store import sqlite
from adapter.work import Timing, utc_now

LEASE = "FAULTY_LEASE"
"""Where the environment has the lease of a job in seconds, when it is not the one of the product."""

BUSY = "FAULTY_BUSY"
"""Where the environment has the seconds that the embedded database waits for others, when they are others."""


class Orders:
    """What a test wants to go wrong: a word in a file per thing.

    `sink.<authority>` and `disk.<directory>` say what these do, `clock` the seconds that the clock is off. What was
    called is a line in `calls`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)

    def give(self, name: str, word: str) -> None:
        """Order something; it holds until something else is ordered."""
        new = self._directory / f"{name}.new"
        new.write_text(word)
        new.rename(self._directory / name)

    def get(self, name: str) -> str:
        """What was ordered last; empty for nothing."""
        try:
            return (self._directory / name).read_text()
        except FileNotFoundError:
            return ""

    def note(self, line: str) -> None:
        """Say that something was called."""
        with (self._directory / "calls").open("a") as file:
            file.write(f"{line}\n")

    def calls(self) -> list[str]:
        """What was called."""
        return self.get("calls").splitlines()


class ScriptedSink(DirectorySink):
    """A directory sink that does what it is told instead.

    `slow` waits until it is told something else; `hang` never ends; `raise` raises; `refuse` refuses for good; `die`
    delivers, and kills the process before it says so.
    """

    def __init__(self, options: DirectoryOptions, orders: Orders) -> None:
        super().__init__(options, StuckDisk(orders, options.path.name))
        self._orders = orders

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        name = f"sink.{handover.authority}"
        word = self._orders.get(name)
        self._orders.note(f"{name} {handover.verzoeknummer} {word}")
        match word:
            case "slow":
                while self._orders.get(name) == "slow":  # noqa: ASYNC110 - what the test does sets no event
                    await asyncio.sleep(0.02)
            case "hang":
                await asyncio.Event().wait()
            case "raise":
                raise RuntimeError("the application behind this sink broke")
            case "refuse":
                return Permanent("the application behind this sink does not want it")
            case "die":
                await super().deliver(handover, checkpoint)
                os.kill(os.getpid(), signal.SIGKILL)
        return await super().deliver(handover, checkpoint)


class StuckDisk(Disk):
    """A file system whose writes do not come back while the order is `stuck`: a mount whose server is gone."""

    def __init__(self, orders: Orders, name: str) -> None:
        self._orders = orders
        self._name = f"disk.{name}"

    def write(self, handle: BufferedWriter, chunks: Sequence[bytes]) -> None:
        while self._orders.get(self._name) == "stuck":
            time.sleep(0.02)
        super().write(handle, chunks)


def materials(orders: Orders) -> Materials:
    """Everything that touches the world outside, to be disturbed."""

    def sinks() -> tuple[SinkType[DirectoryOptions], ...]:
        return (SinkType("directory", DirectoryOptions, lambda options, _: ScriptedSink(options, orders)),)

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=float(orders.get("clock") or 0))

    sqlite._BUSY_TIMEOUT = float(os.environ.get(BUSY, sqlite._BUSY_TIMEOUT))  # type: ignore[misc]
    lease = timedelta(seconds=float(os.environ.get(LEASE, "60")))
    return Materials(sink_types=sinks, clock=clock, timing=Timing(lease=lease))


def run(config: Path, orders: Path) -> None:
    """Be the daemon, until its end."""
    try:
        run_daemon(config, materials(Orders(orders)))
    except typer.Exit as end:  # as the command line does
        sys.exit(end.exit_code)


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:3]))
