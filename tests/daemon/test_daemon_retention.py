# SPDX-License-Identifier: EUPL-1.2

"""Retention as the daemon does it, over a verzoek that came the whole way."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from adapter.config import Config, load_config
from adapter.daemon import Daemon, Materials, Purger, RetentionTask, effective_policy
from adapter.observe import Metrics
from adapter.simulator import (
    ACTION,
    SERVICE,
    AgreementPlan,
    DocumentSpec,
    Payload,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    notification_xml,
    verzoeknummer,
)
from adapter.store import (
    Database,
    DeliveryState,
    FileSpool,
    MessageState,
    NewMessage,
    NewPayload,
    Periods,
    RetentionPolicy,
    events_for,
    find_deliveries,
    find_messages,
    insert_message,
    migrate,
    open_database,
    set_message_state,
)
from tests.clock import Clock
from tests.messages import new_message

MARKER = b"BSN-999990019"
DAY = timedelta(days=1)
KILLED = Path(__file__).with_name("killed_purge.py")


@dataclass
class Place:
    """A world, and a daemon over it whose clock can be shifted."""

    world: World
    dso: SimulatedDso
    clock: Clock = field(default_factory=Clock)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def config(self) -> Config:
        return load_config(self.world.config, {})

    @property
    def state(self) -> Path:
        return self.config.state

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Database]:
        """A running daemon, and its store."""
        opened: list[Database] = []

        def database(config: Config) -> Database:
            opened.append(open_database(config.store.url, config.state, exclusive=True))
            return opened[0]

        daemon = Daemon(self.config, Materials(open_database=database, clock=self.clock), self.metrics)
        await daemon.start()
        try:
            yield opened[0]
        finally:
            await daemon.stop()

    def task(self, db: Database) -> RetentionTask:
        purger = Purger(db, FileSpool(self.state / "spool"))
        return RetentionTask(lambda: self.config, purger, self.metrics, self.clock)

    async def deliver(self, db: Database) -> SimulatedVerzoek:
        """A verzoek with the marker in its notification and its XML, and a large document, comes the whole way."""
        verzoek = secret_verzoek(self.world)
        self.dso.api.publish(verzoek)
        payload = Payload(notification_xml(verzoek).rstrip() + b"<!-- " + MARKER + b" -->")
        sent = await self.dso.msh.send(
            self.world.authorities[0].cpa_id, SERVICE, ACTION, [payload], conversation_id="c1"
        )
        assert sent.status == 204
        async with asyncio.timeout(30):
            while not await db.read(find_deliveries, state=DeliveryState.DELIVERED):
                await db.wait_for_change(1)
            while await db.read(find_messages, state=MessageState.CREATED):
                await db.wait_for_change(1)
        return verzoek

    def holds(self, marker: bytes) -> bool:
        return any(marker in path.read_bytes() for path in self.state.rglob("*") if path.is_file())


def secret_verzoek(world: World) -> SimulatedVerzoek:
    spec = VerzoekSpec(
        verzoeknummer(datetime.now(UTC).date(), 1),
        world.authorities[0].oin,
        documents=(DocumentSpec("groot.pdf", 300_000), DocumentSpec("klein.pdf", 2_000)),
    )
    verzoek = make_verzoek(spec)
    verzoek.__dict__["xml"] = verzoek.xml.rstrip() + b"<!-- " + MARKER + b" -->"
    return verzoek


def markers(verzoek: SimulatedVerzoek) -> list[bytes]:
    """What must be found nowhere any more: something of each content."""
    documents = [b"".join(document.content.blocks())[500:540] for document in verzoek.documents]
    return [MARKER, verzoek.pdf[100:140], *documents]


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def place(tmp_path: Path, logs: list[Any]) -> AsyncIterator[Place]:
    world = await asyncio.to_thread(create_world, tmp_path, {"voorbeeldstad": AgreementPlan()})
    async with SimulatedDso(world) as dso:
        yield Place(world, dso)


async def test_nothing_of_a_verzoek_is_left_in_any_file_when_its_time_has_passed(
    place: Place, logs: list[Any]
) -> None:
    async with place.daemon() as db:
        verzoek = await place.deliver(db)
        assert all(place.holds(marker) for marker in markers(verzoek))
        task = place.task(db)
        place.clock.shift = 29 * DAY
        await task.run_once()
        assert place.holds(MARKER)
        place.clock.shift = 31 * DAY
        counts = await task.run_once()
        assert (counts["payloads"], counts["files"]) == (1, 4)
        assert not any(place.holds(marker) for marker in markers(verzoek)), "while the daemon runs"
        assert await db.read(events_for, verzoek.verzoeknummer)
        assert await db.read(find_messages)
    assert not any(place.holds(marker) for marker in markers(verzoek))
    assert MARKER.decode() not in repr(logs)
    assert any(line["action"] == "retention.purged" for line in logs)
    value = place.metrics.registry.get_sample_value
    assert value("stam_adapter_retention_purged_total", {"what": "files"}) == 4


async def test_in_the_end_only_the_agreements_are_left(place: Place) -> None:
    async with place.daemon() as db:
        verzoek = await place.deliver(db)
        place.clock.shift = 401 * DAY
        counts = await place.task(db).run_once()
        assert counts["messages"] == 2, "the notification and its acknowledgment"
        assert await db.read(find_messages) == []
        assert await db.read(find_deliveries) == []
        await place.task(db).run_once()
        assert await db.read(events_for, verzoek.verzoeknummer) == []


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
async def test_a_purge_that_was_killed_is_ended_by_the_next(place: Place, writes: int) -> None:
    async with place.daemon() as db:
        verzoek = await place.deliver(db)
    now = datetime.now(UTC) + 31 * DAY
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(KILLED), str(place.world.config), now.isoformat(), str(writes)
    )
    assert await process.wait() == -9
    place.clock.shift = 31 * DAY
    async with place.daemon() as db:
        await place.task(db).run_once()
        assert not any(place.holds(marker) for marker in markers(verzoek))
        assert not any((await place.task(db).run_once()).values())


async def test_the_daemon_runs_it_soon_after_its_start_and_again(place: Place) -> None:
    async with place.daemon() as db:
        await place.deliver(db)
        place.clock.shift = 31 * DAY
        task = replace(place.task(db), first=timedelta(), every=timedelta(milliseconds=1))
        running = asyncio.create_task(task.work())
        async with asyncio.timeout(20):
            while place.holds(MARKER):
                await db.wait_for_change(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert "retention" in {one.get_name() for one in asyncio.all_tasks()}


async def test_a_run_that_fails_is_logged_without_values_and_tried_again(
    place: Place, logs: list[Any]
) -> None:
    async with place.daemon() as db:
        await place.deliver(db)
        place.clock.shift = 31 * DAY
        task = replace(place.task(db), first=timedelta(), every=timedelta(milliseconds=1))
        healthy, failed = task.purger.db, asyncio.Event()

        class Failing:
            async def read(self, *_: object, **__: object) -> object:
                task.purger.db = healthy
                failed.set()
                raise OperationalError("SELECT", {"inline": MARKER}, Exception("disk I/O error"))

        task.purger.db = Failing()  # type: ignore[assignment]
        running = asyncio.create_task(task.work())
        async with asyncio.timeout(20):
            await failed.wait()
            while place.holds(MARKER):
                await db.wait_for_change(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line["reason"] for line in logs if line["action"] == "retention.failed"] == ["OperationalError"]
    assert MARKER.decode() not in repr(logs)


async def test_orphans_are_swept_while_the_daemon_runs(place: Place) -> None:
    async with place.daemon() as db:
        await place.deliver(db)
        shard = place.state / "spool" / "ab"
        shard.mkdir(exist_ok=True)
        old, young = shard / f"ab{'0' * 30}", shard / f"ab{'1' * 30}"
        for path in (old, young):
            path.write_bytes(MARKER)
        os.utime(old, (0, 0))
        counts = await place.task(db).run_once()
        assert counts["orphans"] == 1
        assert (old.exists(), young.exists()) == (False, True)


def test_no_period_is_shorter_than_the_window_in_which_a_message_may_be_repeated(
    tmp_path: Path,
) -> None:
    world = create_world(tmp_path, {"voorbeeldstad": AgreementPlan(), "dorp": AgreementPlan()})
    text = world.config.read_text() + '\n[retention]\npayloads = "1h"\nmessages = "2h"\ntimeline = "300d"\n'
    world.config.write_text(text)
    config = load_config(world.config, {})
    cpa = (world.directory / "cpa" / "voorbeeldstad.xml").read_bytes()
    policy, said = effective_policy(config, [("voorbeeldstad", cpa)])
    periods = policy.authorities["voorbeeldstad"]
    assert periods.payloads == periods.messages > timedelta(hours=2)
    assert periods.timeline == 300 * DAY
    assert policy.authorities["dorp"].payloads == timedelta(hours=1)
    (text,) = said
    assert "authority voorbeeldstad" in text
    assert "make retention" in text


async def test_others_write_while_everything_is_purged(tmp_path: Path) -> None:
    """A purge is many small transactions; how long each takes is in docs/retention.md."""
    migrate("sqlite", tmp_path)
    db = open_database("sqlite", tmp_path, exclusive=True)
    spool = FileSpool(tmp_path / "spool")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(300):
        async with spool.writer() as writer:
            await writer.write(os.urandom(20_000))
            content = await writer.commit()
        row = await db.write(insert_message, message(number, now), None, now, payloads=(NewPayload(content),))
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.PROCESSED, None, now)
    purger = Purger(db, spool)
    policy = RetentionPolicy(Periods(DAY, 2 * DAY, 3 * DAY))
    purging = asyncio.create_task(purger.run(policy, now + 5 * DAY))
    received = 0
    while not purging.done():
        await db.write(insert_message, message(1000 + received, now + 5 * DAY), None, now + 5 * DAY)
        received += 1
    counts = await purging
    await db.close()
    assert (counts["payloads"], counts["messages"]) == (300, 300)
    assert received > 20


def message(number: int, now: datetime) -> NewMessage:
    return new_message(now, message_id=f"{number}@dso", envelope=b"<Envelope/>" * 500)
