# SPDX-License-Identifier: EUPL-1.2

"""A disaster, as a user has it: a backup made under load, more messages, the machine gone, the backup restored.

What DSO-LV believes acknowledged, what the sink holds and what the store says afterwards are compared.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from adapter.simulator import SentMessage, SimulatedVerzoek
from tests.e2e.conftest import Chain, assert_delivered, until
from tests.e2e.test_e2e_kills import send_until_acknowledged
from tests.e2e.test_e2e_reconcile import reconciles
from tests.postgresql import Server

LANE = "sink:voorbeeldstad/archief"
SQLITE = "sqlite"


@dataclass
class Disaster:
    """A chain with the verzoeken that were announced, by their numbers, and its commands."""

    chain: Chain
    new_url: Callable[[], str]
    url: str
    verzoeken: dict[int, SimulatedVerzoek] = field(default_factory=dict)
    sent: dict[int, SentMessage] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.chain.world.directory / "var"

    @property
    def backup(self) -> Path:
        return self.chain.world.directory / "backup"

    async def run(self, *arguments: object, code: int = 0) -> str:
        """Run a command as an operator does; its standard output."""
        command = [sys.executable, "-m", "adapter", *map(str, arguments), "--config", self.chain.world.config]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
        assert process.returncode == code, (output, errors)
        return output.decode()

    async def announce(self, *numbers: int) -> None:
        for number in numbers:
            self.verzoeken[number] = self.chain.verzoek(number)
            authority = self.chain.world.authorities[0]
            self.sent[number] = await self.chain.dso.announce(authority, self.verzoeken[number])

    def directory(self, number: int) -> Path:
        return self.chain.sink / f"{self.verzoeken[number].verzoeknummer}-000"

    async def delivered(self, *numbers: int) -> None:
        async def all_there() -> bool:
            return all(self.directory(number).exists() for number in numbers)

        await until(all_there)

    async def states(self) -> dict[int, str]:
        """What the store says of each verzoek; of repeats only the first."""
        listed = json.loads(await self.run("verzoek", "list", "--json"))
        by_number = {one["verzoeknummer"]: one["state"] for one in listed if one["state"] != "repeated"}
        return {n: by_number.get(v.verzoeknummer, "unknown") for n, v in self.verzoeken.items()}

    async def become(self, wanted: dict[int, str]) -> None:
        async def so() -> bool:
            return await self.states() == wanted

        await until(so)

    def lose_machine(self) -> None:
        """What was on it is gone: another state directory, and another database."""
        self.state.rename(self.state.with_name("lost"))
        text = self.chain.world.config.read_text()
        self.chain.world.config.write_text(text.replace(self.url, self.new_url()))

    def copies_of(self, number: int) -> list[Path]:
        """The files in the backup with the content of a document of a verzoek."""
        digests = {
            hashlib.sha256(b"".join(document.content.blocks())).hexdigest()
            for document in self.verzoeken[number].documents
        }
        copies = self.backup.glob("spool/??/*")
        return [copy for copy in copies if hashlib.sha256(copy.read_bytes()).hexdigest() in digests]

    def acknowledgments(self, number: int) -> set[bytes]:
        reference = self.sent[number].message_id
        return {s.envelope for s in self.chain.dso.msh.received if s.ref_to_message_id == reference}

    async def metrics(self) -> str:
        url = f"http://127.0.0.1:{self.chain.world.ports.admin}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()


@pytest.fixture(params=[SQLITE, "postgresql"])
def urls(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], str]]]:
    """The store before the disaster, and a function that makes the empty one after it."""
    if request.param == SQLITE:
        yield f'"{SQLITE}"', lambda: f'"{SQLITE}"'
        return
    server: Server = request.getfixturevalue("postgresql")
    made: list[str] = []

    def new() -> str:
        made.append(server.new_database(migrated=False))
        return f'"{server.url(made[-1])}"'

    yield new(), new
    for name in made:
        server.drop_database(name)


@pytest.fixture
def disaster(chain: Chain, urls: tuple[str, Callable[[], str]]) -> Disaster:
    url, new_url = urls
    reconciles(chain, every="1h")
    with chain.world.config.open("a") as file:
        file.write(f"\n[store]\nurl = {url}\n")
    return Disaster(chain, new_url, url)


def fingerprint(directory: Path) -> list[tuple[str, int, int]]:
    """What changes when anything in a directory is written again."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return [(str(path), path.stat().st_ino, path.stat().st_mtime_ns) for path in files]


