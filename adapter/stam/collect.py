# SPDX-License-Identifier: EUPL-1.2

"""Collecting a verzoek: from a verzoeknummer to all its files in the spool, resumable at every file.

What is recorded, and when, is what makes it resumable:

1. The references and the STAM XML are fetched first. Only when the XML is of the verzoek that was asked
for, and each document it names has a link, the list of files is recorded, together with the fetched XML, in
one transaction. Until then nothing is kept, and another attempt starts from new references. 2. Each other
file is streamed to the spool, made durable there, and then recorded. Another attempt, also after a restart,
fetches only what is not recorded. 3. When nothing is missing, one transaction ends the collecting, makes
the job that delivers, and ends this one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from adapter.delivery import delivery_name, sink_lane
from adapter.observe import Metrics, bound, get_logger, trace
from adapter.stam.client import VerzoekAfhandelen
from adapter.stam.download import Downloaded
from adapter.stam.matching import VERZOEK_PATH, files_of, match_documents
from adapter.stam.problems import FetchProblem
from adapter.stam.progress import Progress, counted_down
from adapter.stam.references import References
from adapter.store import (
    Collected,
    Content,
    Database,
    DeliveryState,
    Done,
    FileFacts,
    FileKind,
    Job,
    JobKind,
    JobOutcome,
    LeaseLost,
    NewFile,
    NewJob,
    Park,
    Repeated,
    Retry,
    Spool,
    SpoolDamaged,
    SpoolUnavailable,
    StaleState,
    StoredDelivery,
    StoredFile,
    VerzoekFacts,
    complete_collection,
    delivery_files,
    get_delivery,
    position_of,
    record_file,
    record_references,
)
from adapter.verzoek import Doel, Verzoekbericht, VerzoekberichtProblem, read_verzoekbericht

log = get_logger(__name__)

Clock = Callable[[], datetime]

_PAGES: Final = (".html", ".htm", ".xhtml")
"""How the name ends of a document that is a page of HTML; any other such page is about the document not being there."""


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """How many files of one verzoek are fetched at a time, and how many bytes its STAM XML may have."""

    parallel: int = 4
    max_verzoek: int = 32 * 1024 * 1024


SinkFor = Callable[[StoredDelivery, VerzoekFacts], str | None]
"""The sink a verzoek goes to, now that its content is known; None where no route takes it."""

SourceFor = Callable[[str], tuple[VerzoekAfhandelen, CollectSettings] | None]
"""Where the authority with this name collects from; None when it is not configured to."""


def dso_lane(authority: str) -> str:
    """The lane of everything that is asked of Verzoek afhandelen for an authority."""
    return f"dso:{authority}"


def collect_job(authority: str, sink: str, verzoeknummer: str, announced: str | None = None) -> NewJob:
    """The job that collects a verzoek; `announced` is the volgnummer that a notification gave.

    What comes later of the same verzoek waits for it at the sink; without a number that is what was announced later.
    """
    return NewJob(
        JobKind.COLLECT,
        dso_lane(authority),
        holds_key=_order_key(authority, sink, verzoeknummer),
        position=position_of(announced) if announced else None,
    )


def deliver_job(authority: str, sink: str, verzoeknummer: str, volgnummer: str) -> NewJob:
    """The job that hands a collected verzoek to its sink; those of one verzoek go in the order of their volgnummers."""
    key = _order_key(authority, sink, verzoeknummer)
    return NewJob(
        JobKind.DELIVER, sink_lane(authority, sink), key, holds_key=key, position=position_of(volgnummer)
    )


def _order_key(authority: str, sink: str, verzoeknummer: str) -> str:
    return f"{authority}/{sink}/{verzoeknummer}"


class Collector:
    """The handler of the jobs of kind `collect`: the subject is a delivery of flow stam.

    Whatever may pass by itself is a Retry with the wait the server asked for, whatever cannot is a Park.
    """

    def __init__(
        self,
        db: Database,
        spool: Spool,
        source_for: SourceFor,
        metrics: Metrics,
        clock: Clock,
        sink_for: SinkFor,
    ) -> None:
        self._db: Final = db
        self._spool: Final = spool
        self._source_for: Final = source_for
        self._metrics: Final = metrics
        self._clock: Final = clock
        self._sink_for: Final = sink_for

    async def __call__(self, job: Job) -> JobOutcome:
        """Collect what is still missing, and say how it ended."""
        delivery = await self._db.read(get_delivery, job.subject)
        with (
            bound(authority=delivery.authority, verzoeknummer=delivery.verzoeknummer, delivery=delivery.id),
            self._metrics.collect_seconds.labels(delivery.authority).time(),
            trace("collect", delivery.authority, delivery.traced_as, attempt=job.attempts) as here,
        ):
            outcome = await self._outcome(job, delivery)
            here.set(outcome=type(outcome).__name__.lower())
            return outcome

    async def _outcome(self, job: Job, delivery: StoredDelivery) -> JobOutcome:
        if delivery.state is not DeliveryState.COLLECTING:
            return self._obsolete(delivery)
        source = self._source_for(delivery.authority)
        if source is None:
            reason = f"there is no [authorities.{delivery.authority}.dso] to fetch from; add it, then retry"
            return self._parked(delivery, reason)
        if delivery.verzoeknummer is None:
            return self._parked(delivery, "the delivery has no verzoeknummer, so there is nothing to fetch")
        client, settings = source
        attempt = _Attempt(
            self._db, self._spool, client, settings, self._metrics, self._clock, delivery, self._sink_for
        )
        try:
            result = await attempt.run(delivery.verzoeknummer, job)
        except FetchProblem as problem:
            return self._failed(delivery, problem)
        except StaleState as problem:
            return await self._moved(delivery, problem)
        except LeaseLost:
            # Nothing of this attempt's last step was kept; the job is now that worker's to end.
            log.warning("another worker has taken over this collection", action="verzoek.lease_lost")
            return Done(already_finished=True)
        return self._collected(delivery, result)

    async def _moved(self, delivery: StoredDelivery, problem: StaleState) -> JobOutcome:
        now = await self._db.read(get_delivery, delivery.id)
        if now.state is not DeliveryState.COLLECTING:
            return self._obsolete(now)
        return self._failed(delivery, FetchProblem(str(problem), temporary=True))

    def _collected(self, delivery: StoredDelivery, result: Collected | Repeated) -> JobOutcome:
        if isinstance(result, Repeated):
            self._count(delivery, "repeated")
            log.info("the same verzoek was collected before", action="verzoek.repeated", of=result.of)
        else:
            self._count(delivery, "collected")
            log.info(
                "the verzoek is complete",
                action="verzoek.collected",
                name=result.name,
                revision=result.revision,
            )
        return Done(already_finished=True)

    def _failed(self, delivery: StoredDelivery, problem: FetchProblem) -> JobOutcome:
        if not problem.temporary:
            return self._parked(delivery, problem.reason)
        self._count(delivery, "retry")
        log.warning(
            "the verzoek cannot be collected yet", action="verzoek.collect_retry", reason=problem.reason
        )
        return Retry(problem.reason, problem.after)

    def _parked(self, delivery: StoredDelivery, reason: str) -> JobOutcome:
        self._count(delivery, "parked")
        log.error(
            "the verzoek cannot be collected without help", action="verzoek.collect_parked", reason=reason
        )
        return Park(reason)

    def _obsolete(self, delivery: StoredDelivery) -> JobOutcome:
        self._count(delivery, "obsolete")
        log.info("there is nothing to collect any more", action="verzoek.obsolete", state=delivery.state)
        return Done()

    def _count(self, delivery: StoredDelivery, outcome: str) -> None:
        self._metrics.collected_total.labels(authority=delivery.authority, outcome=outcome).inc()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt to collect one delivery. FetchProblem says why it failed."""

    db: Database
    spool: Spool
    client: VerzoekAfhandelen
    settings: CollectSettings
    metrics: Metrics
    clock: Clock
    delivery: StoredDelivery
    sink_for: SinkFor

    async def run(self, verzoeknummer: str, job: Job) -> Collected | Repeated:
        files = await self.db.read(delivery_files, self.delivery.id)
        if not files:
            await self._start(verzoeknummer)
            files = await self.db.read(delivery_files, self.delivery.id)
        await self._fetch_missing([file for file in files if file.content is None])
        files = await self.db.read(delivery_files, self.delivery.id)
        bericht = await self._read(_verzoek_content(files), verzoeknummer)
        return await self._complete(bericht, files, job)

    async def _start(self, verzoeknummer: str) -> None:
        """Record which files the verzoek has, with the STAM XML fetched, once all of them can be fetched."""
        references = await self.client.find(verzoeknummer, self.delivery.announced)
        if references.verzoek is None:
            found = ", ".join(dict.fromkeys(link.rel[:50] for link in references.links[:20])) or "nothing"
            raise FetchProblem(
                f"the references of verzoek {verzoeknummer} have no link to the STAM XML yet (found: {found}); "
                "if it has another relation name, add that to [authorities.….dso.links] verzoek",
                temporary=True,
            )
        fetched = await self._download(references.verzoek.address, VERZOEK_PATH)
        try:
            files = await self._plan(references, fetched.content, verzoeknummer)
            await self.db.write(_record_start, self.delivery.id, files, fetched, self.clock())
        except (FetchProblem, StaleState):
            # Only where it is sure that nothing was written: when this task is cancelled, the transaction may
            # still be committed, and the file it names must stay.
            await self.spool.delete(fetched.content)
            raise
        log.info("the files of the verzoek are known", action="verzoek.referenced", files=len(files))

    async def _plan(
        self, references: References, content: Content, verzoeknummer: str
    ) -> tuple[NewFile, ...]:
        bericht = await self._read(content, verzoeknummer)
        references = self.client.complete(references, bericht)
        match = match_documents(bericht.documents, references.documents)
        if match.missing:
            first, others = match.missing[0], len(match.missing) - 1
            raise FetchProblem(
                f"document {first.bestandsnaam!r} ({first.document_id}) has no reference yet"
                + (f", nor have {others} others" if others else ""),
                temporary=True,
            )
        return files_of(references, match)

    async def _read(self, content: Content, verzoeknummer: str) -> Verzoekbericht:
        """Read the STAM XML, and check that it is the verzoek that was asked for."""
        limit = self.settings.max_verzoek
        if content.size > limit:
            raise FetchProblem(f"the STAM XML has {content.size} bytes, more than {limit}", temporary=False)
        try:
            data = await self.spool.read(content)
            bericht = await asyncio.to_thread(read_verzoekbericht, data, max_bytes=limit)
        except (SpoolDamaged, VerzoekberichtProblem) as problem:
            raise FetchProblem(str(problem), temporary=False) from problem
        except SpoolUnavailable as problem:
            raise FetchProblem(str(problem), temporary=True) from problem
        if bericht.verzoeknummer != verzoeknummer:
            raise FetchProblem(
                f"asked for verzoek {verzoeknummer}, but the STAM XML is of verzoek {bericht.verzoeknummer!r}; "
                "check [authorities.….dso] references, and report it to DSO-LV if that is right",
                temporary=False,
            )
        return bericht

    async def _fetch_missing(self, files: Sequence[StoredFile]) -> None:
        """Fetch some files at a time; after the first failure begin no other, but let those that run
        finish.
        """
        waiting = iter(files)
        problems: list[FetchProblem | StaleState] = []

        async def fetch_next() -> None:
            for file in waiting:
                if problems:
                    return
                try:
                    await self._fetch(file)
                    one_less()
                except (FetchProblem, StaleState) as problem:
                    problems.append(problem)

        gauge = self.metrics.files_left.labels(authority=self.delivery.authority)
        with counted_down(gauge, len(files)) as one_less:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.parallel, len(files))):
                    group.create_task(fetch_next())
        if problems:
            # What cannot pass by itself is what an operator must hear of.
            raise next((each for each in problems if _is_permanent(each)), problems[0])

    async def _fetch(self, file: StoredFile) -> None:
        if file.href is None:
            raise FetchProblem(f"file {file.position} of the verzoek has no address", temporary=False)
        fetched = await self._download(file.href, file.path)
        try:
            await self.db.write(record_file, file.id, fetched.content, fetched.content_type, self.clock())
        except StaleState:
            await self.spool.delete(fetched.content)
            raise
        log.info(
            "a file of the verzoek was fetched",
            action="verzoek.file_fetched",
            path=file.path,
            size=fetched.content.size,
        )

    async def _download(self, address: str, path: str) -> Downloaded:
        """Stream a file to the spool and make it durable there."""
        authority = self.delivery.authority
        may_be_page = path.lower().endswith(_PAGES)
        try:
            with Progress(self.metrics, authority, path) as progress:
                fetched = await self.client.download(address, self.spool, progress, may_be_page=may_be_page)
        except (OSError, SpoolUnavailable) as problem:
            raise FetchProblem(f"cannot write to the spool: {problem}", temporary=True) from problem
        self.metrics.collected_bytes_total.labels(authority=authority).inc(fetched.content.size)
        return fetched

    async def _complete(
        self, bericht: Verzoekbericht, files: Sequence[StoredFile], job: Job
    ) -> Collected | Repeated:
        instantie = bericht.uitvoerende_instantie
        facts = VerzoekFacts(
            volgnummer=bericht.volgnummer,
            doel=bericht.doel,
            type=bericht.type,
            bevoegd_gezag=bericht.bevoegd_gezag.oin,
            uitvoerende_instantie=instantie.oin if instantie is not None else None,
            project_id=bericht.project_id,
            is_copy=instantie is not None and instantie.oin != self.client.oin,
            is_snapshot=bericht.known_doel is Doel.AANVULLEN,
        )
        delivery = self.delivery
        sink = self.sink_for(delivery, facts)
        if sink is None:
            raise FetchProblem(
                f"no route of flow stam takes this verzoek (doel {facts.doel!r}, type {facts.type!r}, behandeldienst "
                f"{facts.uitvoerende_instantie or 'none'}{', a copy' if facts.is_copy else ''}); add one to "
                f"[[authorities.{delivery.authority}.routes]], then retry",
                temporary=False,
            )
        return await self.db.write(
            complete_collection,
            self.delivery.id,
            facts,
            [_facts(file) for file in files],
            deliver_job(delivery.authority, sink, bericht.verzoeknummer, bericht.volgnummer),
            job,
            self.clock(),
            delivery_name(bericht.verzoeknummer, bericht.volgnummer),
            sink=sink,
        )


