# SPDX-License-Identifier: EUPL-1.2

"""A whole line: a simulated DSO-LV, the adapter in a process of its own, and a back-end of any type."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapter.simulator import (
    AgreementPlan,
    ApiSettings,
    Applicant,
    DocumentSpec,
    Faults,
    Place,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from adapter.store import Database, DeliveryState, find_deliveries, open_database
from adapter.work import utc_now
from tests.e2e.arrivals import Announced, BackEnd
from tests.e2e.backends import BACK_ENDS
from tests.e2e.conftest import Adapter, Chain, until
from tests.e2e.test_e2e_kills import send_until_acknowledged
from tests.s3 import Bucket

SOON = ('first = "1s"\nmax = "1m"', 'first = "50ms"\nmax = "200ms"')
"""The retries of a world, and those of a test that makes many."""

NEVER_RESTS = {"breaker": {"failures": 1000}}

DOCUMENTS = (
    DocumentSpec("situatietekening.pdf", 150_000),
    DocumentSpec("toelichting.doc", 3_000, "application/msword", vertrouwelijk=True),
)


@dataclass
class Line:
    """A chain with a back-end at its end, and what was announced so far."""

    chain: Chain
    back_end: BackEnd
    announced: list[Announced] = field(default_factory=list)

    @property
    def adapter(self) -> Adapter:
        return self.chain.adapter

    async def announce(self, verzoek: SimulatedVerzoek) -> Announced:
        """Let DSO-LV announce a verzoek."""
        authority = self.chain.world.authorities[0]
        self.announced.append(Announced(await self.chain.dso.announce(authority, verzoek), verzoek))
        return self.announced[-1]

    async def deliver(self, verzoek: SimulatedVerzoek) -> None:
        """Let DSO-LV announce a verzoek, and wait until it was delivered."""
        await self.announce(verzoek)
        await self.all_delivered()

    async def states(self) -> Sequence[DeliveryState]:
        """How far each delivery is."""
        async with _opened(self.chain) as db:
            return [one.state for one in await db.read(find_deliveries, limit=1000)]

    async def all_delivered(self) -> None:
        """Wait until everything that was announced was delivered, each once."""
        await until(self._is_delivered)

    async def _is_delivered(self) -> bool:
        states = await self.states()
        return len(states) == len(self.announced) and set(states) == {DeliveryState.DELIVERED}

    async def resend(self) -> None:
        """Send the last message until it was acknowledged, as DSO-LV does."""
        await send_until_acknowledged(self.chain, self.announced[-1].sent)

    async def command(self, *arguments: str) -> bytes:
        """What a command of the adapter says; it must end well."""
        command = (sys.executable, "-m", "adapter", *arguments, "--config", str(self.chain.world.config))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0, output
        return output

    async def arrived_once(self) -> None:
        """Everything that was announced is at the back-end, exactly once."""
        assert await self.back_end.arrived() == self.back_end.expected(self.announced)

    async def repeats(self) -> int:
        """What is at the back-end more often than it was announced; all that was announced must be there."""
        arrived, expected = await self.back_end.arrived(), self.back_end.expected(self.announced)
        assert arrived.is_all_of(expected)
        return arrived.beyond(expected)

    async def said_possibly_repeated(self) -> int:
        """How often the timeline of the last message says that something was possibly repeated."""
        last = self.announced[-1]
        what = ("verzoek", "show", last.verzoek.verzoeknummer)
        if self.back_end.flow == "message":
            what = ("message", "show", last.sent.message_id)
        return (await self.command(*what, "--json")).count(b'"delivery.possibly_repeated"')


@asynccontextmanager
async def _opened(chain: Chain) -> AsyncIterator[Database]:
    db = open_database("sqlite", chain.world.directory / "var", exclusive=False)
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def running_line(
    directory: Path,
    kind: str,
    bucket: Bucket | None = None,
    *,
    settings: ApiSettings | None = None,
    faults: Faults | None = None,
) -> AsyncIterator[Line]:
    """A line to a back-end of this kind, without the adapter."""
    world = await asyncio.to_thread(create_world, directory, {"voorbeeldstad": AgreementPlan()})
    dso = SimulatedDso(world, faults=faults or Faults(), settings=settings or ApiSettings())
    async with dso, BACK_ENDS[kind](world, bucket).running() as back_end:
        chain = Chain(world, dso, Adapter(world))
        configure(chain, back_end, NEVER_RESTS)
        if back_end.is_http:
            back_end.way.kill = chain.adapter.kill
        try:
            yield Line(chain, back_end)
        finally:
            await chain.adapter.kill()


def configure(chain: Chain, back_end: BackEnd, changes: Mapping[str, Any]) -> None:
    """Give the one route of a world this sink, and let what fails be tried again soon."""
    head, heading, _ = chain.world.config.read_text().partition("[authorities.voorbeeldstad.sinks.archief]\n")
    before, flow, after = head.partition('flow = "stam"')
    assert heading
    assert flow
    assert SOON[0] in before
    table = {**back_end.table(), **changes}
    lines = [f"{key} = {as_toml(value)}\n" for key, value in table.items()]
    head = f'{before.replace(*SOON)}flow = "{back_end.flow}"{after}'
    chain.world.config.write_text(f"{head}{heading}{''.join(lines)}{back_end.more}")


def as_toml(value: Any) -> str:
    """A value of the configuration, as it is written there."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {as_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def a_verzoek(line: Line, number: int, **facts: Any) -> SimulatedVerzoek:
    """A verzoek of today with this number, as large as every other."""
    oin = line.chain.world.authorities[0].oin
    alike = {"applicant": Applicant.REPRESENTED, "places": (Place.POINT,), "activities": 1}
    facts = {"documents": DOCUMENTS, "seed": number, **alike, **facts}
    return make_verzoek(VerzoekSpec(verzoeknummer(utc_now().date(), number), oin, **facts))