async def test_after_a_restore_nothing_is_lost_unsaid_or_overwritten(disaster: Disaster) -> None:
    chain = disaster.chain
    await chain.adapter.start()
    await disaster.announce(1, 2)
    await disaster.delivered(1, 2)
    # 3 is collected and waits for its sink; 4 and 5 come in while the backup is made
    await disaster.run("lane", "pause", LANE, "--reason", "maintenance")
    await disaster.announce(3)
    await disaster.become({1: "delivered", 2: "delivered", 3: "ready"})
    backing_up = asyncio.create_task(disaster.run("db", "backup", disaster.backup, "--json"))
    await disaster.announce(4, 5)
    made = json.loads(await backing_up)
    assert made["problems"] == []
    # after the backup everything is delivered, and more comes; 7 is taken by its consumer
    await disaster.run("lane", "resume", LANE)
    await disaster.announce(6, 7)
    await disaster.delivered(1, 2, 3, 4, 5, 6, 7)
    for number in disaster.sent:
        assert not (await chain.dso.msh.wait_for(disaster.sent[number].message_id)).problems
    disaster.directory(7).rename(chain.world.directory / "taken")
    before = {number: fingerprint(disaster.directory(number)) for number in (1, 2, 3, 4, 5, 6)}
    await chain.adapter.kill()

    disaster.lose_machine()
    (lost,) = disaster.copies_of(3)  # the small document is in the database
    lost.unlink()
    await disaster.run("db", "restore", disaster.backup)
    await chain.adapter.start()
    # what waits for a content that did not come back is parked, and told: logged, counted, listed
    assert (await disaster.states())[3] == "parked"
    assert '"action": "restore.content_lost"' in chain.adapter.log
    assert 'stam_adapter_restore_lost_total{outcome="parked"} 1.0' in await disaster.metrics()
    findings = json.loads(await disaster.run("db", "verify", "--json", code=1))["findings"]
    assert [finding["kind"] for finding in findings] == ["file"]
    (report,) = disaster.state.glob("restored-*.json")
    assert [one["outcome"] for one in json.loads(report.read_text())["lost"]] == ["parked"]
    # the partner repeats 6, which the store does not know any more: it is taken again, and acknowledged anew
    await disaster.run("lane", "resume", LANE)
    known = disaster.acknowledgments(6)
    await send_until_acknowledged(chain, disaster.sent[6])

    async def acknowledged_anew() -> bool:
        return disaster.acknowledgments(6) > known

    await until(acknowledged_anew)
    # nobody repeats 7: asking DSO-LV finds it, without waiting for the hour of the schedule
    everything = dict.fromkeys(disaster.sent, "delivered") | {3: "parked"}
    await disaster.become(everything)
    assert await chain.adapter.stop() == 0
    # the sink: what lay there was recognised and not touched, what was taken came again, nothing is half
    assert {number: fingerprint(disaster.directory(number)) for number in before} == before
    assert chain.delivered() == sorted(disaster.directory(number) for number in disaster.sent)
    assert chain.unfinished() == []
    for number, verzoek in disaster.verzoeken.items():
        assert_delivered(disaster.directory(number), verzoek)


async def test_the_second_start_after_a_restore_is_one_as_any_other(disaster: Disaster) -> None:
    chain = disaster.chain
    await chain.adapter.start()
    await disaster.announce(1)
    await disaster.delivered(1)
    await disaster.run("db", "backup", disaster.backup)
    assert await chain.adapter.stop() == 0
    disaster.lose_machine()
    await disaster.run("db", "restore", disaster.backup)
    for _ in range(2):
        await chain.adapter.start()
        assert await chain.adapter.stop() == 0
    assert chain.adapter.log.count('"action": "restore.found"') == 1
    assert len(list(disaster.state.glob("restored-*.json"))) == 1
