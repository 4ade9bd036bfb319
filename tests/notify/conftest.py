# SPDX-License-Identifier: EUPL-1.2

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.authorities import Authorities
from adapter.config import ChannelConfig, Config
from adapter.notify import ChannelProblem, Composer, Links, Notification, Outage, Teller, Watch, composer_of
from adapter.observe import Metrics
from adapter.pki import ThrowawayPki, server_context
from adapter.store import (
    Database,
    Flow,
    Job,
    JobKind,
    JobOutcome,
    NewDelivery,
    NewJob,
    Origin,
    Retry,
    claim_jobs,
    create_delivery,
    finish_job,
    migrate,
    open_database,
    park_job,
    retry_job,
    unpark_jobs,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)

both = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
"""For what depends on the database."""

SECRETS_OF_A_VERZOEK = ("Jansen-de Vries", "123456782", "Kerkstraat 7", "brief van J. Jansen.pdf")
"""What is personal, and stands in the reasons and names that the store has."""


@pytest.fixture(scope="session")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture(scope="session")
def tls(pki: ThrowawayPki, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Of a server called localhost."""
    keys = pki.issue("Server", None).key_pair(tmp_path_factory.mktemp("tls"), "server")
    return server_context(keys, None)


@pytest.fixture
def roots(pki: ThrowawayPki, tmp_path: Path) -> Path:
    return pki.root_pem(tmp_path / "roots.pem")


def channel_config(**options: Any) -> ChannelConfig:
    return ChannelConfig.model_validate({"type": "webhook", "url": "https://hooks.example/", **options})


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class FakeChannel:
    """Keeps what is sent; while it is down, or its daemon dies after sending, it says so."""

    name: str
    options: ChannelConfig
    sent: list[Notification] = field(default_factory=list)
    down: str = ""
    dies: bool = False

    async def send(self, notification: Notification) -> None:
        if self.down:
            raise ChannelProblem(self.down)
        self.sent.append(notification)
        if self.dies:
            raise KeyboardInterrupt

    async def probe(self) -> str:
        return "there"

    async def close(self) -> None: ...

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Turn, event and count of every group of every notification."""
        return [(group.turn, group.event or "", group.count) for one in self.sent for group in one.groups]


@dataclass(frozen=True)
class Ends:
    """Something that ends."""

    kind: str
    authority: str
    what: str
    end: datetime


@dataclass
class Desk:
    """One daemon's worth of notifications on a clock that stands still, without a worker: a test runs the jobs."""

    db: Database
    clock: FakeClock
    channels: dict[str, FakeChannel] = field(default_factory=dict)
    ends: list[Ends] | None = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    url: str | None = "https://stam.example.nl"
    authorities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        tables = {name: channel.options for name, channel in self.channels.items()}
        authority = {"party": "00000099100000001000", "certificate": "own.pem", "key": "own.key"}
        return Config.model_validate(
            {
                "environment": "test",
                "admin": {"url": self.url},
                "notifications": tables,
                "authorities": {name: authority | options for name, options in self.authorities.items()},
            }
        )

    def add(self, name: str = "beheer", **options: Any) -> FakeChannel:
        self.channels[name] = FakeChannel(name, channel_config(**options))
        return self.channels[name]

    @property
    def composers(self) -> dict[str, Composer]:
        return {name: composer_of(self.config, name) for name in self.channels}

    @property
    def teller(self) -> Teller:
        return Teller(
            self.db, self.channels, self.composers, self.metrics, self.clock, lambda _low, high: high
        )

    def watch(self, authorities: Authorities | None = None) -> Watch:
        outage = Outage(self.channels, self.composers, self.metrics, self.clock, "host-1")
        known = authorities or Authorities({})
        return Watch(
            self.db,
            lambda: self.config,
            lambda: known,
            lambda: self.ends,
            outage,
            self.metrics,
            self.clock,
        )

    async def run(self, *, look: bool = True) -> list[JobOutcome]:
        """One look, and the jobs that are due, each put back for when it asks."""
        if look:
            await self.watch().look()
        await self.teller.schedule()
        outcomes = []
        for job in await self.claim():
            outcome = await self.teller(job)
            assert isinstance(outcome, Retry)
            assert outcome.after is not None
            due = self.clock() + outcome.after
            await self.db.write(retry_job, job, due, outcome.reason, self.clock())
            outcomes.append(outcome)
        return outcomes

    async def claim(self, owner: str = "daemon-1") -> list[Job]:
        kinds = (JobKind.NOTIFY,)
        return await self.db.write(claim_jobs, owner, self.clock(), LEASE, 10, (), kinds)

    async def pass_time(self, minutes: float, step: float = 0.5) -> None:
        """Let the time pass, with a look at every step."""
        left = minutes
        while left > 0:
            self.clock.advance(minutes=step)
            await self.run()
            left -= step

    async def park(
        self, number: str, authority: str = "voorbeeldstad", reason: str = "the disk is full"
    ) -> int:
        """Park a delivery; return its id."""
        new = NewDelivery(
            authority=authority,
            sink="zaaksysteem",
            flow=Flow.STAM,
            origin=Origin.NOTIFICATION,
            verzoeknummer=number,
        )
        lane = f"dso:{authority}"
        row = await self.db.write(create_delivery, new, NewJob(JobKind.COLLECT, lane), self.clock())
        await self.park_again(reason)
        return row

    async def park_again(self, reason: str = "the disk is full") -> None:
        """Let the collecting that is due fail for good."""
        (job,) = await self.db.write(claim_jobs, "w", self.clock(), LEASE, 1, (), (JobKind.COLLECT,))
        await self.db.write(park_job, job, reason, self.clock())

    async def unpark(self, delivery: int) -> None:
        """Let what is parked be tried again."""
        await self.db.write(unpark_jobs, (JobKind.COLLECT,), (delivery,), self.clock())

    async def settle(self, delivery: int) -> None:
        """Let what is parked be done after all."""
        await self.unpark(delivery)
        (job,) = await self.db.write(claim_jobs, "w", self.clock(), LEASE, 1, (), (JobKind.COLLECT,))
        await self.db.write(finish_job, job)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    return "sqlite" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def desk(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Desk]:
    migrate(url, tmp_path)
    db = open_database(url, tmp_path, exclusive=True)
    yield Desk(db, clock)
    await db.close()


@pytest.fixture
def notification() -> Callable[..., Notification]:
    """A test notification."""

    def make(channel: str = "beheer", language: str = "nl") -> Notification:
        options = channel_config(language=language)
        composer = Composer(channel, "test", options.language, Links("https://stam.example.nl"))
        return composer.test(START)

    return make
