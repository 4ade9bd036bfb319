# SPDX-License-Identifier: EUPL-1.2

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.delivery import (
    Breaker,
    Checkpoint,
    CommonOptions,
    ConfiguredSink,
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Deliverer,
    Handover,
    Outcome,
    Permanent,
    Sink,
    Temporary,
)
from adapter.observe import Metrics
from adapter.sinks import DirectoryOptions, DirectorySink, MailboxOptions, MailboxSink
from adapter.store import (
    Content,
    Database,
    DeliveryState,
    Done,
    EventType,
    FileFacts,
    FileKind,
    FileSpool,
    Flow,
    Job,
    JobKind,
    LeaseLost,
    MessageFilter,
    MessageState,
    NewDelivery,
    NewFile,
    NewJob,
    NewPayload,
    Origin,
    Park,
    Retry,
    Spool,
    SpoolUnavailable,
    VerzoekFacts,
    claim_jobs,
    complete_collection,
    create_delivery,
    delivery_files,
    events_for,
    find_message_events,
    get_delivery,
    get_message,
    insert_message,
    jobs_for,
    mailbox_messages,
    mark_mailbox_processed,
    park_job,
    record_file,
    record_references,
    skip_delivery,
)
from tests.checkpoints import get_checkpoint
from tests.messages import new_message
from tests.road import Road, Way
from tests.s3 import Bucket

NOW = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DELIVER = NewJob(JobKind.DELIVER, "sink:archief")


class FakeSink:
    """Reads everything it is given, then answers what it was told to."""

    def __init__(self, answer: Outcome | Callable[[Handover, Checkpoint], Awaitable[Outcome]]) -> None:
        self.answer = answer
        self.handovers: list[Handover] = []
        self.contents: dict[str, bytes] = {}

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        self.handovers.append(handover)
        if callable(self.answer):
            return await self.answer(handover, checkpoint)
        for file in handover.files:
            self.contents[file.path] = b"".join([chunk async for chunk in file.open()])
        return self.answer

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


class House:
    """A store with deliveries in it, and the deliverer that works on them."""

    def __init__(self, db: Database, spool: Spool) -> None:
        self.db = db
        self.spool = spool
        self.metrics = Metrics()
        self.sinks: dict[tuple[str, str], ConfiguredSink] = {}
        self.longest = timedelta(hours=1)

    def use(self, sink: Sink, common: CommonOptions | None = None) -> None:
        common = common or CommonOptions()
        breaker = Breaker(common.breaker, lambda: NOW)
        self.sinks["voorbeeldstad", "archief"] = ConfiguredSink(sink, common, breaker)

    def deliverer(self) -> Deliverer:
        return Deliverer(
            self.db,
            self.spool,
            lambda authority, name: self.sinks.get((authority, name)),
            self.metrics,
            lambda: NOW,
            self.longest,
        )

    async def store(self, data: bytes) -> Content:
        async with self.spool.writer() as writer:
            await writer.write(data)
            return await writer.commit()

    async def claim(self, kind: str) -> Job:
        (job,) = await self.db.write(claim_jobs, "me", NOW, timedelta(minutes=1), 1, (), (kind,))
        return job

    async def message(self, *payloads: NewPayload) -> int:
        message = new_message(
            NOW - timedelta(minutes=1),
            message_id="m-1@dso",
            conversation_id="c-1",
            ref_to_message_id="m-0@dso",
            from_party="urn:osb:oin:1",
            to_party="urn:osb:oin:2",
            service="dso:notificatie",
            action="verzoek",
        )
        return await self.db.write(insert_message, message, None, NOW, payloads=payloads)

    async def verzoek(self, message: int | None, origin: Origin = Origin.NOTIFICATION) -> int:
        """A verzoek of two files that is collected and ready."""
        new = NewDelivery(
            authority="voorbeeldstad",
            sink="archief",
            flow=Flow.STAM,
            origin=origin,
            message=message,
            verzoeknummer="2023073100048",
        )
        collect = NewJob(JobKind.COLLECT, "dso")
        delivery = await self.db.write(create_delivery, new, collect, NOW)
        references = [NewFile(FileKind.VERZOEK, "/x"), NewFile(FileKind.DOCUMENT, "/d")]
        await self.db.write(record_references, delivery, references, NOW)
        xml, document = await self.db.read(delivery_files, delivery)
        for file, content in ((xml, b"<verzoek/>"), (document, b"tekening" * 100)):
            await self.db.write(record_file, file.id, await self.store(content), "application/xml", NOW)
        facts = VerzoekFacts("000", "Initieren", "Aanvraag", "0001", "0002")
        files = [
            FileFacts(xml.id, FileKind.VERZOEK, "verzoek.xml"),
            FileFacts(document.id, FileKind.DOCUMENT, "bijlagen/tek.pdf", "tek.pdf", "abc", True),
        ]
        job = await self.claim(JobKind.COLLECT)
        name = "2023073100048-000"
        await self.db.write(complete_collection, delivery, facts, files, DELIVER, job, NOW, name)
        return delivery

    async def run(self) -> tuple[Job, object]:
        job = await self.claim(JobKind.DELIVER)
        return job, await self.deliverer()(job)

    async def state(self, delivery: int) -> DeliveryState:
        return (await self.db.read(get_delivery, delivery)).state

    def counted(self, outcome: str) -> float | None:
        labels = {"authority": "voorbeeldstad", "sink": "archief", "outcome": outcome}
        return self.metrics.registry.get_sample_value("stam_adapter_delivered_total", labels)


