# SPDX-License-Identifier: EUPL-1.2

"""Agreements (CPAs) with their history, and which file each was last imported from."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, literal, or_, select
from sqlalchemy import update as sql_update

from adapter.store.columns import UtcDateTime
from adapter.store.locking import lock_name
from adapter.store.problems import CpaOwnedByOther, NotFound
from adapter.store.schema import agreement, cpa_file
from adapter.store.states import AgreementSource, AgreementState
from adapter.store.timeline import Event, add_event


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """One version of an agreement; `digest` is the SHA-256 of `document` in hexadecimal."""

    id: int
    authority: str
    cpa_id: str
    digest: str
    document: bytes
    source: AgreementSource
    origin_path: str | None
    state: AgreementState
    active_from: datetime
    active_until: datetime | None
    replaced_by: int | None


@dataclass(frozen=True, slots=True)
class AgreementVersion:
    """One version of an agreement, without its document."""

    id: int
    authority: str
    cpa_id: str
    digest: str
    source: AgreementSource
    origin_path: str | None
    state: AgreementState
    active_from: datetime
    active_until: datetime | None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Whether a file became the active agreement, and why (not)."""

    imported: bool
    reason: str


_VERSION: Final = tuple(agreement.c[field.name] for field in fields(AgreementVersion))


def is_imported(conn: Connection, authority: str, path: Path | str, digest: str) -> bool:
    """Whether a CPA file is as it was at its last import; `digest` is its SHA-256 in hexadecimal."""
    return _imported_digest(conn, authority, path) == digest


def import_cpa_file(
    conn: Connection,
    authority: str,
    path: Path | str,
    digest: str,
    cpa_id: str,
    document: bytes,
    now: datetime,
) -> ImportResult:
    """Take over a CPA file when it changed since its last import; it never undoes a later upload.

    `digest` is the SHA-256 of `document` in hexadecimal.

    Raises:
        CpaOwnedByOther: another authority has an active agreement with this CPAId.

    """
    last = _imported_digest(conn, authority, path)
    if last == digest:
        return ImportResult(False, "the file did not change since its last import")
    _note_import(conn, authority, str(path), digest, now, first=last is None)
    active = _active(conn, cpa_id)
    if active is not None and active.authority == authority and active.digest == digest:
        return ImportResult(False, "the same document is active already")
    if last is None and _was_replaced(conn, authority, cpa_id, digest):
        # A file that moved looks new; what came after it must stay.
        return ImportResult(False, "this document was active before, and was replaced or withdrawn since")
    put_agreement(conn, authority, cpa_id, document, AgreementSource.FILE, now, path)
    return ImportResult(True, "the file is new" if last is None else "the file changed")


def put_agreement(
    conn: Connection,
    authority: str,
    cpa_id: str,
    document: bytes,
    source: AgreementSource,
    now: datetime,
    path: Path | str | None = None,
) -> int:
    """Make a document the active agreement of its CPAId; the one before stays in the history.

    Raises:
        CpaOwnedByOther: another authority has an active agreement with this CPAId.

    """
    before = _active(conn, cpa_id)
    if before is not None and before.authority != authority:
        raise CpaOwnedByOther(
            f"CPA {cpa_id} is an active agreement of {before.authority}; withdraw it there, "
            f"or give the agreement of {authority} another cpaid"
        )
    if before is not None:
        _end(conn, before.id, AgreementState.REPLACED, now)
    values: dict[str, Any] = {
        "authority": authority,
        "cpa_id": cpa_id,
        "digest": hashlib.sha256(document).hexdigest(),
        "document": document,
        "source": source,
        "origin_path": None if path is None else str(path),
        "state": AgreementState.ACTIVE,
        "active_from": now,
    }
    row_id: int = conn.execute(insert(agreement).values(values).returning(agreement.c.id)).scalar_one()
    if before is not None:
        conn.execute(sql_update(agreement).filter_by(id=before.id).values(replaced_by=row_id))
    _note(conn, authority, cpa_id, "agreement.activated", now, source=source, digest=values["digest"])
    return row_id


def withdraw_agreement(conn: Connection, cpa_id: str, now: datetime) -> None:
    """End the active agreement of a CPAId without another in its place.

    Raises:
        NotFound: there is none.

    """
    active = _active(conn, cpa_id)
    if active is None:
        raise NotFound(f"there is no active agreement with CPAId {cpa_id}")
    _end(conn, active.id, AgreementState.WITHDRAWN, now)
    _note(conn, active.authority, cpa_id, "agreement.withdrawn", now, digest=active.digest)


