# SPDX-License-Identifier: EUPL-1.2

"""A daemon for several authorities, each with a file of its own, whose files a test changes while it runs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from structlog.testing import capture_logs

from adapter.config import ConfigFiles, load_config
from adapter.daemon import Daemon, Materials
from adapter.daemon.tenants import Tenant
from adapter.delivery import Checkpoint, Handover, Outcome, SinkContext, SinkType
from adapter.simulator import (
    SimulatedDso,
    VerzoekSpec,
    World,
    WorldAuthority,
    make_verzoek,
    verzoeknummer,
)
from adapter.sinks import DIRECTORY, MAILBOX, DirectoryOptions, DirectorySink
from adapter.work import utc_now
from tests.e2e.conftest import until

SOON = timedelta(milliseconds=20)
"""Between two looks at the files."""


class WatchedSink(DirectorySink):
    """A directory sink that can be held up, and tells whether it was closed and how many deliveries it is at."""

    def __init__(self, options: DirectoryOptions, context: SinkContext) -> None:
        super().__init__(options)
        self.authority = context.authority
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_work = 0
        self.closed = False
        self.told: Callable[[str], None] = lambda _: None

    async def prepare(self) -> None:
        """What comes before each delivery."""
        await self.gate.wait()

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        assert not self.closed, "a sink is used after it was closed"
        self.at_work += 1
        try:
            await self.prepare()
            assert not self.closed, "a sink was closed while it was used"
            outcome = await super().deliver(handover, checkpoint)
            self.told(handover.verzoeknummer or "")
            return outcome
        finally:
            self.at_work -= 1

    async def close(self) -> None:
        self.closed = True
        await super().close()


@dataclass
class Hosting:
    """A world with a file for each authority, a DSO-LV, and the daemon once it is started."""

    world: World
    dso: SimulatedDso
    logs: list[Any]
    special: Mapping[str, type[WatchedSink]] = field(default_factory=dict)
    made: list[WatchedSink] = field(default_factory=list)
    announced: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    delivered: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    _daemon: Daemon | None = None
    _number: int = 0
    _waiting: defaultdict[tuple[str, str], list[asyncio.Event]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def daemon(self) -> Daemon:
        assert self._daemon is not None
        return self._daemon

    @property
    def tenants(self) -> dict[str, Tenant]:
        assert self.daemon._tenants is not None
        return dict(self.daemon._tenants.current())

    async def start(
        self, *, look: timedelta = timedelta(hours=1), clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Start the daemon; without `look` it reloads only when it is told to."""
        files = ConfigFiles(self.world.config, {})
        materials = Materials(sink_types=self._types, look_at_files=look, clock=clock)
        self._daemon = Daemon(load_config(self.world.config, {}), materials, files=files)
        await self._daemon.start()

    async def stop(self) -> None:
        if self._daemon is not None:
            await self._daemon.stop()

    def _types(self) -> tuple[SinkType[Any], ...]:
        def make(options: DirectoryOptions, context: SinkContext) -> WatchedSink:
            sink = self.special.get(context.authority, WatchedSink)(options, context)
            sink.told = lambda number: self._note(context.authority, number)
            self.made.append(sink)
            return sink

        return replace(DIRECTORY, factory=make), MAILBOX

    # --- files

    def authority(self, name: str) -> WorldAuthority:
        return next(one for one in self.world.authorities if one.name == name)

    def write(self, name: str, text: str) -> None:
        """Replace the file of an authority, as whoever does it properly: at once."""
        file = self.world.authority_file(name)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, "utf-8")
        new.rename(file)

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.world.authority_file(name).read_text("utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def take_away(self, name: str) -> str:
        """Remove the file of an authority; what was in it."""
        file = self.world.authority_file(name)
        text = file.read_text("utf-8")
        file.unlink()
        return text

    # --- what happens

    async def reload(self) -> dict[str, Any]:
        """Have it reload; the line that says what it did."""
        before = len(self.said("configuration.reloaded"))
        self.daemon.reload()
        await self.until_said("configuration.reloaded", before + 1)
        return self.said("configuration.reloaded")[-1]

    async def health(self, question: str = "") -> tuple[int, dict[str, Any]]:
        """What `/health/ready` answers."""
        url = f"http://127.0.0.1:{self.daemon.admin_port}/health/ready{question}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.json()

    def said(self, action: str, authority: str | None = None) -> list[dict[str, Any]]:
        return [
            line
            for line in self.logs
            if line.get("action") == action and authority in {None, line.get("authority")}
        ]

    async def until_said(self, action: str, times: int = 1) -> None:
        async def is_said() -> bool:
            return len(self.said(action)) >= times

        await until(is_said)

    async def announce(self, name: str) -> str:
        """Announce a verzoek to an authority; its verzoeknummer."""
        self._number += 1
        number = verzoeknummer(datetime.now(UTC).date(), self._number)
        authority = self.authority(name)
        await self.dso.announce(authority, make_verzoek(VerzoekSpec(number, authority.oin)))
        self.announced[name].append(number)
        return number

    def _note(self, name: str, number: str) -> None:
        self.delivered[name][number] = asyncio.get_running_loop().time()
        for waiting in self._waiting.pop((name, number), ()):
            waiting.set()

    async def delivery_of(self, name: str, number: str) -> float:
        """When a verzoek was delivered, by the clock of the event loop; waits until it is."""
        while number not in self.delivered[name]:
            waiting = asyncio.Event()
            self._waiting[name, number].append(waiting)
            await waiting.wait()
        return self.delivered[name][number]

    async def is_known(self, name: str) -> bool:
        """Whether a ping under the agreement of an authority is answered, or refused since there is none such."""
        sent = await self.dso.msh.ping(self.authority(name).cpa_id)
        if sent.status == 500:
            assert b"CPAId not recognized" in sent.response
            return False
        return (await self.dso.msh.wait_for(sent.message_id)).action == "Pong"

    async def until_delivered(self, directory: Path, *numbers: str) -> None:
        async def is_there() -> bool:
            return {f"{number}-000" for number in numbers} <= names_in(directory)

        await until(is_there)

    async def deliver(self, name: str, directory: Path | None = None) -> str:
        """A verzoek comes the whole way; its verzoeknummer."""
        number = await self.announce(name)
        await self.until_delivered(directory or self.authority(name).sink, number)
        return number

    def sink_of(self, name: str) -> WatchedSink:
        """The sink an authority has now."""
        sink = self.tenants[name].sinks[name, "archief"].sink
        assert isinstance(sink, WatchedSink)
        return sink


def names_in(directory: Path) -> set[str]:
    """What was delivered to a directory."""
    found = directory.iterdir() if directory.is_dir() else ()
    return {path.name for path in found if not path.name.startswith(".")}


def reasons(line: dict[str, Any]) -> str:
    found: Sequence[str] = line["reasons"]
    return "\n".join(found)


@asynccontextmanager
async def hosted(world: World, **options: Any) -> AsyncIterator[Hosting]:
    """The daemon of a world, to be started, with its DSO-LV and all that is logged; it is stopped at the end."""
    with capture_logs() as logs:
        async with SimulatedDso(world) as dso:
            made = Hosting(world, dso, logs, **options)
            try:
                yield made
            finally:
                await made.stop()