@pytest.fixture
def house(db: Database, spool: Spool) -> House:
    return House(db, spool)


async def test_delivered_ends_the_job_and_marks_delivery_and_message_in_one_step(house: House) -> None:
    message = await house.message()
    delivery = await house.verzoek(message)
    house.use(sink := FakeSink(Delivered("/srv/x")))
    _, outcome = await house.run()
    assert outcome == Done(already_finished=True)
    assert await house.state(delivery) is DeliveryState.DELIVERED
    assert (await house.db.read(get_message, message)).state is MessageState.PROCESSED
    assert await house.db.read(jobs_for, JobKind.DELIVER, delivery) == ()
    assert sink.contents == {"verzoek.xml": b"<verzoek/>", "bijlagen/tek.pdf": b"tekening" * 100}
    assert house.counted("delivered") == 1
    (line,) = [
        event
        for event in await house.db.read(events_for, "2023073100048")
        if event.action == "verzoek.delivered"
    ]
    assert line.detail["reference"] == "/srv/x"


async def test_the_handover_of_a_verzoek_has_the_manifest_of_the_contract(house: House) -> None:
    await house.verzoek(await house.message())
    house.use(sink := FakeSink(Delivered()))
    await house.run()
    (handover,) = sink.handovers
    assert handover.key == "2023073100048-000"
    manifest = json.loads(json.dumps(handover.manifest))
    files = manifest.pop("files")
    assert manifest == {
        "verzoeknummer": "2023073100048",
        "volgnummer": "000",
        "doel": "Initieren",
        "type": "Aanvraag",
        "bevoegdGezag": "0001",
        "uitvoerendeInstantie": "0002",
        "projectId": None,
        "kopie": False,
        "vervallen": [],
        "authority": "voorbeeldstad",
        "origin": "notification",
        "cpaId": "CPA-1",
        "messageId": "m-1@dso",
        "conversationId": "c-1",
        "receivedAt": "2024-01-02T03:04:05.678Z",
    }
    assert [list(file) for file in files] == [
        ["path", "bestandsnaam", "documentId", "vertrouwelijk", "size", "sha256"]
    ] * 2
    assert files[1]["path"] == "bijlagen/tek.pdf"
    assert files[1]["documentId"] == "abc"
    assert files[1]["vertrouwelijk"] is True
    assert files[1]["size"] == 800


