# SPDX-License-Identifier: EUPL-1.2

"""The daemon with a kill switch, as a process that a test forks.

Store, spool and disk of the sink are wrapped; each of their steps has a label, `<label>#<n>` at its n-th time. The
process kills itself at POINT (`none` for never), or hangs there for ever (`hang:POINT`), and appends every label it
passes to TRACE. The product has no switch for this: it is all here.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from io import BufferedWriter
from pathlib import Path
from threading import Event, Lock
from typing import Any

from adapter.cli.run import run_daemon
from adapter.config import Config
from adapter.daemon import Materials
from adapter.delivery import SinkType
from adapter.sinks import SINK_TYPES, DirectoryOptions, DirectorySink, Disk
from adapter.store import Content, Database, Spool, SpoolWriter, open_database, open_spool
from adapter.work import Timing

LEASE = "KILLABLE_LEASE"
"""Where the environment has the lease of a job in seconds, when it is not the one of the product."""

GRACE = "KILLABLE_GRACE"
STOP = "KILLABLE_STOP"
"""The same for the times in which a stop lets work end, and ends altogether."""

HANG = "hang:"

IDLE = {
    *("_claim_and_look", "renew_leases", "release_all", "release_jobs"),
    *("_import_all", "keep_schedule", "drop_schedules", "_timed"),
    *("keep_channels", "forget_contacts", "_look"),
}
"""What the worker and the checks of health write all the time, and what happens before anything is received."""


class KillSwitch:
    """Passes labels until it is at the point where the process must die, or hang."""

    def __init__(self, point: str, trace: Path) -> None:
        self._point = point.removeprefix(HANG)
        self._hangs = point.startswith(HANG)
        self._trace = trace
        self._passed: Counter[str] = Counter()
        self._lock = Lock()

    def at(self, label: str) -> None:
        """Pass a label; or die at it, or hang with the thread that came here."""
        if self.passes(label):
            return
        Event().wait()

    async def reach(self, label: str) -> None:
        """The same for who waits without a thread."""
        if not self.passes(label):
            await asyncio.Event().wait()

    def passes(self, label: str) -> bool:
        """Note a label, and die at the point where that is wanted; whether to go on."""
        with self._lock:
            self._passed[label] += 1
            name = f"{label}#{self._passed[label]}"
            with self._trace.open("a") as file:
                file.write(f"{name}\n")
            if name != self._point:
                return True
            if not self._hangs:
                os.kill(os.getpid(), signal.SIGKILL)
            return False


class KillingDatabase(Database):
    """A database that may die just before a transaction, and just after its commit."""

    def __init__(self, inner: Database, switch: KillSwitch) -> None:
        self.changes = inner.changes  # type: ignore[misc]
        self._inner = inner
        self._switch = switch

    async def write(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function.__name__ in IDLE:
            return await self._inner.write(function, *args, **kwargs)
        await self._switch.reach(f"before {function.__name__}")
        result = await self._inner.write(function, *args, **kwargs)
        await self._switch.reach(f"after {function.__name__}")
        return result

    async def read(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await self._inner.read(function, *args, **kwargs)

    async def wait_for_change(self, timeout: float, since: int | None = None) -> None:  # noqa: ASYNC109
        await self._inner.wait_for_change(timeout, since)

    async def close(self) -> None:
        await self._inner.close()

    async def _changed_elsewhere(self) -> bool:
        return await self._inner._changed_elsewhere()


def killing_spool(spool: Spool, switch: KillSwitch) -> Spool:
    """A spool, of whatever kind, whose writers may die before a content is durable, and after."""
    make = spool.writer

    def writer() -> SpoolWriter:
        made = make()
        real = made.commit

        async def commit() -> Content:
            switch.at("before spool")
            content = await real()
            switch.at("after spool")
            return content

        made.commit = commit  # type: ignore[method-assign]
        return made

    spool.writer = writer  # type: ignore[method-assign]
    return spool


class KillingDisk(Disk):
    """The disk of a directory sink that may die before each of its operations."""

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch

    def make_directory(self, path: Path) -> None:
        self._switch.at("before make_directory")
        super().make_directory(path)

    def create(self, path: Path) -> BufferedWriter:
        self._switch.at("before create")
        return super().create(path)

    def write(self, handle: BufferedWriter, chunks: Sequence[bytes]) -> None:
        self._switch.at("before write")
        super().write(handle, chunks)

    def sync(self, handle: BufferedWriter) -> None:
        self._switch.at("before sync")
        super().sync(handle)

    def sync_directory(self, path: Path) -> None:
        self._switch.at("before sync_directory")
        super().sync_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        self._switch.at("before rename")
        super().rename(source, target)
        self._switch.at("after rename")


def materials(switch: KillSwitch) -> Materials:
    """Everything that touches the world outside, with the switch in it."""

    def database(config: Config) -> Database:
        return KillingDatabase(open_database(config.store.url, config.state, exclusive=True), switch)

    def spool(config: Config) -> Spool:
        return killing_spool(open_spool(config), switch)

    def sinks() -> tuple[SinkType[Any], ...]:
        killing = SinkType(
            "directory",
            DirectoryOptions,
            lambda options, _: DirectorySink(options, KillingDisk(switch)),
        )
        return killing, *(one for one in SINK_TYPES if one.name != "directory")

    lease = timedelta(seconds=float(os.environ.get(LEASE, "60")))
    return Materials(
        open_database=database,
        open_spool=spool,
        sink_types=sinks,
        timing=Timing(lease=lease),
        grace=timedelta(seconds=float(os.environ.get(GRACE, "20"))),
        stop=timedelta(seconds=float(os.environ.get(STOP, "50"))),
    )


def run(config: Path, point: str, trace: Path) -> None:
    """Be the daemon, until its end or the point."""
    run_daemon(config, materials(KillSwitch(point, trace)))