def active_agreements(conn: Connection) -> tuple[AgreementRow, ...]:
    """The agreements in use, by authority and CPAId."""
    query = select(agreement).where(agreement.c.state == AgreementState.ACTIVE)
    return _rows(conn.execute(query.order_by(agreement.c.authority, agreement.c.cpa_id)).all())


def replaced_agreements(conn: Connection, since: datetime) -> tuple[AgreementRow, ...]:
    """The versions that were replaced after `since`; they still verify late acknowledgments."""
    query = select(agreement).where(
        agreement.c.state == AgreementState.REPLACED, agreement.c.active_until >= since
    )
    return _rows(conn.execute(query.order_by(agreement.c.id)).all())


def agreement_history(conn: Connection, cpa_id: str) -> tuple[AgreementRow, ...]:
    """All versions of an agreement, newest first."""
    query = select(agreement).where(agreement.c.cpa_id == cpa_id)
    return _rows(conn.execute(query.order_by(agreement.c.id.desc())).all())


def agreement_versions(
    conn: Connection, authorities: Collection[str], cpa_id: str | None = None
) -> tuple[AgreementVersion, ...]:
    """All versions of the agreements of these authorities (or of the one with this CPAId), by CPAId, newest first."""
    query = select(*_VERSION).where(agreement.c.authority.in_(sorted(authorities)))
    if cpa_id is not None:
        query = query.where(agreement.c.cpa_id == cpa_id)
    rows = conn.execute(query.order_by(agreement.c.cpa_id, agreement.c.id.desc()))
    return tuple(AgreementVersion(**row._mapping) for row in rows)


def get_agreement(conn: Connection, row_id: int) -> AgreementRow:
    """Get one version of an agreement.

    Raises:
        NotFound: there is no such version.

    """
    row = conn.execute(select(agreement).where(agreement.c.id == row_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no version {row_id} of an agreement")
    return AgreementRow(**row._mapping)


def agreement_in_force(conn: Connection, authority: str, cpa_id: str, at: datetime) -> AgreementRow | None:
    """The version of an agreement of an authority that was in use at a moment; None where there was none."""
    moment = literal(at, UtcDateTime())
    until = agreement.c.active_until
    query = select(agreement).where(
        agreement.c.cpa_id == cpa_id,
        agreement.c.authority == authority,
        agreement.c.active_from <= moment,
        or_(until.is_(None), until > moment),
    )
    row = conn.execute(query.order_by(agreement.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else AgreementRow(**row._mapping)


def agreements_version(conn: Connection) -> str:
    """A text that changes whenever `active_agreements` does.

    The last id alone does not tell: of two transactions, the one with the lower id may be committed last.
    """
    last = conn.execute(select(func.max(agreement.c.id))).scalar_one()
    query = select(func.count(), func.sum(agreement.c.id)).where(agreement.c.state == AgreementState.ACTIVE)
    active, total = conn.execute(query).one()
    return f"{last or 0}-{active}-{total or 0}"


def _active(conn: Connection, cpa_id: str) -> AgreementRow | None:
    """The active version, which nobody else changes before this transaction ended."""
    lock_name(conn, "agreement", cpa_id)
    query = select(agreement).filter_by(cpa_id=cpa_id, state=AgreementState.ACTIVE)
    row = conn.execute(query).one_or_none()
    return None if row is None else AgreementRow(**row._mapping)


def _end(conn: Connection, row_id: int, state: AgreementState, now: datetime) -> None:
    conn.execute(sql_update(agreement).filter_by(id=row_id).values(state=state, active_until=now))


def _was_replaced(conn: Connection, authority: str, cpa_id: str, digest: str) -> bool:
    query = select(agreement.c.id).filter_by(authority=authority, cpa_id=cpa_id, digest=digest).limit(1)
    return conn.execute(query).one_or_none() is not None


def _imported_digest(conn: Connection, authority: str, path: Path | str) -> str | None:
    digest: str | None = conn.execute(
        select(cpa_file.c.digest).filter_by(authority=authority, path=str(path))
    ).scalar_one_or_none()
    return digest


def _note_import(
    conn: Connection, authority: str, path: str, digest: str, now: datetime, *, first: bool
) -> None:
    key = {"authority": authority, "path": path}
    values = {"digest": digest, "imported_at": now}
    if first:
        conn.execute(insert(cpa_file).values(key | values))
    else:
        conn.execute(sql_update(cpa_file).filter_by(**key).values(values))


def _note(conn: Connection, authority: str, cpa_id: str, action: str, now: datetime, **detail: str) -> None:
    add_event(conn, Event(at=now, authority=authority, action=action, cpa_id=cpa_id, detail=detail))


def _rows(rows: Sequence[Row[Any]]) -> tuple[AgreementRow, ...]:
    return tuple(AgreementRow(**row._mapping) for row in rows)