async def test_a_verzoek_without_a_message_has_nulls_for_it(house: House) -> None:
    await house.verzoek(None, Origin.RECONCILIATION)
    house.use(sink := FakeSink(Delivered()))
    await house.run()
    manifest = sink.handovers[0].manifest
    assert manifest["origin"] == "reconciliation"
    assert [manifest[key] for key in ("cpaId", "messageId", "conversationId", "receivedAt")] == [None] * 4


async def ready_message(house: House, message: int | None, name: str = "m-1@dso", files: Any = ()) -> int:
    new = NewDelivery(
        authority="voorbeeldstad",
        sink="archief",
        flow=Flow.MESSAGE,
        origin=Origin.NOTIFICATION,
        message=message,
        name=name,
        files=files,
    )
    return await house.db.write(create_delivery, new, DELIVER, NOW)


async def deliver_message(house: House, name: str, *payloads: NewPayload, files: Any = ()) -> Handover:
    message = await house.message(*payloads)
    await ready_message(house, message, name, files)
    house.use(sink := FakeSink(Delivered()))
    await house.run()
    assert (await house.db.read(get_message, message)).state is MessageState.PROCESSED
    return sink.handovers[0]


async def test_a_message_is_handed_over_with_its_payloads(house: House) -> None:
    content = await house.store(b"<a/>")
    handover = await deliver_message(
        house,
        "m-1@dso",
        NewPayload(content, "<cid-1@x>", "text/xml", None),
        NewPayload(content, "cid-2", "text/xml", "../bericht.xml"),
        NewPayload(content, None, None, ".._bericht.xml"),
    )
    assert handover.key == "m-1@dso"
    assert [file.path for file in handover.files] == [
        "payloads/cid-1@x",
        "payloads/___bericht.xml",
        "payloads/___bericht-2.xml",
    ]
    manifest = dict(handover.manifest)
    assert len(manifest.pop("files")) == 3
    assert manifest == {
        "cpaId": "CPA-1",
        "from": "urn:osb:oin:1",
        "to": "urn:osb:oin:2",
        "service": "dso:notificatie",
        "action": "verzoek",
        "messageId": "m-1@dso",
        "conversationId": "c-1",
        "refToMessageId": "m-0@dso",
        "timestamp": "2024-01-02T03:03:05.678Z",
    }


async def test_a_message_that_came_with_files_of_its_own_keeps_their_paths(house: House) -> None:
    content = await house.store(b"<a/>")
    file = NewFile(FileKind.PAYLOAD, path="payloads/a.xml", bestandsnaam="a.xml", content=content)
    handover = await deliver_message(house, "m-1@dso", NewPayload(content, "cid"), files=(file,))
    assert [file.path for file in handover.files] == ["payloads/a.xml"]


async def notices(house: House) -> list[tuple[int, EventType]]:
    found = await house.db.read(
        find_message_events, authorities=None, types=None, filters=MessageFilter(), limit=10
    )
    return [(event.message.id, event.type) for event in found]


async def in_mailbox(house: House) -> list[int]:
    boxes = (("voorbeeldstad", "archief"),)
    found = await house.db.read(mailbox_messages, boxes, MessageFilter(), 10)
    return [message.id for message in found]


async def test_a_message_that_is_kept_is_in_the_mailbox_and_not_processed(house: House) -> None:
    message = await house.message(NewPayload(await house.store(b"<a/>"), "cid"))
    delivery = await ready_message(house, message)
    house.use(MailboxSink(MailboxOptions()))
    assert (await house.run())[1] == Done(already_finished=True)
    assert await house.state(delivery) is DeliveryState.DELIVERED
    assert (await house.db.read(get_message, message)).state is MessageState.RECEIVED
    assert await house.db.read(jobs_for, JobKind.DELIVER, delivery) == ()
    assert await in_mailbox(house) == [message]
    assert await notices(house) == [(message, EventType.RECEIVED)]
    assert house.counted("delivered") == 1
    assert await house.db.write(mark_mailbox_processed, message, NOW)
    assert await in_mailbox(house) == []
    assert (await house.db.read(get_message, message)).state is MessageState.PROCESSED


