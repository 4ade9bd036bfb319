# SPDX-License-Identifier: EUPL-1.2

"""Where it all takes place: one world with its load, a server, and what every part of a run needs of them."""

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapter.simulator import World
from adapter.store import migrate
from bench.daemons import Daemons, running_daemons
from bench.generator import Generator
from bench.measuring import Figures, Receiver, Round, Stage
from bench.options import Options
from bench.results import ANSWERED, DELIVERED, Results, Row
from bench.sites import SQLITE_URL, Site, authority_of, create_sites
from tests.postgresql import Server


@dataclass(slots=True)
class Arena:
    """What a run has; `say` tells what is being done, `server` is None where there is no PostgreSQL."""

    options: Options
    directory: Path
    say: Callable[[str], None]
    world: World
    load: Generator
    server: Server | None
    results: Results
    _made: int = field(default=0)

    def place(self) -> Path:
        """A directory that is not there yet."""
        self._made += 1
        return self.directory / f"place-{self._made}"

    def cpa_ids(self, *cases: str) -> Sequence[str]:
        """The agreements of these cases."""
        wanted = {authority_of(case) for case in cases}
        return [authority.cpa_id for authority in self.world.authorities if authority.name in wanted]

    def sites(self, server: Server | None, number: int = 1, *, ebms: str = "") -> list[Site]:
        """The sites of daemons on a new store: a new database of a server, or SQLite. Blocking."""
        store = SQLITE_URL if server is None else server.url(server.new_database())
        self._made += 1
        sites = create_sites(self.world, f"sites-{self._made}", store=store, number=number, ebms=ebms)
        migrate(store, sites[0].state)
        return sites

    @asynccontextmanager
    async def daemons(self, sites: Sequence[Site], server: Server | None = None) -> AsyncIterator[Daemons]:
        """The daemons of these sites, warmed up."""
        async with running_daemons(sites, server) as daemons:
            stage = self.stage(daemons, self.options.warm_up)
            await stage.deliver([authority.cpa_id for authority in self.world.authorities], daemons.delivered)
            yield daemons

    def stage(self, receiver: Receiver, messages: int | None = None, load: Generator | None = None) -> Stage:
        """Where a round is played, with the messages of the options and the load of the world unless it is said."""
        number = self.options.messages if messages is None else messages
        return Stage(
            receiver, self.load if load is None else load, number, self.options.senders, self.options.pause
        )

    async def receive_by_turns(self, case: str, stages: Sequence[tuple[str, Stage]]) -> None:
        """Rounds of receiving by receivers of the load of this world; what they come to goes to the results."""
        played: dict[str, list[Round]] = {name: [] for name, _ in stages}
        for number in range(self.options.rounds):
            for name, stage in stages:
                self.say(f"{name}: {case}, round {number + 1}")
                played[name].append(await stage.receive(self.cpa_ids(case)))
        self.results.rows += [
            Row(name, case, ANSWERED, Figures.of(rounds)) for name, rounds in played.items()
        ]

    async def deliver_by_turns(self, case: str, crews: Sequence["Crew"]) -> None:
        """As `receive_by_turns`, all the way to the sink."""
        played: dict[str, list[Round]] = {crew.name: [] for crew in crews}
        for number in range(self.options.rounds):
            for crew in crews:
                self.say(f"{crew.name}: {case}, to the sink, round {number + 1}")
                stage = self.stage(crew.daemons, load=crew.load)
                ids = crew.cpa_ids or self.cpa_ids(case)
                played[crew.name].append(await stage.deliver(ids, crew.daemons.delivered))
        self.results.rows += [
            Row(name, case, DELIVERED, Figures.of(rounds)) for name, rounds in played.items()
        ]


@dataclass(frozen=True, slots=True)
class Crew:
    """Daemons under their name in the table; with a load and agreements where they are of another world."""

    name: str
    daemons: Daemons
    load: Generator | None = None
    cpa_ids: Sequence[str] = ()


def remove(sites: Sequence[Site]) -> None:
    """Remove everything of sites whose daemons have stopped."""
    shutil.rmtree(sites[0].shared)
