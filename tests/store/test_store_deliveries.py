# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapter.store import (
    Collected,
    Content,
    Database,
    DeliveryState,
    FileFacts,
    FileKind,
    Flow,
    Job,
    JobState,
    LeaseLost,
    MessageState,
    NewDelivery,
    NewFile,
    NewJob,
    NewMessage,
    NotFound,
    Origin,
    Repeated,
    StaleState,
    VerzoekFacts,
    checkpoints,
    claim_jobs,
    complete_collection,
    create_delivery,
    delivery_files,
    events_for,
    find_deliveries,
    get_delivery,
    get_message,
    insert_message,
    jobs_for,
    park_job,
    record_file,
    record_references,
    set_checkpoint,
    set_delivery_state,
    skip_delivery,
    unpark_jobs,
)
from tests.checkpoints import get_checkpoint

FACTS = VerzoekFacts("1", doel="indienen", type="aanvraag", bevoegd_gezag="gm0001")
REFERENCES = (NewFile(FileKind.VERZOEK, href="/v"), NewFile(FileKind.DOCUMENT, href="/d"))


def content(text: str) -> Content:
    return Content(len(text), text.ljust(64, "0"), text.encode())


async def claimed(db: Database, now: datetime, kind: str) -> Job:
    (job,) = await db.write(claim_jobs, "w1", now, timedelta(seconds=60), 1, (), (kind,))
    return job


async def announced(db: Database, now: datetime, **changes: Any) -> int:
    values: dict[str, Any] = {
        "authority": "voorbeeldstad",
        "sink": "archief",
        "flow": Flow.STAM,
        "origin": Origin.NOTIFICATION,
        "verzoeknummer": "2023073100048",
    }
    new = NewDelivery(**(values | changes))
    return await db.write(create_delivery, new, NewJob("collect", "dso"), now)


async def fetched(db: Database, now: datetime, texts: tuple[str, str] = ("v", "d"), **changes: Any) -> int:
    delivery = await announced(db, now, **changes)
    await db.write(record_references, delivery, REFERENCES, now)
    for file, text in zip(await db.read(delivery_files, delivery), texts, strict=True):
        await db.write(record_file, file.id, content(text), "text/xml", now)
    return delivery


async def complete(
    db: Database, now: datetime, delivery: int, job: Job | None = None
) -> Collected | Repeated:
    files = [
        FileFacts(file.id, file.kind, f"file{file.position}", "naam", "doc", False)
        for file in await db.read(delivery_files, delivery)
    ]
    return await db.write(
        complete_collection,
        delivery,
        FACTS,
        files,
        NewJob("deliver", "archief"),
        job or await claimed(db, now, "collect"),
        now,
        "2023073100048-1",
    )


async def actions(db: Database) -> list[str]:
    return [event.action for event in await db.read(events_for, "2023073100048")]


async def test_a_verzoek_is_collected_and_becomes_ready(db: Database, now: datetime) -> None:
    delivery = await fetched(db, now)
    assert await complete(db, now, delivery) == Collected(1, "2023073100048-1")
    stored = await db.read(get_delivery, delivery)
    assert (stored.state, stored.volgnummer, stored.doel) == (DeliveryState.READY, "1", "indienen")
    assert stored.message_id is None
    file = (await db.read(delivery_files, delivery))[1]
    assert (file.path, file.document_id, file.vertrouwelijk) == ("file1", "doc", False)
    assert file.content == content("d")
    assert await db.read(jobs_for, "collect", delivery) == ()
    assert len(await db.read(jobs_for, "deliver", delivery)) == 1
    assert await actions(db) == [
        "verzoek.created",
        "verzoek.referenced",
        "verzoek.file_fetched",
        "verzoek.file_fetched",
        "verzoek.collected",
    ]


async def test_the_same_verzoek_again_is_a_line_on_the_timeline(db: Database, now: datetime) -> None:
    first = await fetched(db, now)
    await complete(db, now, first)
    second = await fetched(db, now, origin=Origin.RECONCILIATION)
    assert await complete(db, now, second) == Repeated(first)
    stored = await db.read(get_delivery, second)
    assert (stored.state, stored.name) == (DeliveryState.REPEATED, "2023073100048-1")
    assert await db.read(jobs_for, "deliver", second) == ()
    assert (await actions(db))[-1] == "verzoek.repeated"


