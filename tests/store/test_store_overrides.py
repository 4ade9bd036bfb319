# SPDX-License-Identifier: EUPL-1.2

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from adapter.store import (
    CertificateOverride,
    Database,
    EndpointOverride,
    delete_certificate_override,
    delete_endpoint_override,
    events_for,
    list_certificate_overrides,
    list_endpoint_overrides,
    put_certificate_override,
    put_endpoint_override,
)
from adapter.store.schema import timeline

ENDPOINT = EndpointOverride("stad", "https://dso.example/ebms", "https://proxy.example/dso")
CERTIFICATE = CertificateOverride("stad", b"old", b"new")


async def lines(db: Database) -> list[tuple[str, str | None, object]]:
    rows = await db.read(lambda conn: conn.execute(select(timeline).order_by(timeline.c.id)).all())
    return [(row.action, row.cpa_id, row.detail) for row in rows]


async def test_an_endpoint_is_overridden_until_it_is_not(db: Database, now: datetime) -> None:
    assert await db.write(put_endpoint_override, ENDPOINT, now)
    assert await db.read(list_endpoint_overrides) == (ENDPOINT,)
    assert await db.write(delete_endpoint_override, "stad", ENDPOINT.source, now)
    assert await db.read(list_endpoint_overrides) == ()
    assert await lines(db) == [
        ("endpoint.overridden", None, {"source": ENDPOINT.source, "destination": ENDPOINT.destination}),
        ("endpoint.override_removed", None, {"source": ENDPOINT.source}),
    ]
    (first, _) = await db.read(events_for, authority="stad")
    assert first.at == now


async def test_what_changes_nothing_is_no_line_on_the_timeline(db: Database, now: datetime) -> None:
    assert not await db.write(delete_endpoint_override, "stad", ENDPOINT.source, now)
    assert not await db.write(delete_certificate_override, "stad", b"old", None, now)
    await db.write(put_endpoint_override, ENDPOINT, now)
    await db.write(put_certificate_override, CERTIFICATE, now)
    assert not await db.write(put_endpoint_override, ENDPOINT, now)
    assert not await db.write(put_certificate_override, CERTIFICATE, now)
    assert len(await lines(db)) == 2


async def test_a_later_override_takes_the_place_of_the_one_before(db: Database, now: datetime) -> None:
    other = replace(ENDPOINT, destination="https://elsewhere.example")
    newer = replace(CERTIFICATE, destination=b"newest")
    await db.write(put_endpoint_override, ENDPOINT, now)
    await db.write(put_certificate_override, CERTIFICATE, now)
    assert await db.write(put_endpoint_override, other, now)
    assert await db.write(put_certificate_override, newer, now)
    assert await db.read(list_endpoint_overrides) == (other,)
    assert await db.read(list_certificate_overrides) == (newer,)


async def test_the_overrides_of_one_authority_are_its_own(db: Database, now: datetime) -> None:
    dorp = replace(ENDPOINT, authority="dorp"), replace(CERTIFICATE, authority="dorp")
    for endpoint, certificate in ((ENDPOINT, CERTIFICATE), dorp):
        await db.write(put_endpoint_override, endpoint, now)
        await db.write(put_certificate_override, certificate, now)
    assert await db.read(list_endpoint_overrides, ("dorp",)) == dorp[:1]
    assert await db.read(list_certificate_overrides, ("dorp",)) == dorp[1:]
    assert await db.read(list_endpoint_overrides, ()) == ()
    assert await db.read(list_certificate_overrides, ()) == ()
    await db.write(delete_endpoint_override, "stad", ENDPOINT.source, now)
    await db.write(delete_certificate_override, "stad", b"old", None, now)
    assert await db.read(list_endpoint_overrides) == dorp[:1]
    assert await db.read(list_certificate_overrides) == dorp[1:]


async def test_a_certificate_is_overridden_for_one_agreement_beside_all(db: Database, now: datetime) -> None:
    for_one = replace(CERTIFICATE, destination=b"of one", cpa_id="CPA-1")
    await db.write(put_certificate_override, for_one, now)
    await db.write(put_certificate_override, CERTIFICATE, now)
    assert await db.read(list_certificate_overrides) == (CERTIFICATE, for_one)
    assert not await db.write(delete_certificate_override, "stad", b"old", "CPA-2", now)
    assert await db.write(delete_certificate_override, "stad", b"old", "CPA-1", now)
    assert await db.read(list_certificate_overrides) == (CERTIFICATE,)
    assert [(action, cpa_id) for action, cpa_id, _ in await lines(db)] == [
        ("certificate.overridden", "CPA-1"),
        ("certificate.overridden", None),
        ("certificate.override_removed", "CPA-1"),
    ]


async def test_the_timeline_names_certificates_by_their_digest(db: Database, now: datetime) -> None:
    await db.write(put_certificate_override, CERTIFICATE, now)
    ((_, _, detail),) = await lines(db)
    assert detail == {
        "source": CERTIFICATE.source_digest,
        "destination": replace(CERTIFICATE, source=b"new").source_digest,
    }
