# SPDX-License-Identifier: EUPL-1.2

import hashlib
from datetime import datetime, timedelta

import pytest

from adapter.store import (
    AgreementSource,
    AgreementState,
    CpaOwnedByOther,
    Database,
    NotFound,
    active_agreements,
    agreement_history,
    agreements_version,
    import_cpa_file,
    put_agreement,
    replaced_agreements,
    withdraw_agreement,
)

UPLOAD = AgreementSource.UPLOAD


async def import_file(
    db: Database, now: datetime, document: bytes, path: str = "cpa.xml", authority: str = "a"
) -> bool:
    digest = hashlib.sha256(document).hexdigest()
    result = await db.write(import_cpa_file, authority, path, digest, "CPA-1", document, now)
    return result.imported


async def active(db: Database) -> list[bytes]:
    return [row.document for row in await db.read(active_agreements)]


async def test_a_new_file_is_imported_once(db: Database, now: datetime) -> None:
    assert await import_file(db, now, b"1")
    assert not await import_file(db, now, b"1")
    assert await active(db) == [b"1"]


async def test_a_changed_file_replaces_the_agreement_and_keeps_its_history(
    db: Database, now: datetime
) -> None:
    await import_file(db, now, b"1")
    assert await import_file(db, now + timedelta(hours=1), b"2")
    new, old = await db.read(agreement_history, "CPA-1")
    assert (new.document, new.state, new.replaced_by) == (b"2", AgreementState.ACTIVE, None)
    assert (old.state, old.replaced_by) == (AgreementState.REPLACED, new.id)
    assert old.active_until == now + timedelta(hours=1)
    assert [row.id for row in await db.read(replaced_agreements, now)] == [old.id]
    assert await db.read(replaced_agreements, now + timedelta(hours=2)) == ()


async def test_a_file_never_undoes_a_later_upload(db: Database, now: datetime) -> None:
    await import_file(db, now, b"1")
    await db.write(put_agreement, "a", "CPA-1", b"2", UPLOAD, now)
    assert not await import_file(db, now, b"1")
    assert await active(db) == [b"2"]


async def test_a_file_that_moved_never_undoes_a_later_upload(db: Database, now: datetime) -> None:
    await import_file(db, now, b"1")
    await db.write(put_agreement, "a", "CPA-1", b"2", UPLOAD, now)
    assert not await import_file(db, now, b"1", path="elsewhere/cpa.xml")
    assert await active(db) == [b"2"]


async def test_a_withdrawn_agreement_stays_withdrawn_while_its_file_is_the_same(
    db: Database, now: datetime
) -> None:
    await import_file(db, now, b"1")
    await db.write(withdraw_agreement, "CPA-1", now)
    assert not await import_file(db, now, b"1")
    assert await active(db) == []
    assert await import_file(db, now, b"2")


async def test_a_file_that_is_active_already_is_not_imported_again(db: Database, now: datetime) -> None:
    await db.write(put_agreement, "a", "CPA-1", b"1", UPLOAD, now)
    assert not await import_file(db, now, b"1")
    assert len(await db.read(agreement_history, "CPA-1")) == 1


async def test_a_cpa_id_belongs_to_one_authority(db: Database, now: datetime) -> None:
    await import_file(db, now, b"1")
    with pytest.raises(CpaOwnedByOther, match="agreement of a"):
        await import_file(db, now, b"2", authority="b")
    await db.write(withdraw_agreement, "CPA-1", now)
    assert await import_file(db, now, b"2", authority="b")


async def test_withdrawing_what_is_not_there_is_refused(db: Database, now: datetime) -> None:
    with pytest.raises(NotFound):
        await db.write(withdraw_agreement, "CPA-1", now)


async def test_the_version_changes_with_every_change(db: Database, now: datetime) -> None:
    versions = [await db.read(agreements_version)]
    await import_file(db, now, b"1")
    versions.append(await db.read(agreements_version))
    await db.write(put_agreement, "a", "CPA-1", b"2", UPLOAD, now)
    versions.append(await db.read(agreements_version))
    await db.write(withdraw_agreement, "CPA-1", now)
    versions.append(await db.read(agreements_version))
    await import_file(db, now, b"1")
    assert len(set(versions)) == 4
    assert await db.read(agreements_version) == versions[-1]