def _record_start(
    conn: Connection, delivery_id: int, files: Sequence[NewFile], verzoek: Downloaded, now: datetime
) -> None:
    """Record the files of a verzoek and, with them, the STAM XML that told which documents they are."""
    if not record_references(conn, delivery_id, files, now):
        raise StaleState(f"the references of delivery {delivery_id} were recorded by somebody else")
    stored = delivery_files(conn, delivery_id)
    record_file(conn, _verzoek_file(stored).id, verzoek.content, verzoek.content_type, now)


def _verzoek_file(files: Sequence[StoredFile]) -> StoredFile:
    file = next((file for file in files if file.kind is FileKind.VERZOEK), None)
    if file is None:
        raise FetchProblem("the delivery has no STAM XML among its files", temporary=False)
    return file


def _verzoek_content(files: Sequence[StoredFile]) -> Content:
    content = _verzoek_file(files).content
    if content is None:
        raise FetchProblem("the STAM XML was not fetched", temporary=True)
    return content


def _facts(file: StoredFile) -> FileFacts:
    return FileFacts(file.id, file.kind, file.path, file.bestandsnaam, file.document_id, file.vertrouwelijk)


def _is_permanent(problem: FetchProblem | StaleState) -> bool:
    return isinstance(problem, FetchProblem) and not problem.temporary
