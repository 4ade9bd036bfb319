# SPDX-License-Identifier: EUPL-1.2

"""What the tests of faults share: a chain with a daemon that can be disturbed, and the comparison at its end."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from adapter.simulator import (
    ACTION,
    SERVICE,
    AgreementPlan,
    DocumentSpec,
    Payload,
    SentMessage,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekAfhandelenApi,
    VerzoekSpec,
    World,
    WorldAuthority,
    create_world,
    make_verzoek,
    notification_xml,
    verzoeknummer,
)
from tests.chaos.checker import (
    Believed,
    Store,
    check,
    contents_of,
    read_postgres,
    read_sinks,
    read_spool,
    read_sqlite,
)
from tests.e2e.conftest import until
from tests.faults import faulty
from tests.faults.faulty import Orders
from tests.forked import Forked, fork

START = 30.0

Rows = list[tuple[Any, ...]]


@dataclass
class FaultyAdapter:
    """The daemon that follows orders, in a process of its own.

    `prefix` is what it is started with, such as a tool that limits it.
    """

    world: World
    prefix: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | Forked | None = None
    orders: Orders = field(init=False)

    def __post_init__(self) -> None:
        self.orders = Orders(self.world.directory / "orders")

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        await self.launch()
        await until(self.is_ready, START)

    async def launch(self) -> None:
        """Start it, and do not wait for what becomes of it."""
        orders = self.world.directory / "orders"
        if not self.prefix:
            self.process = fork(self._log, faulty.run, self.world.config, orders)
            return
        command = (*self.prefix, sys.executable, faulty.__file__, str(self.world.config), str(orders))
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    async def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log
        try:
            return await self.unready() == []
        except aiohttp.ClientConnectionError:
            return False

    async def ended(self) -> int:
        """Wait until the process has ended by itself; its exit code."""
        assert self.process is not None
        async with asyncio.timeout(START):
            return await self.process.wait()

    async def stop(self) -> int:
        """Stop it as systemd does; its exit code. No work in the background had failed unnoticed."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        code = await self.ended()
        assert self.actions("daemon.background_failed") == []
        return code

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    @property
    def _log(self) -> Path:
        return self.world.directory / "adapter.log"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def unready(self) -> list[str]:
        """Why the daemon says that it is not ready; nothing where it is."""
        body = await self.ask("/health/ready")
        return list(json.loads(body)["reasons"])

    async def warned(self) -> list[str]:
        """What the daemon says that people must know."""
        return list(json.loads(await self.ask("/health/ready"))["warnings"])

    async def is_live(self) -> bool:
        return json.loads(await self.ask("/health/live")) == {"status": "live", "reasons": []}

    async def ask(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.world.ports.admin}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    def actions(self, action: str) -> list[dict[str, Any]]:
        """The log lines with this action."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("action") == action]


@dataclass
class FaultyChain:
    """A world with its DSO-LV running, and a daemon that follows orders, to be started.

    `store` is the URL of its store, `inside` where its paths are from here; `shared_spool` that of several hosts.
    """

    world: World
    dso: SimulatedDso
    adapter: FaultyAdapter
    store: str = "sqlite"
    inside: Callable[[Path], Path] = lambda path: path
    shared_spool: Path | None = None

    @property
    def orders(self) -> Orders:
        return self.adapter.orders

    @property
    def state(self) -> Path:
        return self.world.directory / "var"

    @property
    def sink(self) -> Path:
        return self.world.authorities[0].sink

    def delivered(self) -> list[Path]:
        return sorted(path for path in self.in_sinks() if not path.name.startswith("."))

    def in_sinks(self) -> list[Path]:
        """Everything that is in the sinks, work in progress too."""
        return [
            path for authority in self.world.authorities for path in self.inside(authority.sink).iterdir()
        ]

    def one(
        self, number: int = 1, *, authority: WorldAuthority | None = None, document: int = 200_000
    ) -> SimulatedVerzoek:
        """A verzoek with one document of so many octets, of an authority."""
        oin = (authority or self.world.authorities[0]).oin
        documents = (DocumentSpec("tekening.pdf", document),)
        return make_verzoek(
            VerzoekSpec(
                verzoeknummer(datetime.now(UTC).date(), number), oin, documents=documents, seed=number
            )
        )

    async def announce(
        self, verzoek: SimulatedVerzoek, authority: WorldAuthority | None = None, *, padding: int = 0
    ) -> SentMessage:
        """Publish a verzoek, and send its notification once, with so many octets of white space behind it."""
        return await self.dso.msh.resend(await self.prepare(verzoek, authority, padding=padding))

    async def prepare(
        self, verzoek: SimulatedVerzoek, authority: WorldAuthority | None = None, *, padding: int = 0
    ) -> SentMessage:
        """Publish a verzoek, and make its notification to be sent."""
        self.dso.api.publish(verzoek)
        payload = Payload(notification_xml(verzoek) + b" " * padding)
        return await self.dso.msh.send(
            (authority or self.world.authorities[0]).cpa_id,
            SERVICE,
            ACTION,
            [payload],
            conversation_id=verzoek.verzoeknummer,
            is_lost=True,
        )

    async def accepted(self, sent: SentMessage) -> None:
        """Send the same octets again until they are accepted, as a reliable sender does, and see the acknowledgment."""

        async def taken() -> bool:
            return (await self.dso.msh.resend(sent)).status in {200, 204}

        await until(taken)
        signal = await self.dso.msh.wait_for(sent.message_id)
        assert (signal.action, signal.problems) == ("Acknowledgment", ())

    async def rows(self, query: str) -> Rows:
        """What the store says now, asked beside the daemon."""
        if self.store != "sqlite":
            return await _rows_of_postgresql(self.store, query)
        path = str(self.state / "stam-adapter.db")
        if not self.adapter.prefix:
            return await asyncio.to_thread(_rows_of_sqlite, path, query)
        # in a process of its own: the database is on a disk that only those with its prefix have
        command = (*self.adapter.prefix, sys.executable, "-I", "-c", _READER)
        reader = await asyncio.create_subprocess_exec(*command, path, query, stdout=asyncio.subprocess.PIPE)
        said, _ = await reader.communicate()
        assert reader.returncode == 0
        return [tuple(row) for row in json.loads(said)]

    async def jobs(self) -> Rows:
        """Kind, state and reason of every job that is about a message or a verzoek."""
        return await self.rows("SELECT kind, state, reason FROM job WHERE kind <> 'reconcile'")

    async def reasons(self, kind: str, state: str) -> list[str]:
        """Why jobs of a kind are in a state."""
        return [reason for of, now, reason in await self.jobs() if (of, now) == (kind, state) and reason]

    async def called(self, line: str, times: int = 1) -> None:
        """Wait until the daemon called something so often."""

        async def is_called() -> bool:
            return self.orders.calls().count(line) >= times

        await until(is_called)

    async def waits(self, kind: str, state: str, why: str) -> None:
        """Wait until a job of a kind is in a state for a reason."""

        async def is_waiting() -> bool:
            return any(why in reason for reason in await self.reasons(kind, state))

        await until(is_waiting)

    async def all_ended(self) -> bool:
        return not await self.jobs()

    async def messages(self) -> Rows:
        """The MessageId and state of every business message that was accepted."""
        return await self.rows(
            "SELECT message_id, state FROM message WHERE direction = 'in' AND kind = 'business'"
        )

    async def deliveries(self) -> Rows:
        """The verzoeknummer and state of every delivery."""
        return await self.rows("SELECT verzoeknummer, state FROM delivery")

    async def in_step(
        self, announced: Iterable[tuple[SentMessage, SimulatedVerzoek]], *, unnamed: bool = False
    ) -> None:
        """Wait until all work ended, stop, and let the checker compare what partner, store and sinks say.

        Everything announced was acknowledged, once, and is in the store and whole in the sink, once. `unnamed`: files
        that nothing names may be left in the spool, for its sweep.
        """
        await until(self.all_ended)
        assert await self.adapter.stop() == 0
        store = await self._stopped_store()
        spool = read_spool(self.shared_spool or self.inside(self.state / "spool"))
        if unnamed:
            spool = {key: spool[key] for row in store.contents if (key := row["spool_key"]) in spool}
        report = check(
            self.believed(announced),
            store,
            read_sinks({one.name: [self.inside(one.sink)] for one in self.world.authorities}),
            spool,
        )
        assert report.is_clean, str(report)

    def believed(self, announced: Iterable[tuple[SentMessage, SimulatedVerzoek]]) -> list[Believed]:
        """What the partner believes of what it announced: all of it is acknowledged, each in one way."""
        answers: dict[str | None, set[bytes]] = defaultdict(set)
        for signal in self.dso.msh.received:
            assert (signal.action, signal.problems) == ("Acknowledgment", ())
            answers[signal.ref_to_message_id].add(signal.envelope)
        listed = list(announced)
        assert {one: len(octets) for one, octets in answers.items()} == {s.message_id: 1 for s, _ in listed}
        return [
            Believed(
                sent.message_id,
                next(one.name for one in self.world.authorities if one.cpa_id == sent.cpa_id),
                contents_of([[verzoek.xml], [verzoek.pdf], *(d.content.blocks() for d in verzoek.documents)]),
                verzoek.verzoeknummer,
                acknowledged=True,
            )
            for sent, verzoek in listed
        ]

    async def _stopped_store(self) -> Store:
        if self.store != "sqlite":
            return await read_postgres(self.store)
        # SQLite follows links, which those into another namespace do not survive: it gets a copy
        copy = self.world.directory / "copy.db"
        shutil.copyfile(self.inside(self.state / "stam-adapter.db"), copy)
        return read_sqlite(copy)


_READER = """
import json, sqlite3, sys
rows = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(sys.argv[2]).fetchall()
json.dump(rows, sys.stdout)
"""


def _rows_of_sqlite(path: str, query: str) -> Rows:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


async def _rows_of_postgresql(url: str, query: str) -> Rows:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def running_chain(
    directory: Path,
    authorities: Sequence[str] = ("voorbeeldstad",),
    *,
    options: str = "",
    store: str = "sqlite",
    through: str | None = None,
    api: VerzoekAfhandelenApi | None = None,
) -> AsyncIterator[FaultyChain]:
    """A chain on a store, whose daemon is not started.

    The daemon may reach the store `through` another address; `api` stands in for that of the DSO-LV.
    """
    extra = f'\n[store]\nurl = "{through or store}"\n{options}'
    plans = {name: AgreementPlan() for name in authorities}
    world = await asyncio.to_thread(create_world, directory, plans, extra_config=extra)
    adapter = FaultyAdapter(world)
    simulated = SimulatedDso(world)
    if api is not None:
        simulated.api = api
    async with simulated as dso:
        try:
            yield FaultyChain(world, dso, adapter, store)
        finally:
            await adapter.kill()
