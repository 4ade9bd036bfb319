# SPDX-License-Identifier: EUPL-1.2

"""The adapter in a process of its own, between a simulated DSO-LV and receivers that speak HTTP: every kind of message,
and SIGKILL around every step.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from adapter.simulator import AgreementPlan, SimulatedDso, SimulatedVerzoek, VerzoekStream, create_world
from adapter.store import DeliveryState, Event, events_for, find_deliveries, open_database
from adapter.verzoek import Doel
from tests.e2e.conftest import Adapter, Chain, until
from tests.e2e.test_e2e_kills import send_until_acknowledged
from tests.sinks.receivers import FaultyReceiver, HttpReceiver, ObjectsApi, OpenWave

RECEIVERS: dict[str, tuple[type[FaultyReceiver], str, str]] = {
    "http": (
        HttpReceiver,
        "een gedeeld geheim",
        'type = "http"\nurl = "{url}/verzoeken"\nhmac = {{ secret_file = "secret" }}',
    ),
    "links": (
        HttpReceiver,
        "een geheim",
        'type = "http"\nform = "manifest"\nurl = "{url}/verzoeken"\n'
        'links = {{ url = "http://127.0.0.1:{admin}", secret_file = "secret" }}',
    ),
    "openwave": (
        OpenWave,
        "geheim",
        'type = "openwave"\nurl = "{url}/DSO/Verzoek/"\nupload_url = "{url}/upload.php"\n'
        'basic = {{ username = "stam", password_file = "secret" }}',
    ),
    "objecten": (
        ObjectsApi,
        "0123456789",
        'type = "objecten"\nurl = "{url}/api/v2"\ntoken_file = "secret"\n'
        'objecttype = "https://objecttypes.example/1"\nversion = 1',
    ),
}
"""For each kind of sink its receiver, the secret, and the table in the configuration."""


@dataclass
class Line:
    """A chain of which the sink is a receiver."""

    chain: Chain
    receiver: FaultyReceiver

    async def deliveries(self) -> dict[str, DeliveryState]:
        """How far each delivery is, by its name."""
        db = open_database("sqlite", self.chain.world.directory / "var", exclusive=False)
        try:
            return {one.name: one.state for one in await db.read(find_deliveries)}
        finally:
            await db.close()

    async def until_delivered(self, *names: str) -> None:
        async def are_delivered() -> bool:
            states = await self.deliveries()
            return all(states.get(name) is DeliveryState.DELIVERED for name in names)

        await until(are_delivered)

    async def timeline(self, verzoek: SimulatedVerzoek) -> list[Event]:
        db = open_database("sqlite", self.chain.world.directory / "var", exclusive=False)
        try:
            return await db.read(events_for, verzoeknummer=verzoek.verzoeknummer)
        finally:
            await db.close()


def name_of(verzoek: SimulatedVerzoek) -> str:
    return f"{verzoek.verzoeknummer}-{verzoek.spec.volgnummer}"


@pytest.fixture
async def line(request: pytest.FixtureRequest, tmp_path: Path, plan: AgreementPlan) -> AsyncIterator[Line]:
    """A world whose one sink is of the kind that the test asks for; the adapter is not started yet."""
    make, secret, table = RECEIVERS[request.param]
    world = await asyncio.to_thread(create_world, tmp_path, {"voorbeeldstad": plan})
    (world.directory / "secret").write_text(secret)
    receiver = make()
    async with SimulatedDso(world) as dso, receiver.running():
        before, sink, _ = world.config.read_text().partition("[authorities.voorbeeldstad.sinks.archief]\n")
        shown = table.format(url=receiver.url, admin=world.ports.admin)
        world.config.write_text(f"{before}{sink}{shown}\n")
        made = Line(Chain(world, dso, Adapter(world)), receiver)
        try:
            yield made
        finally:
            await made.chain.adapter.kill()


async def send_every_kind(line: Line) -> list[SimulatedVerzoek]:
    """Each doel, one after the other."""
    authority = line.chain.world.authorities[0]
    stream = VerzoekStream(authority.oin, datetime.now(UTC).date())
    sent = [stream.next() for _ in range(9)]
    assert {each.spec.doel for each in sent} == {doel.value for doel in Doel}
    for verzoek in sent:
        await line.chain.dso.announce(authority, verzoek)
        await line.until_delivered(name_of(verzoek))
    return sent


def digests_of(verzoek: SimulatedVerzoek) -> set[str]:
    """The SHA-256 of everything that DSO-LV served of a verzoek."""
    contents = [verzoek.xml, verzoek.pdf, *(b"".join(one.content.blocks()) for one in verzoek.documents)]
    return {hashlib.sha256(content).hexdigest() for content in contents}


@pytest.mark.parametrize("line", ["http"], indirect=True)
async def test_http_every_kind_of_message_is_one_request_with_every_file(line: Line) -> None:
    assert isinstance(line.receiver, HttpReceiver)
    await line.chain.adapter.start()
    sent = await send_every_kind(line)
    received = line.receiver.deliveries
    assert list(received) == [f'"voorbeeldstad/archief/{name_of(each)}"' for each in sent]
    for verzoek, delivery in zip(sent, received.values(), strict=True):
        assert {file.sha256 for file in delivery.files} == digests_of(verzoek)
        assert json.loads(delivery.manifest)["doel"] == verzoek.spec.doel


@pytest.mark.parametrize("line", ["links"], indirect=True)
async def test_links_every_file_of_every_kind_of_message_can_be_fetched(line: Line) -> None:
    assert isinstance(line.receiver, HttpReceiver)
    await line.chain.adapter.start()
    sent = await send_every_kind(line)
    async with aiohttp.ClientSession() as session:
        for verzoek, delivery in zip(sent, line.receiver.deliveries.values(), strict=True):
            found = set()
            for file in json.loads(delivery.manifest)["files"]:
                async with session.get(file["href"]) as answer:
                    found.add(hashlib.sha256(await answer.read()).hexdigest())
            assert found == digests_of(verzoek)


@pytest.mark.parametrize("line", ["openwave"], indirect=True)
async def test_openwave_every_kind_of_message_is_its_xml_and_each_document(line: Line) -> None:
    assert isinstance(line.receiver, OpenWave)
    await line.chain.adapter.start()
    sent = await send_every_kind(line)
    assert line.receiver.xml == [verzoek.xml for verzoek in sent]
    assert len(line.receiver.received) == sum(2 + len(verzoek.documents) for verzoek in sent)
    contents = [*line.receiver.xml, *line.receiver.documents.values()]
    got = {hashlib.sha256(content).hexdigest() for content in contents}
    assert got == set[str]().union(*(digests_of(verzoek) for verzoek in sent))


@pytest.mark.parametrize("line", ["objecten"], indirect=True)
async def test_objecten_every_kind_of_message_is_one_object(line: Line) -> None:
    assert isinstance(line.receiver, ObjectsApi)
    await line.chain.adapter.start()
    sent = await send_every_kind(line)
    made = [one["record"]["data"] for one in line.receiver.objects.values()]
    assert [one["key"] for one in made] == [f"voorbeeldstad/archief/{name_of(each)}" for each in sent]
    assert [one["doel"] for one in made] == [each.spec.doel for each in sent]
    assert all(one["verzoek"]["activiteiten"] for one in made)


async def kill_and_restart(line: Line, point: str) -> SimulatedVerzoek:
    """Send a verzoek to an adapter that dies at a point, and go on with another until it is delivered."""
    await line.chain.adapter.start(point)
    verzoek = line.chain.verzoek()
    sent = await line.chain.dso.announce(line.chain.world.authorities[0], verzoek)
    await line.chain.adapter.died()
    await line.chain.adapter.start()
    await send_until_acknowledged(line.chain, sent)
    await line.until_delivered(name_of(verzoek))
    return verzoek


@pytest.mark.parametrize("point", ["before _finish#1", "after _finish#1"])
@pytest.mark.parametrize("line", ["http", "links", "objecten"], indirect=True)
async def test_a_kill_after_the_request_ends_in_exactly_one(line: Line, point: str) -> None:
    await kill_and_restart(line, point)
    if isinstance(line.receiver, HttpReceiver):
        assert len(line.receiver.deliveries) == 1
    if isinstance(line.receiver, ObjectsApi):
        assert [len(records) for records in line.receiver.records.values()] == [1]


STEPS = [f"{when} set_checkpoint#{number}" for number in range(1, 10) for when in ("before", "after")]


@pytest.mark.parametrize("point", [*STEPS, "before _finish#1", "after _finish#1"])
@pytest.mark.parametrize("line", ["openwave"], indirect=True)
async def test_openwave_a_kill_around_any_step_repeats_at_most_one_and_the_timeline_says_so(
    line: Line, point: str
) -> None:
    assert isinstance(line.receiver, OpenWave)
    verzoek = await kill_and_restart(line, point)
    times = Counter(line.receiver.received)
    assert len(times) == 2 + len(verzoek.documents)
    repeats = sum(times.values()) - len(times)
    noted = [event for event in await line.timeline(verzoek) if event.action == "delivery.possibly_repeated"]
    # each post has two checkpoints; what it came to is lost where the second is not written
    is_lost = point in {f"before set_checkpoint#{number}" for number in (2, 5, 7, 9)}
    is_unsure = is_lost or point in {f"after set_checkpoint#{number}" for number in (1, 4, 6, 8)}
    assert (repeats, len(noted)) == (int(is_lost), int(is_unsure))