async def test_with_a_lost_lease_nothing_is_put_into_the_mailbox(house: House) -> None:
    message = await house.message()
    delivery = await ready_message(house, message)
    house.use(MailboxSink(MailboxOptions()))
    lost = await house.claim(JobKind.DELIVER)
    await house.db.write(
        claim_jobs, "other", NOW + timedelta(hours=1), timedelta(1), 1, (), (JobKind.DELIVER,)
    )
    with pytest.raises(LeaseLost):
        await house.deliverer()(lost)
    assert await house.state(delivery) is DeliveryState.READY
    assert await in_mailbox(house) == []
    assert await notices(house) == []


async def test_what_another_sink_took_is_in_no_mailbox_and_no_notice(house: House) -> None:
    await deliver_message(house, "m-1@dso")
    assert await in_mailbox(house) == []
    assert await notices(house) == []


@pytest.mark.parametrize("flow", Flow)
async def test_a_sink_cannot_keep_what_is_no_message(house: House, flow: Flow) -> None:
    if flow is Flow.STAM:
        delivery = await house.verzoek(await house.message())
    else:
        delivery = await ready_message(house, None)
    house.use(FakeSink(Delivered(keep=True)))
    outcome = (await house.run())[1]
    assert isinstance(outcome, Park)
    assert "no message here to keep" in outcome.reason
    assert await house.state(delivery) is DeliveryState.READY
    assert await notices(house) == []
    assert house.counted("permanent") == 1


async def test_damaged_content_is_not_put_into_the_mailbox(house: House, tmp_path: Path) -> None:
    message = await house.message(NewPayload(await house.store(b"x" * 800), "cid"))
    await ready_message(house, message)
    (file,) = spooled_files(tmp_path / "spool")
    file.unlink()
    house.use(MailboxSink(MailboxOptions()))
    assert isinstance((await house.run())[1], Park)
    assert await in_mailbox(house) == []


async def test_temporary_is_a_retry_with_its_wait(house: House) -> None:
    delivery = await house.verzoek(None)
    house.use(FakeSink(Temporary("busy", timedelta(minutes=3))))
    assert (await house.run())[1] == Retry("busy", timedelta(minutes=3))
    assert await house.state(delivery) is DeliveryState.READY
    assert house.counted("temporary") == 1


async def test_permanent_parks_job_and_delivery(house: House) -> None:
    delivery = await house.verzoek(None)
    house.use(FakeSink(Permanent("the name is taken")))
    job, outcome = await house.run()
    assert outcome == Park("the name is taken")
    await house.db.write(park_job, job, outcome.reason, NOW)
    assert await house.state(delivery) is DeliveryState.PARKED
    assert house.counted("permanent") == 1


