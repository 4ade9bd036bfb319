# SPDX-License-Identifier: EUPL-1.2

"""A daemon that tells people, up to the mail in the mailbox, and that pings a partner that comes and goes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapter.config import Config, ConfigProblem, load_config
from adapter.daemon import Daemon, Materials
from adapter.simulator import AgreementPlan, Faults, SimulatedDso, World, create_world
from adapter.store import MessageKind, MessageState, contacts, find_messages, open_database
from adapter.work import Timing
from tests.clock import Clock
from tests.notify.servers import MailServer, mail_server

STEP = 0.02
PATIENCE = 60.0

CHANNEL = """
[notifications.beheer]
type = "email"
server = "localhost"
port = {port}
tls = "none"
from = "stam@example.nl"
to = ["beheer@example.nl"]
every = "1s"
"""


@dataclass
class Town:
    """A daemon with a mailbox, a partner that can go, and a clock that a test shifts."""

    world: World
    mail: MailServer
    clock: Clock = field(default_factory=Clock)
    daemon: Daemon | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def config(self) -> Config:
        return load_config(self.world.config, {})

    def edit(self, old: str, new: str) -> None:
        text = self.world.config.read_text()
        assert old in text
        self.world.config.write_text(text.replace(old, new))

    async def start(self) -> None:
        look = timedelta(seconds=STEP)
        materials = Materials(clock=self.clock, timing=Timing(idle=look), look_for_news=look)
        self.daemon = Daemon(self.config, materials)
        await self.daemon.start()

    async def stop(self) -> None:
        if self.daemon is not None:
            await self.daemon.stop()
            self.daemon = None

    async def until(self, condition: Callable[[], bool], pace: float = 1.0) -> None:
        """Let the time of the daemon run until something is so; `pace` is in seconds of it, for each look."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.clock.shift += timedelta(seconds=pace)
                await asyncio.sleep(STEP)

    def subjects(self) -> list[str]:
        return [" ".join(mail["Subject"].split()) for mail in self.mail.mails]

    def told(self, words: str) -> int:
        """How many mails say this."""
        return sum(words in subject for subject in self.subjects())

    async def ready(self) -> Any:
        assert self.daemon is not None
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.daemon.admin_port}/health/ready") as response,
        ):
            return json.loads(await response.text())


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    world = create_world(tmp_path, {"voorbeeldstad": AgreementPlan()})
    async with mail_server() as mail:
        town = Town(world, mail)
        world.config.write_text(world.config.read_text() + CHANNEL.format(port=mail.port))
        yield town
        await town.stop()


async def test_what_ends_soon_comes_as_a_mail_also_after_a_restart_once(town: Town) -> None:
    town.clock.shift = timedelta(days=40)  # the certificates of the world live 90 days
    await town.start()
    await town.until(lambda: town.told("Certificaat verloopt") == 1)
    (text, _html) = (part.get_content() for part in town.mail.mails[0].iter_parts())
    assert "eigen certificaat" in text
    assert "verloopt over 49 dagen" in text
    await town.stop()
    await town.start()
    before = town.clock.shift
    await town.until(lambda: town.clock.shift > before + timedelta(minutes=10), pace=5)
    assert town.told("Certificaat verloopt") == 1


async def test_a_partner_that_is_away_is_told_once_and_that_it_is_back_once(town: Town) -> None:
    town.edit('party = "urn', 'ping_every = "5s"\nparty = "urn')
    async with SimulatedDso(town.world, town.clock, Faults()):
        await town.start()
        await town.until(lambda: _answered(town) >= 2)
    await town.until(lambda: town.told("Partner niet bereikbaar") == 1)
    failed = _failed(town)
    await town.until(lambda: _failed(town) >= failed + 2)
    async with SimulatedDso(town.world, town.clock, Faults()):
        await town.until(lambda: town.told("Partner weer bereikbaar") == 1)
        answered = _answered(town)
        await town.until(lambda: _answered(town) >= answered + 2)
        assert town.told("Partner") == 2
        await town.stop()
    await _check_contact(town)


def _count(town: Town, outcome: str) -> float:
    assert town.daemon is not None
    counter = town.daemon.metrics.pings_total
    return counter.labels(authority="voorbeeldstad", outcome=outcome)._value.get()


def _answered(town: Town) -> float:
    return _count(town, "answered")


def _failed(town: Town) -> float:
    return _count(town, "failed")


async def _check_contact(town: Town) -> None:
    """What is in the store afterwards: how it went, and few pings."""
    db = open_database("sqlite", town.config.state, exclusive=False)
    (contact,) = await db.read(contacts)
    pings = await db.read(lambda conn: find_messages(conn, kind=MessageKind.PING))
    pongs = await db.read(lambda conn: find_messages(conn, kind=MessageKind.PONG))
    await db.close()
    assert contact.failures == 0
    assert contact.success_at is not None
    assert contact.failure_at is not None
    assert contact.success_at > contact.failure_at
    answered = {ping.id for ping in pings if ping.state is MessageState.ANSWERED}
    assert answered <= {contact.ping}, "those that were seen to be answered are gone"
    assert len(pongs) <= 1


async def test_a_channel_that_fails_shows_in_health_and_takes_nothing_away(town: Town) -> None:
    town.mail.refuse = "451 try again later"
    town.clock.shift = timedelta(days=40)
    await town.start()
    assert town.daemon is not None
    counter = town.daemon.metrics.notifications_total.labels(channel="beheer", outcome="failed")
    await town.until(lambda: counter._value.get() >= 1)
    warned: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not any("channel beheer fail" in one for one in warned):
            await asyncio.sleep(STEP)
            warned = (await town.ready()).get("warnings", [])
    town.mail.refuse = ""
    await town.until(lambda: town.told("Certificaat verloopt") == 1, pace=10)


async def test_a_channel_whose_secret_cannot_be_read_is_said_before_anything_starts(town: Town) -> None:
    town.edit('tls = "none"', 'tls = "none"\nuser = "stam"\npassword_file = "absent.password"')
    with pytest.raises(ConfigProblem, match=r"notifications\.beheer: .*absent\.password cannot be read"):
        await town.start()
    town.daemon = None
