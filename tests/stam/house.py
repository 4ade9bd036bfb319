# SPDX-License-Identifier: EUPL-1.2

"""What the tests of collecting work with: a verzoek, and a house with a store, a spool and a client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from adapter.observe import Metrics
from adapter.simulator import DocumentSpec, SimulatedVerzoek, VerzoekSpec, make_verzoek
from adapter.stam import Collector, CollectSettings, SinkFor, VerzoekAfhandelen
from adapter.store import (
    Database,
    Flow,
    Job,
    JobKind,
    JobOutcome,
    NewDelivery,
    NewJob,
    Origin,
    Spool,
    StoredDelivery,
    StoredFile,
    claim_jobs,
    create_delivery,
    delivery_files,
    get_delivery,
)

NUMBER = "2023073100048"
GEMEENTE = "00000099000000001000"
AUTHORITY = "voorbeeldstad"
NOW = datetime(2024, 1, 2, 12, 0, tzinfo=UTC)


def a_verzoek(*documents: DocumentSpec, **changes: object) -> SimulatedVerzoek:
    values: dict[str, object] = {"verzoeknummer": NUMBER, "bevoegd_gezag": GEMEENTE, **changes}
    return make_verzoek(VerzoekSpec(documents=documents, **values))  # type: ignore[arg-type]


@dataclass
class House:
    """What a collector works with; `client` leads to the simulated DSO-LV."""

    db: Database
    spool: Spool
    metrics: Metrics
    client: VerzoekAfhandelen
    now: datetime = NOW
    settings: CollectSettings = field(default_factory=CollectSettings)
    sink_for: SinkFor = lambda delivery, _: delivery.sink

    def collector(self) -> Collector:
        return Collector(
            self.db,
            self.spool,
            lambda name: (self.client, self.settings) if name == AUTHORITY else None,
            self.metrics,
            lambda: self.now,
            self.sink_for,
        )

    async def ask(
        self, number: str | None = NUMBER, authority: str = AUTHORITY, announced: str | None = None
    ) -> int:
        """Make a delivery with the job to collect it."""
        new = NewDelivery(
            authority=authority,
            sink="archief",
            flow=Flow.STAM,
            origin=Origin.OPERATOR,
            verzoeknummer=number,
            announced=announced,
        )
        job = NewJob(JobKind.COLLECT, f"collect:{authority}", f"collect:{authority}/{number}")
        return await self.db.write(create_delivery, new, job, self.now)

    async def claim(self) -> Job:
        lease = timedelta(minutes=5)
        (job,) = await self.db.write(claim_jobs, "test", self.now, lease, 1, (), (JobKind.COLLECT,))
        return job

    async def collect(
        self, number: str | None = NUMBER, announced: str | None = None
    ) -> tuple[JobOutcome, int]:
        delivery = await self.ask(number, announced=announced)
        return await self.collector()(await self.claim()), delivery

    async def delivery(self, row_id: int) -> StoredDelivery:
        return await self.db.read(get_delivery, row_id)

    async def files(self, row_id: int) -> dict[str, StoredFile]:
        return {file.path: file for file in await self.db.read(delivery_files, row_id)}

    async def read(self, file: StoredFile) -> bytes:
        assert file.content is not None
        return await self.spool.read(file.content)


MakeClient = Callable[..., VerzoekAfhandelen]