async def test_an_exception_of_a_sink_is_temporary_and_counted(house: House) -> None:
    async def explode(_handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        raise ZeroDivisionError("secret")

    await house.verzoek(None)
    house.use(FakeSink(explode))
    outcome = (await house.run())[1]
    assert isinstance(outcome, Retry)
    assert "ZeroDivisionError" in outcome.reason
    assert "secret" not in outcome.reason
    assert b'unexpected_errors_total{kind="sink"} 1.0' in house.metrics.render()


async def test_a_sink_that_never_ends_is_ended_and_tried_again(house: House) -> None:
    ended = []

    async def hang(_handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return Delivered()

    await house.verzoek(None)
    house.use(FakeSink(hang))
    house.longest = timedelta(milliseconds=10)
    outcome = (await house.run())[1]
    assert isinstance(outcome, Retry)
    assert "[limits] delivery_time" in outcome.reason
    assert ended
    assert house.counted("temporary") == 1


async def test_a_time_out_of_the_sink_itself_is_not_ours(house: House) -> None:
    async def slow(_handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        raise TimeoutError

    await house.verzoek(None)
    house.use(FakeSink(slow))
    outcome = (await house.run())[1]
    assert isinstance(outcome, Retry)
    assert "TimeoutError" in outcome.reason


async def test_a_sink_that_is_not_in_the_configuration_is_a_retry_that_says_so(house: House) -> None:
    await house.verzoek(None)
    outcome = (await house.run())[1]
    assert isinstance(outcome, Retry)
    assert "no sink 'archief'" in outcome.reason


def spooled_files(spool_root: Path) -> list[Path]:
    return [path for path in spool_root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["gone", "shorter", "changed"])
async def test_damaged_content_is_parked_and_never_delivered(
    house: House, tmp_path: Path, damage: str
) -> None:
    delivery = await house.verzoek(None)
    (file,) = spooled_files(tmp_path / "spool")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"x" * (799 if damage == "shorter" else 800))
    place = tmp_path / "place"
    place.mkdir()
    house.use(DirectorySink(DirectoryOptions(path=place)))
    outcome = (await house.run())[1]
    assert isinstance(outcome, Park)
    assert "bijlagen/tek.pdf" in outcome.reason
    assert list(place.iterdir()) == []
    assert await house.state(delivery) is DeliveryState.READY  # parking the job parks it


@pytest.mark.parametrize("when", ["before", "while"])
async def test_an_object_store_that_cannot_be_reached_is_temporary(
    house: House, bucket: Bucket, road: Road, impatient: None, tmp_path: Path, when: str
) -> None:
    house.spool = spool = bucket.spool(tmp_path, road.url)
    spool._inline_limit = 64
    delivery = await house.verzoek(None)
    place = tmp_path / "place"
    place.mkdir()
    sink = DirectorySink(DirectoryOptions(path=place))

    async def deliver(handover: Handover, checkpoint: Checkpoint) -> Outcome:
        road.way = Way.CUT
        return await sink.deliver(handover, checkpoint)

    road.way = Way.CUT if when == "before" else Way.OPEN
    house.use(FakeSink(deliver))
    job, outcome = await house.run()
    assert isinstance(outcome, Retry)
    assert "cannot be used now" in outcome.reason
    assert list(place.iterdir()) == []
    assert await house.state(delivery) is DeliveryState.READY
    road.way = Way.OPEN
    house.use(sink)
    assert await house.deliverer()(job) == Done(already_finished=True)
    assert (place / "2023073100048-000" / "bijlagen" / "tek.pdf").read_bytes() == b"tekening" * 100


@pytest.mark.parametrize("damage", ["gone", "shorter", "changed"])
async def test_a_damaged_object_is_parked_and_never_delivered(
    house: House, bucket: Bucket, tmp_path: Path, damage: str
) -> None:
    house.spool = spool = bucket.spool(tmp_path)
    spool._inline_limit = 64
    await house.verzoek(None)
    (path,) = bucket.objects()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"x" * (799 if damage == "shorter" else 800))
    house.use(sink := FakeSink(Delivered()))
    outcome = (await house.run())[1]
    assert isinstance(outcome, Park)
    assert "bijlagen/tek.pdf" in outcome.reason
    assert "bijlagen/tek.pdf" not in sink.contents


async def test_what_a_sink_could_read_in_the_end_is_delivered(house: House, tmp_path: Path) -> None:
    class Hesitant(FileSpool):
        refused = 1

        def _read(self, content: Content, key: str) -> AsyncGenerator[bytes, None]:
            self.refused -= 1
            if self.refused >= 0:
                raise SpoolUnavailable("busy")
            return super()._read(content, key)

    async def persistent(handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        with pytest.raises(ContentUnavailable):
            await anext(handover.files[1].open())
        return Delivered() if [chunk async for chunk in handover.files[1].open()] else Temporary("no")

    house.spool = Hesitant(tmp_path / "spool", inline_limit=64)
    await house.verzoek(None)
    house.use(FakeSink(persistent))
    assert (await house.run())[1] == Done(already_finished=True)


async def test_a_sink_that_hides_damage_does_not_get_it_delivered(house: House, tmp_path: Path) -> None:
    async def careless(handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        for file in handover.files:
            try:
                async for _ in file.open():
                    pass
            except ContentDamaged:
                continue
        return Delivered()

    await house.verzoek(None)
    (file,) = spooled_files(tmp_path / "spool")
    file.write_bytes(b"x" * 800)
    house.use(FakeSink(careless))
    assert isinstance((await house.run())[1], Park)


async def test_what_a_sink_remembers_is_there_at_the_next_attempt(house: House) -> None:
    seen: list[object] = []

    async def stepwise(_handover: Handover, checkpoint: Checkpoint) -> Outcome:
        seen.append(checkpoint.get("zaak"))
        await checkpoint.set("zaak", {"url": "https://zaken/1"})
        seen.append(checkpoint.get("zaak"))
        return Temporary("half way")

    delivery = await house.verzoek(None)
    house.use(FakeSink(stepwise))
    job, _ = await house.run()
    await house.deliverer()(job)
    assert seen == [None, {"url": "https://zaken/1"}, {"url": "https://zaken/1"}, {"url": "https://zaken/1"}]
    assert await house.db.read(get_checkpoint, delivery, "zaak") == {"url": "https://zaken/1"}


async def test_what_a_sink_remembers_after_another_took_over_is_refused(house: House) -> None:
    async def overtaken(_handover: Handover, checkpoint: Checkpoint) -> Outcome:
        later = NOW + timedelta(hours=1)
        await house.db.write(claim_jobs, "other", later, timedelta(1), 1, (), (JobKind.DELIVER,))
        await checkpoint.set("staged", {"attempt": 1})
        return Delivered()

    delivery = await house.verzoek(None)
    house.use(FakeSink(overtaken))
    with pytest.raises(LeaseLost):
        await house.run()
    assert await house.db.read(get_checkpoint, delivery, "staged") is None
    assert await house.state(delivery) is DeliveryState.READY


async def test_each_attempt_has_a_higher_number(house: House) -> None:
    await house.verzoek(None)
    house.use(sink := FakeSink(Temporary("not now")))
    for hours in range(3):
        moment = NOW + timedelta(hours=hours)
        (job,) = await house.db.write(
            claim_jobs, "me", moment, timedelta(minutes=1), 1, (), (JobKind.DELIVER,)
        )
        await house.deliverer()(job)
    assert [handover.attempt for handover in sink.handovers] == [1, 2, 3]


async def test_a_delivery_that_was_skipped_meanwhile_is_left_alone(house: House) -> None:
    delivery = await house.verzoek(None)
    house.use(sink := FakeSink(Delivered()))
    job = await house.claim(JobKind.DELIVER)
    await house.db.write(skip_delivery, delivery, "not wanted", NOW)
    assert await house.deliverer()(job) == Done()
    assert sink.handovers == []


async def test_a_delivery_skipped_during_the_attempt_does_not_become_delivered(house: House) -> None:
    delivery = await house.verzoek(None)

    async def skipped_meanwhile(_handover: Handover, _checkpoint: Checkpoint) -> Outcome:
        await house.db.write(skip_delivery, delivery, "not wanted", NOW)
        return Delivered()

    house.use(FakeSink(skipped_meanwhile))
    assert (await house.run())[1] == Done()
    assert await house.state(delivery) is DeliveryState.SKIPPED


async def test_a_delivery_that_is_not_collected_is_parked(house: House) -> None:
    new = NewDelivery(
        authority="voorbeeldstad", sink="archief", flow=Flow.STAM, origin=Origin.OPERATOR, verzoeknummer="1"
    )
    await house.db.write(create_delivery, new, DELIVER, NOW)
    assert isinstance((await house.run())[1], Park)


async def test_through_the_directory_sink_a_verzoek_lands_whole(house: House, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    house.use(DirectorySink(DirectoryOptions(path=place)))
    delivery = await house.verzoek(await house.message())
    assert (await house.run())[1] == Done(already_finished=True)
    target = place / "2023073100048-000"
    assert (target / "bijlagen" / "tek.pdf").read_bytes() == b"tekening" * 100
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["verzoeknummer"] == "2023073100048"
    assert set(await house.db.read(get_checkpoint, delivery, "staged") or {}) == {"inode", "attempt"}