async def test_a_message_that_announces_the_same_verzoek_again_is_processed(
    db: Database, now: datetime, new_message: Callable[..., NewMessage]
) -> None:
    await complete(db, now, await fetched(db, now))
    again = await db.write(insert_message, new_message(), None, now)
    await complete(db, now, await fetched(db, now, message=again))
    assert (await db.read(get_message, again)).state is MessageState.PROCESSED


async def test_the_same_verzoek_with_other_contents_is_the_next_revision(db: Database, now: datetime) -> None:
    await complete(db, now, await fetched(db, now))
    assert await complete(db, now, await fetched(db, now, ("v", "D"))) == Collected(2, "2023073100048-1-r2")
    assert await complete(db, now, await fetched(db, now, ("V", "D"))) == Collected(3, "2023073100048-1-r3")


@pytest.mark.parametrize(
    "change",
    [{"authority": "x"}, {"sink": "x"}, {"verzoeknummer": "x"}],
    ids=lambda change: next(iter(change)),
)
async def test_each_part_of_the_key_makes_another_verzoek(
    db: Database, now: datetime, change: dict[str, str]
) -> None:
    await complete(db, now, await fetched(db, now))
    assert await complete(db, now, await fetched(db, now, **change)) == Collected(1, "2023073100048-1")


async def test_a_verzoek_with_a_file_that_was_not_fetched_is_not_complete(
    db: Database, now: datetime
) -> None:
    delivery = await announced(db, now)
    await db.write(record_references, delivery, REFERENCES, now)
    with pytest.raises(StaleState, match="lacks file0, file1"):
        await complete(db, now, delivery)
    assert (await db.read(get_delivery, delivery)).state is DeliveryState.COLLECTING


async def test_completing_with_a_lost_lease_changes_nothing(db: Database, now: datetime) -> None:
    delivery = await fetched(db, now)
    lost = await claimed(db, now, "collect")
    await claimed(db, now + timedelta(hours=1), "collect")
    with pytest.raises(LeaseLost):
        await complete(db, now, delivery, lost)
    assert (await db.read(get_delivery, delivery)).state is DeliveryState.COLLECTING
    assert await db.read(jobs_for, "deliver", delivery) == ()


