# SPDX-License-Identifier: EUPL-1.2

"""Documents that an Aanvulling has no longer: it is the whole verzoek again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapter.store import (
    Content,
    Database,
    FileFacts,
    FileKind,
    Flow,
    NewDelivery,
    NewFile,
    NewJob,
    Origin,
    VerzoekFacts,
    claim_jobs,
    complete_collection,
    create_delivery,
    delivery_files,
    get_delivery,
    record_file,
    record_references,
    skip_delivery,
)

NUMBER = "2023073100048"


async def collect(
    db: Database, now: datetime, volgnummer: str, documents: str, *, snapshot: bool = True, **changes: Any
) -> int:
    """Collect a message of a verzoek whose documents have a letter for a documentId; return its delivery."""
    values: dict[str, Any] = {
        "authority": "stad",
        "sink": "archief",
        "flow": Flow.STAM,
        "origin": Origin.NOTIFICATION,
        "verzoeknummer": NUMBER,
    }
    delivery = await db.write(
        create_delivery, NewDelivery(**(values | changes)), NewJob("collect", "dso"), now
    )
    files = [
        NewFile(FileKind.VERZOEK, href="/v"),
        *(NewFile(FileKind.DOCUMENT, href="/d") for _ in documents),
    ]
    await db.write(record_references, delivery, files, now)
    facts = []
    for file, name in zip(await db.read(delivery_files, delivery), ("", *documents), strict=True):
        octets = f"{volgnummer}{name}".encode()
        await db.write(
            record_file, file.id, Content(len(octets), octets.hex().ljust(64, "0"), octets), None, now
        )
        facts.append(FileFacts(file.id, file.kind, f"{name}.pdf", f"{name}.pdf", name or None))
    (job,) = await db.write(claim_jobs, "me", now, timedelta(minutes=1), 1, (), ("collect",))
    what = VerzoekFacts(volgnummer, doel="Aanvullen" if snapshot else "Initieren", is_snapshot=snapshot)
    name = f"{NUMBER}-{volgnummer}"
    await db.write(complete_collection, delivery, what, facts, NewJob("deliver", "archief"), job, now, name)
    return delivery


async def lapsed(db: Database, delivery: int) -> Sequence[Mapping[str, Any]]:
    return (await db.read(get_delivery, delivery)).lapsed or ()


async def test_what_it_names_no_longer_has_lapsed(db: Database, now: datetime) -> None:
    await collect(db, now, "000", "abc", snapshot=False)
    later = await collect(db, now, "001", "bd")
    assert await lapsed(db, later) == [
        {"documentId": "a", "bestandsnaam": "a.pdf"},
        {"documentId": "c", "bestandsnaam": "c.pdf"},
    ]


async def test_only_a_snapshot_makes_documents_lapse(db: Database, now: datetime) -> None:
    await collect(db, now, "000", "abc", snapshot=False)
    assert await lapsed(db, await collect(db, now, "001", "", snapshot=False)) == ()


async def test_the_first_one_that_is_seen_makes_none_lapse(db: Database, now: datetime) -> None:
    assert await lapsed(db, await collect(db, now, "001", "a")) == ()


async def test_it_is_compared_with_the_message_before_it_by_volgnummer(db: Database, now: datetime) -> None:
    await collect(db, now, "009", "xyz", snapshot=False)
    await collect(db, now, "001", "ab")
    await collect(db, now, "000", "q", snapshot=False)
    later = await collect(db, now, "002", "a")
    assert [one["documentId"] for one in await lapsed(db, later)] == ["b"]


@pytest.mark.parametrize("change", [{"authority": "dorp"}, {"verzoeknummer": "2023073100049"}])
async def test_nothing_of_another_authority_or_verzoek_counts(
    db: Database, now: datetime, change: dict[str, Any]
) -> None:
    await collect(db, now, "000", "abc", snapshot=False, **change)
    assert await lapsed(db, await collect(db, now, "001", "a")) == ()


async def test_what_was_skipped_does_not_count(db: Database, now: datetime) -> None:
    await collect(db, now, "000", "ab", snapshot=False)
    skipped = await collect(db, now, "001", "a")
    await db.write(skip_delivery, skipped, "by hand", now)
    later = await collect(db, now, "002", "a")
    assert [one["documentId"] for one in await lapsed(db, later)] == ["b"]
