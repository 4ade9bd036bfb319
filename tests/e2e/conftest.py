# SPDX-License-Identifier: EUPL-1.2

"""The adapter in a process of its own, between a simulated DSO-LV and a directory."""

import asyncio
import hashlib
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from adapter.simulator import (
    AdapterEnded,
    AdapterProcess,
    AgreementPlan,
    DocumentSpec,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from tests.e2e import killable
from tests.forked import fork

DEATH = 30.0
CHAIN = 60.0


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], seconds: float = CHAIN) -> None:
    """Wait until a condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what another process does sets no event
            await asyncio.sleep(0.05)


@dataclass
class Adapter:
    """The daemon of a world as a separate process, which can be killed at a point and started again."""

    world: World
    process: AdapterProcess | None = None
    trace: Path = field(init=False)

    def __post_init__(self) -> None:
        self.trace = self.world.directory / "trace"

    @property
    def log(self) -> str:
        return self.world.adapter_log.read_text(errors="replace")

    async def start(self, point: str = "none") -> None:
        process = fork(self.world.adapter_log, killable.run, self.world.config, point, self.trace)
        await self._until_ready(AdapterProcess(self.world, cast(Process, process)))

    async def run(self) -> None:
        """Start the daemon as it is, without a kill switch and with every type of sink."""
        await self._until_ready(await AdapterProcess.start(self.world))

    async def _until_ready(self, process: AdapterProcess) -> None:
        self.process = process
        try:
            await self.process.until_ready()
        except AdapterEnded as problem:
            raise AssertionError(self.log) from problem

    async def died(self) -> None:
        """Wait until the process has killed itself."""
        assert self.process is not None
        async with asyncio.timeout(DEATH):
            assert await self.process.wait() == -9, self.log

    async def stop(self) -> int:
        """Stop the process as systemd does; its exit code."""
        assert self.process is not None
        return await self.process.stop()

    async def kill(self) -> None:
        """End the process, if one was started."""
        if self.process is not None:
            await self.process.kill()

    def passed(self) -> list[str]:
        """The labels that the process passed."""
        return self.trace.read_text().splitlines() if self.trace.exists() else []


@dataclass
class Chain:
    """A world with its DSO-LV running, and the adapter to be started."""

    world: World
    dso: SimulatedDso
    adapter: Adapter

    @property
    def sink(self) -> Path:
        return self.world.authorities[0].sink

    def verzoek(
        self, number: int = 1, *, documents: tuple[DocumentSpec, ...] | None = None
    ) -> SimulatedVerzoek:
        if documents is None:
            documents = (
                DocumentSpec("situatietekening.pdf", 200_000),
                DocumentSpec("toelichting.doc", 3_000, "application/msword", vertrouwelijk=True),
            )
        spec = VerzoekSpec(
            verzoeknummer(datetime.now(UTC).date(), number),
            self.world.authorities[0].oin,
            documents=documents,
            seed=number,
        )
        return make_verzoek(spec)

    def delivered(self) -> list[Path]:
        """The directories that were delivered; work in progress has a name with a dot."""
        return sorted(path for path in self.sink.iterdir() if not path.name.startswith("."))

    def unfinished(self) -> list[Path]:
        return sorted(path for path in self.sink.iterdir() if path.name.startswith("."))

    async def has_delivered(self) -> bool:
        return bool(self.delivered())


def with_sink(chain: Chain, table: str) -> None:
    """Let a chain end in another sink than a directory."""
    head, heading, _ = chain.world.config.read_text().partition("[authorities.voorbeeldstad.sinks.archief]\n")
    assert heading
    chain.world.config.write_text(f"{head}{heading}{table}\n")


def assert_delivered(directory: Path, verzoek: SimulatedVerzoek) -> None:
    """What was delivered is octet for octet what DSO-LV served, and the manifest says so."""
    manifest = json.loads((directory / "manifest.json").read_text())
    files = {path for path in directory.rglob("*") if path.is_file()} - {directory / "manifest.json"}
    assert {directory / entry["path"] for entry in manifest["files"]} == files
    for entry in manifest["files"]:
        content = (directory / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["size"] == len(content)
    assert (directory / "verzoek.xml").read_bytes() == verzoek.xml
    assert (directory / "verzoek.pdf").read_bytes() == verzoek.pdf
    by_id = {entry["documentId"]: entry for entry in manifest["files"] if entry["documentId"]}
    assert set(by_id) == {document.document_id for document in verzoek.documents}
    for document in verzoek.documents:
        entry = by_id[document.document_id]
        assert (directory / entry["path"]).read_bytes() == b"".join(document.content.blocks())
        assert entry["bestandsnaam"] == document.spec.bestandsnaam
        assert entry["vertrouwelijk"] is document.spec.vertrouwelijk


@pytest.fixture
def plan() -> AgreementPlan:
    """The agreement of the world; a test may override it."""
    return AgreementPlan()


@pytest.fixture
async def chain(tmp_path: Path, plan: AgreementPlan) -> AsyncIterator[Chain]:
    world = await asyncio.to_thread(create_world, tmp_path, {"voorbeeldstad": plan})
    async with SimulatedDso(world) as dso:
        made = Chain(world, dso, Adapter(world))
        try:
            yield made
        finally:
            await made.adapter.kill()
