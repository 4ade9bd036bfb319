# SPDX-License-Identifier: EUPL-1.2

"""Live: what a restart mends, and the watchdog that is fed only while nothing is stuck or dead."""

import asyncio
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapter.daemon.background import Background
from adapter.daemon.pulse import Pulse
from adapter.daemon.systemd import ServiceManager
from adapter.store import migrate, open_database

STUCK = timedelta(seconds=60)


class Body:
    """A process that a test makes sick, with a manager that hears of it."""

    def __init__(self, directory: Path) -> None:
        self.time = 1000.0
        self.database = 0.0
        self.dead: list[str] = []
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.heard.bind(str(directory / "notify"))
        manager = ServiceManager(str(directory / "notify"), timedelta(milliseconds=40))
        self.pulse = Pulse(
            manager, STUCK, lambda: self.database, lambda: self.dead, monotonic=lambda: self.time
        )

    def is_fed(self) -> bool:
        """Whether the manager hears that all is well when somebody looks now."""
        self.pulse.look()
        try:
            return self.heard.recv(1000) == b"WATCHDOG=1"
        except BlockingIOError:
            return False


@pytest.fixture
def body(tmp_path: Path) -> Iterator[Body]:
    made = Body(tmp_path)
    yield made
    made.heard.close()


def test_the_watchdog_is_fed_while_the_process_lives(body: Body) -> None:
    assert body.pulse.reasons() == []
    assert body.is_fed()


def test_an_event_loop_that_does_nothing_is_not_live_and_the_log_says_what_it_is_at(body: Body) -> None:
    body.time += 61
    with capture_logs() as logs:
        assert not body.is_fed()
        assert not body.is_fed()
    assert "the event loop has done nothing for 61 s" in body.pulse.reasons()[0]
    (line,) = logs
    assert line["action"] == "daemon.not_live"
    assert "test_an_event_loop_that_does_nothing" in line["stack"]


@pytest.mark.parametrize("seconds", [61, math.inf], ids=["stuck", "dead"])
def test_a_database_thread_that_gets_nowhere_is_not_live(body: Body, seconds: float) -> None:
    body.database = seconds
    assert "its disk hangs" in body.pulse.reasons()[0]
    assert not body.is_fed()
    body.database = 0
    assert body.is_fed()


def test_a_loop_that_died_is_not_live(body: Body) -> None:
    body.dead = ["registry"]
    assert body.pulse.reasons() == ["registry does not run any more; restart the daemon, and see its log"]
    assert not body.is_fed()


async def test_the_thread_feeds_the_watchdog_at_half_its_time(body: Body) -> None:
    beating = asyncio.create_task(body.pulse.beat())
    for _ in range(3):
        assert await asyncio.get_running_loop().sock_recv(body.heard, 100) == b"WATCHDOG=1"
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


async def test_an_event_loop_that_was_late_is_a_warning(tmp_path: Path) -> None:
    pulse = Pulse(ServiceManager(), STUCK, lambda: 0.0, list)
    beating = asyncio.create_task(pulse.beat())
    await asyncio.sleep(0)
    time.sleep(0.8)  # noqa: ASYNC251 - what keeps the loop waiting is the point
    while not pulse.lag:  # noqa: ASYNC110 - the beat sets no event
        await asyncio.sleep(0)
    (trouble,) = await pulse.troubles(timedelta(milliseconds=10))
    assert "late within the last minute" in trouble.text
    assert not trouble.stops
    assert await pulse.troubles(timedelta(hours=1)) == []
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


async def test_a_database_thread_says_for_how_long_it_has_been_at_one_thing(tmp_path: Path) -> None:
    await asyncio.to_thread(migrate, "sqlite", tmp_path)
    db = open_database("sqlite", tmp_path, exclusive=False)
    assert db.stuck() == 0
    at_it, hang = threading.Event(), threading.Event()

    def write(_: object) -> None:
        at_it.set()
        hang.wait()

    writing = asyncio.ensure_future(db.write(write))
    await asyncio.to_thread(at_it.wait)
    first = db.stuck()
    assert db.stuck() > first > 0
    hang.set()
    await writing
    while db.stuck():  # noqa: ASYNC110 - of a thread that sets no event
        await asyncio.sleep(0)
    await db.close()
    assert db.stuck() == 0


async def test_background_work_that_dies_is_said_at_once_and_missed() -> None:
    async def dies() -> None:
        raise RuntimeError("broken")

    async def ends() -> None:
        return

    closing = AsyncExitStack()
    background = Background(closing)
    with capture_logs() as logs:
        tasks = [background.start(dies(), "registry"), background.start(ends(), "sweep", ends=True)]
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
    assert [(line["action"], line["name"]) for line in logs] == [("daemon.background_failed", "registry")]
    assert background.dead() == ["registry"]
    await closing.aclose()
    assert background.dead() == []
