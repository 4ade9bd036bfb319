# SPDX-License-Identifier: EUPL-1.2

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from typer.testing import CliRunner, Result

from adapter.cli.app import app
from adapter.config import load_config
from adapter.simulator import AgreementPlan, SimulatedDso, World, create_world
from adapter.store import (
    Content,
    Database,
    Direction,
    Flow,
    JobKind,
    MessageKind,
    NewDelivery,
    NewJob,
    NewPayload,
    Origin,
    claim_jobs,
    create_delivery,
    find_jobs,
    insert_message,
    migrate,
    open_database,
    park_job,
    pause_lane,
)
from tests.messages import new_message

T = TypeVar("T")
NUMBER = "2023073100048"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands send the logs of the process to the stderr that the runner gave them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that no test changes."""
    return create_world(tmp_path_factory.mktemp("world"), {"voorbeeldstad": AgreementPlan()})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return create_world(tmp_path, {"voorbeeldstad": AgreementPlan()})


def run_command(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def cli() -> Callable[..., Result]:
    return run_command


@dataclass(frozen=True, slots=True)
class Shop:
    """A world with a store, and what the tests need to fill and read it."""

    world: World
    cli: Callable[..., Result]

    @property
    def state(self) -> Path:
        return load_config(self.world.config, {}).state

    @property
    def cpa_id(self) -> str:
        return self.world.authorities[0].cpa_id

    def run(self, *args: object) -> Result:
        return self.cli(*args, "--config", self.world.config)

    def json(self, *args: object) -> Any:
        result = self.run(*args, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def use(self, work: Callable[[Database], Awaitable[T]]) -> T:
        async def within() -> T:
            db = open_database("sqlite", self.state, exclusive=False)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(within())

    def message(self, message_id: str = "m1@dso", job: NewJob | None = None, **changes: Any) -> int:
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "cpa_id": self.cpa_id,
            "message_id": message_id,
            "conversation_id": NUMBER,
            "from_party": "urn:osb:oin:dso",
            "to_party": "urn:osb:oin:ons",
            "service": "Verzoeknotificatie:1:0",
            "action": "verzoeknotificatie",
        }
        new = new_message(now, **(values | changes))
        payloads = (NewPayload(Content(2, "ab" * 32, b"hi"), "p1@dso", "application/xml"),)
        return self.use(lambda db: db.write(insert_message, new, job, now, payloads=payloads))

    def delivery(self, authority: str = "voorbeeldstad", **changes: Any) -> int:
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "authority": authority,
            "sink": "archief",
            "flow": Flow.STAM,
            "origin": Origin.NOTIFICATION,
            "verzoeknummer": NUMBER,
        }
        new = NewDelivery(**(values | changes))
        kind = JobKind.COLLECT if new.flow is Flow.STAM else JobKind.DELIVER
        return self.use(lambda db: db.write(create_delivery, new, NewJob(kind, f"dso:{authority}"), now))

    def park(self, kind: str, reason: str = "the disk is full") -> None:
        now = datetime.now(UTC)

        async def claim_and_park(db: Database) -> None:
            (job,) = await db.write(claim_jobs, "w", now, WEEK, 1, (), (kind,))
            await db.write(park_job, job, reason, now)

        self.use(claim_and_park)

    def jobs(self) -> list[tuple[str, str, int]]:
        jobs = self.use(lambda db: db.read(find_jobs))
        return [(job.kind, job.state.value, job.subject) for job in jobs]


WEEK = datetime(2026, 1, 8, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shop(world: World, cli: Callable[..., Result]) -> Shop:
    found = Shop(world, cli)
    migrate("sqlite", found.state)
    return found


@pytest.fixture(scope="session")
def made(made_once: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a configuration, and a store in which something of everything waits; no test changes it."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(made_once.directory, place, dirs_exist_ok=True)
    shop = Shop(replace(made_once, directory=place), run_command)
    migrate("sqlite", shop.state)
    shop.message("20230731-0001@dso.example", NewJob(JobKind.ROUTE, "route:voorbeeldstad"))
    shop.park(JobKind.ROUTE)
    shop.message("6f1c0a52@adapter.example", direction=Direction.OUT, kind=MessageKind.ACKNOWLEDGMENT)
    shop.delivery()
    shop.park(JobKind.COLLECT)
    shop.use(lambda db: db.write(pause_lane, "sink:voorbeeldstad/archief", "maintenance"))
    document = place / "cpa" / "voorbeeldstad.xml"
    assert shop.run("cpa", "add", document, "--authority", "voorbeeldstad").exit_code == 0
    for name in ("nieuw.xml", "message.http"):
        shutil.copy(document, place / name)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one test, which is the working directory."""
    here = tmp_path / "here"
    shutil.copytree(made, here)
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def dso(shop: Shop) -> Iterator[SimulatedDso]:
    """A simulated DSO-LV in a thread of its own: a command has an event loop for itself."""
    dso = SimulatedDso(shop.world)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(dso.start(), loop).result(30)
    try:
        yield dso
    finally:
        asyncio.run_coroutine_threadsafe(dso.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
