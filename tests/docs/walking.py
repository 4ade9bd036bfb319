# SPDX-License-Identifier: EUPL-1.2

"""Runs what docs/logs.md walks through: a daemon in a process of its own, and the lines that it wrote meanwhile."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from adapter.pki import KeyPair, Layer, ThrowawayPki, client_context
from adapter.simulator import (
    ACTION,
    DSO_OIN,
    SERVICE,
    AdapterProcess,
    AgreementPlan,
    DocumentSpec,
    Payload,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from tests.crl_server import crl_server
from tests.e2e.conftest import until
from tests.postgresql import Server, free_port

Line = dict[str, Any]


@dataclass
class Walk:
    """A running chain, of which the lines of the log are taken piece by piece."""

    world: World
    dso: SimulatedDso
    process: AdapterProcess
    walks: dict[str, list[Line]]
    _begin: int
    _number: int = 0

    def lines(self) -> list[Line]:
        """The lines since the last piece was taken."""
        with self.world.adapter_log.open("rb") as log:
            log.seek(self._begin)
            return [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]

    async def until(self, action: str, times: int = 1, **facts: object) -> None:
        """Wait until there are lines with this action, and these facts."""

        async def is_there() -> bool:
            found = [
                line for line in self.lines() if line["action"] == action and facts.items() <= line.items()
            ]
            return len(found) >= times

        await until(is_there)

    def take(self, name: str) -> None:
        """What came since the last time is the walk of this name."""
        self.walks[name] = self.lines()
        self._begin = self.world.adapter_log.stat().st_size

    def verzoek(self) -> SimulatedVerzoek:
        self._number += 1
        number = verzoeknummer(datetime.now(UTC).date(), self._number)
        documents = (DocumentSpec("situatietekening.pdf", 20_000),)
        oin = self.world.authorities[0].oin
        return make_verzoek(VerzoekSpec(number, oin, documents=documents, seed=self._number))

    async def announce(self) -> Any:
        return await self.dso.announce(self.world.authorities[0], self.verzoek())

    async def done(self) -> None:
        await self.until("job.done", kind="deliver")
        await self.until("job.done", kind="send")


@asynccontextmanager
async def _walking(world: World, walks: dict[str, list[Line]]) -> AsyncIterator[Walk]:
    begin = world.adapter_log.stat().st_size if world.adapter_log.exists() else 0
    async with SimulatedDso(world) as dso:
        process = await AdapterProcess.start(world)
        try:
            await process.until_ready()
            yield Walk(world, dso, process, walks, begin)
        finally:
            await process.kill()


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def run_walks(directory: Path, postgresql: Server) -> dict[str, list[Line]]:
    """Every walk by its name: one world, in which the daemon is started three times."""
    walks: dict[str, list[Line]] = {}
    port = free_port()
    pki = ThrowawayPki(datetime.now(UTC), crl_bases=[f"http://127.0.0.1:{port}"])
    world = await asyncio.to_thread(
        create_world,
        directory,
        {"voorbeeldstad": AgreementPlan()},
        extra_config='[trust.revocation]\nmode = "hard"\n',
        pki=pki,
    )
    revoked = pki.issue("DSO-LV (oud)", DSO_OIN)
    async with crl_server(port) as lists:
        lists.serve(pki, revoked=[revoked.certificate])
        async with _walking(world, walks) as walk:
            await _usual(walk, revoked.key_pair(directory / "tls", "revoked"))
        _change(world.config, "[trust.revocation]", '[limits]\nfree = "1024 GiB"\n[trust.revocation]')
        async with _walking(world, walks) as walk:
            await _full(walk)
        store = f'[store]\nurl = "{postgresql.url(postgresql.new_database())}"\n'
        _change(world.config, '[limits]\nfree = "1024 GiB"\n', store)
        async with _walking(world, walks) as walk:
            await _database_away(walk, postgresql)
    return walks


async def _usual(walk: Walk, revoked: KeyPair) -> None:
    (authority,) = walk.world.authorities
    await walk.until("crl.fetched", times=len(Layer))
    walk.take("start")

    sent = await walk.announce()
    await walk.done()
    walk.take("good")

    await walk.dso.msh.resend(sent)
    await walk.until("job.done", kind="send")
    walk.take("duplicate")

    ping = await walk.dso.msh.ping(authority.cpa_id)
    await walk.until("job.done", kind="send")
    walk.take("ping")

    unknown = ping.envelope.replace(authority.cpa_id.encode(), b"CPA-onbekend")
    assert await _post(walk, walk.world.dso_keys, unknown) == 500
    await walk.until("request.fault")
    walk.take("unknown-cpa")

    assert await _post(walk, revoked, ping.envelope) == 403
    await walk.until("peer.refused")
    walk.take("revoked")

    walk.dso.faults.break_signature = 1
    await walk.announce()
    await walk.until("job.done", kind="send")
    walk.take("bad-signature")

    late = datetime.now(UTC) - timedelta(hours=1)
    await walk.dso.msh.send(authority.cpa_id, SERVICE, ACTION, [Payload(b"<melding/>")], time_to_live=late)
    await walk.until("job.done", kind="send")
    walk.take("expired")

    await walk.dso.msh.send(authority.cpa_id, SERVICE, ACTION, [Payload(b"<iets-anders/>")])
    await walk.until("job.park", kind="route")
    await walk.until("job.done", kind="send")
    walk.take("parked")

    walk.dso.faults.unavailable = 1
    await walk.announce()
    await walk.done()
    walk.take("dso-down")

    away = authority.sink.with_name("weg")
    authority.sink.rename(away)
    authority.sink.write_text("no directory")
    await walk.announce()
    await walk.until("job.retry", kind="deliver")
    authority.sink.unlink()
    away.rename(authority.sink)
    await walk.done()
    walk.take("sink-refuses")

    # that of the listener stands before it, and is left as it is
    table = f'certificate = "tls/{authority.name}.pem"\nkey = "tls/{authority.name}.key"\n\n[authorities'
    wrong = table.replace(f"{authority.name}.pem", "weg.pem")
    _change(walk.world.config, table, wrong)
    walk.process.process.send_signal(signal.SIGHUP)
    await walk.until("configuration.reloaded")
    walk.take("wrong-configuration")
    _change(walk.world.config, wrong, table)

    assert await walk.process.stop() == 0
    walk.take("stop")


async def _post(walk: Walk, keys: KeyPair, envelope: bytes) -> int:
    tls = client_context(keys, walk.world.trust)
    url = f"https://localhost:{walk.world.ports.adapter}/ebms"
    headers = {"SOAPAction": '"ebXML"', "Content-Type": "text/xml"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=envelope, headers=headers, ssl=tls) as response,
    ):
        return response.status


async def _full(walk: Walk) -> None:
    async def is_measured() -> bool:
        return (await walk.dso.msh.ping(walk.world.authorities[0].cpa_id)).status == 503

    await until(is_measured)
    walk.take("measured")
    await walk.announce()
    await walk.until("request.postponed")
    walk.take("disk-full")


async def _database_away(walk: Walk, server: Server) -> None:
    walk.take("on-postgresql")
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    try:
        await walk.announce()
        await walk.until("request.postponed")
        await walk.until("worker.failed")
    finally:
        await asyncio.to_thread(server.start)
    await walk.until("worker.recovered")
    walk.take("database-away")