async def test_references_are_recorded_once(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    assert await db.write(record_references, delivery, REFERENCES, now)
    assert not await db.write(record_references, delivery, REFERENCES[:1], now)
    assert len(await db.read(delivery_files, delivery)) == 2


async def test_a_file_is_recorded_once(db: Database, now: datetime) -> None:
    delivery = await fetched(db, now)
    file = (await db.read(delivery_files, delivery))[0]
    with pytest.raises(StaleState):
        await db.write(record_file, file.id, content("other"), None, now)


async def test_a_delivery_that_is_not_collected_takes_no_files(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    await db.write(skip_delivery, delivery, "operator", now)
    with pytest.raises(StaleState):
        await db.write(record_references, delivery, REFERENCES, now)
    assert await db.read(jobs_for, "collect", delivery) == ()


async def test_a_delivery_moves_only_from_the_expected_state(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    move = (set_delivery_state, delivery, DeliveryState.READY, DeliveryState.DELIVERED, None, now)
    with pytest.raises(StaleState, match="is not ready"):
        await db.write(*move)
    await complete(db, now, await fetched(db, now))
    with pytest.raises(StaleState):
        await db.write(skip_delivery, 99, "operator", now)


async def test_parking_a_job_parks_its_delivery_and_unparking_brings_both_back(
    db: Database, now: datetime
) -> None:
    delivery = await fetched(db, now)
    await complete(db, now, delivery)
    job = await claimed(db, now, "deliver")
    await db.write(park_job, job, "no such zaaktype", now)
    stored = await db.read(get_delivery, delivery)
    assert (stored.state, stored.reason) == (DeliveryState.PARKED, "no such zaaktype")
    await db.write(unpark_jobs, ("deliver",), (delivery,), now)
    assert (await db.read(get_delivery, delivery)).state is DeliveryState.READY
    assert (await db.read(jobs_for, "deliver", delivery))[0].state is JobState.READY
    assert (await actions(db))[-3:] == ["job.parked", "verzoek.parked", "job.unparked"]


async def test_a_parked_delivery_can_be_skipped_and_its_job_goes(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    await db.write(park_job, await claimed(db, now, "collect"), "gone", now)
    await db.write(skip_delivery, delivery, "operator", now)
    assert (await db.read(get_delivery, delivery)).state is DeliveryState.SKIPPED
    assert await db.read(jobs_for, "collect", delivery) == ()


async def test_a_message_is_delivered_with_its_files_under_a_free_name(
    db: Database, now: datetime, new_message: Callable[..., NewMessage]
) -> None:
    message = await db.write(insert_message, new_message(), None, now)
    new = NewDelivery(
        authority="voorbeeldstad",
        sink="archief",
        flow=Flow.MESSAGE,
        origin=Origin.NOTIFICATION,
        message=message,
        name="m1",
        files=(NewFile(FileKind.PAYLOAD, path="payloads/p", content=content("p")),),
    )
    rows = [await db.write(create_delivery, new, NewJob("deliver", "archief"), now) for _ in range(3)]
    stored = [await db.read(get_delivery, row) for row in rows]
    assert [delivery.name for delivery in stored] == ["m1", "m1-2", "m1-3"]
    assert {delivery.state for delivery in stored} == {DeliveryState.READY}
    assert (stored[0].message_id, stored[0].service, stored[0].received_at) == ("m1@dso", "verzoek", now)
    (file,) = await db.read(delivery_files, rows[0])
    assert file.content == content("p")


async def test_the_timeline_of_a_verzoek_begins_with_its_notification(
    db: Database, now: datetime, new_message: Callable[..., NewMessage]
) -> None:
    message = await db.write(insert_message, new_message(), None, now)
    await announced(db, now, message=message)
    assert await actions(db) == ["message.received", "verzoek.created"]
    assert len(await db.read(events_for, message_id="m1@dso")) == 2
    assert len(await db.read(events_for, conversation_id="c1")) == 2
    assert await db.read(events_for, "2023073100048", authority="other") == []


async def test_deliveries_are_found_newest_first(db: Database, now: datetime) -> None:
    rows = [await announced(db, now) for _ in range(3)]
    found = await db.read(find_deliveries, "voorbeeldstad", DeliveryState.COLLECTING, "2023073100048", 2)
    assert [delivery.id for delivery in found] == [rows[2], rows[1]]
    assert await db.read(find_deliveries, authority="other") == []
    with pytest.raises(NotFound):
        await db.read(get_delivery, 99)


async def test_a_checkpoint_is_kept_and_replaced(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    assert await db.read(get_checkpoint, delivery, "zaak") is None
    await db.write(set_checkpoint, delivery, "zaak", {"url": "1"}, now)
    await db.write(set_checkpoint, delivery, "zaak", {"url": "2"}, now)
    assert await db.read(get_checkpoint, delivery, "zaak") == {"url": "2"}
    assert [checkpoint.step for checkpoint in await db.read(checkpoints, delivery)] == ["zaak"]


async def test_a_checkpoint_is_taken_only_from_who_holds_the_job(db: Database, now: datetime) -> None:
    delivery = await announced(db, now)
    held = await claimed(db, now, "collect")
    await db.write(set_checkpoint, delivery, "staged", {"by": 1}, now, holder=held)
    later = now + timedelta(minutes=2)
    (taken_over,) = await db.write(claim_jobs, "w2", later, timedelta(seconds=60), 1, (), ("collect",))
    with pytest.raises(LeaseLost):
        await db.write(set_checkpoint, delivery, "staged", {"by": 2}, later, holder=held)
    assert await db.read(get_checkpoint, delivery, "staged") == {"by": 1}
    await db.write(set_checkpoint, delivery, "staged", {"by": 3}, later, holder=taken_over)
    assert await db.read(get_checkpoint, delivery, "staged") == {"by": 3}
