# SPDX-License-Identifier: EUPL-1.2

"""Two daemons on one PostgreSQL database with one spool, each a process with a state directory of its own.

The spool is shared as docs/store.md says: `spool` in each state directory is the same directory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest

from adapter.simulator import AgreementPlan, SimulatedDso, World, create_world, free_ports
from tests.e2e.conftest import Adapter, Chain, assert_delivered, until
from tests.e2e.killable import LEASE
from tests.e2e.test_e2e_kills import send_until_acknowledged

LEASE_SECONDS = 2.0


@dataclass
class Pair:
    """A chain with two daemons instead of its own, behind one address."""

    chain: Chain
    first: Adapter
    second: Adapter
    url: str


class Balancer:
    """The address that the agreement names: gives each connection to the next daemon that takes it."""

    def __init__(self, *ports: int) -> None:
        self._ports = deque(ports)

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(len(self._ports)):
            self._ports.rotate()
            with suppress(ConnectionError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._ports[0])
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
                return
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def jobs_left(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM job WHERE kind <> 'reconcile'"))
    finally:
        await connection.close()


def host(world: World, name: str) -> World:
    """A host with the configuration of the world but for its ports and its state directory."""
    directory = world.directory / name
    mine = free_ports()
    ports = replace(world.ports, adapter=mine.adapter, admin=mine.admin)
    directory.mkdir()
    for shared in ("tls", "cpa", "verzoeken"):
        (directory / shared).symlink_to(world.directory / shared)
    text = world.config.read_text()
    text = text.replace(f"127.0.0.1:{world.ports.adapter}", f"127.0.0.1:{ports.adapter}")
    text = text.replace(f"127.0.0.1:{world.ports.admin}", f"127.0.0.1:{ports.admin}")
    made = replace(world, directory=directory, ports=ports)
    made.config.write_text(text)
    (directory / "var").mkdir(mode=0o700)
    return made


def with_spool(made: World, spool: Path) -> World:
    """A host on which a directory of all hosts is the spool."""
    (made.directory / "var" / "spool").symlink_to(spool)
    return made


def two_hosts(directory: Path, plan: AgreementPlan, url: str) -> tuple[World, World, World]:
    store = f'\n[store]\nurl = "{url}"\n'
    world = create_world(directory, {"voorbeeldstad": plan}, extra_config=store)
    spool = directory / "spool"
    spool.mkdir(mode=0o700)
    return world, with_spool(host(world, "one"), spool), with_spool(host(world, "two"), spool)


@asynccontextmanager
async def ended(*adapters: Adapter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for adapter in adapters:
            await adapter.kill()


@pytest.fixture
async def pair(
    tmp_path: Path, plan: AgreementPlan, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setenv(LEASE, str(LEASE_SECONDS))
    world, *hosts = await asyncio.to_thread(two_hosts, tmp_path, plan, postgres_url)
    one, two = (Adapter(host) for host in hosts)
    balancer = Balancer(*(host.ports.adapter for host in hosts))
    async with SimulatedDso(world) as dso, balancer.listening(world.ports.adapter), ended(one, two):
        yield Pair(Chain(world, dso, one), one, two, postgres_url)


POINTS = (
    "after accept",  # nothing was done with what was acknowledged
    "after spool#4",  # in the middle of collecting
    "after record_file#2",
    "before complete_collection",
    "before rename",  # in the middle of delivering
    "after rename",
    "before _finish",
)


@pytest.mark.parametrize("point", POINTS)
async def test_when_one_of_two_daemons_is_killed_the_other_delivers_everything_once(
    pair: Pair, point: str
) -> None:
    chain, survivor = pair.chain, pair.second
    await asyncio.gather(pair.first.start(point if "#" in point else f"{point}#1"), survivor.start())
    verzoeken = [chain.verzoek(number) for number in range(1, 9)]
    authority = chain.world.authorities[0]
    sent = await asyncio.gather(*(chain.dso.announce(authority, verzoek) for verzoek in verzoeken))
    await pair.first.died()
    await asyncio.gather(*(send_until_acknowledged(chain, one) for one in sent))

    async def all_delivered() -> bool:
        return len(chain.delivered()) == len(verzoeken)

    await until(all_delivered)

    async def nothing_left() -> bool:
        return not chain.unfinished() and await jobs_left(pair.url) == 0

    await until(nothing_left)
    assert await survivor.stop() == 0
    for directory, verzoek in zip(chain.delivered(), verzoeken, strict=True):
        assert_delivered(directory, verzoek)
    for one in sent:
        answers = {s.envelope for s in chain.dso.msh.received if s.ref_to_message_id == one.message_id}
        assert len(answers) == 1


async def test_two_daemons_share_the_work(pair: Pair) -> None:
    chain = pair.chain
    await asyncio.gather(pair.first.start(), pair.second.start())
    verzoeken = [chain.verzoek(number) for number in range(1, 13)]
    authority = chain.world.authorities[0]
    sent = await asyncio.gather(*(chain.dso.announce(authority, verzoek) for verzoek in verzoeken))
    for one in sent:
        assert not (await chain.dso.msh.wait_for(one.message_id)).problems

    async def nothing_left() -> bool:
        return len(chain.delivered()) == len(verzoeken) and await jobs_left(pair.url) == 0

    await until(nothing_left)
    for directory, verzoek in zip(chain.delivered(), verzoeken, strict=True):
        assert_delivered(directory, verzoek)
    ended = [adapter.log.count('"action": "delivery.delivered"') for adapter in (pair.first, pair.second)]
    assert sum(ended) == len(verzoeken)
    assert all(ended)
    assert [await adapter.stop() for adapter in (pair.first, pair.second)] == [0, 0]
