# SPDX-License-Identifier: EUPL-1.2

"""The audit trail: who changed what, and who looked at what is personal. Rows are added and read, never changed.

What a row says is names and identifiers, cut to a length: no payload, no file name, no secret.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from adapter.store.pages import Page, Place, behind, bounded, page_end
from adapter.store.schema import audit
from adapter.store.states import AuditKind, AuditOutcome, AuditVia

T = TypeVar("T")

MAX_TEXT: Final = 400
"""Characters of a text in the trail; what callers choose is cut to it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who (`actor`) did what (`action`, such as `message.resend`) to what (`subject`: a MessageId, a CPAId), from
    where (`origin`: an address, or the name of a machine), by which door, and what became of it.

    `authority` is None where it is about several (they are in `detail`) or none. `detail` holds what JSON can hold.
    """

    at: datetime
    actor: str
    via: AuditVia
    origin: str
    kind: AuditKind
    action: str
    subject: str | None = None
    authority: str | None = None
    outcome: AuditOutcome = AuditOutcome.DONE
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted; what is None holds of all. `before` and `since` bound the moment."""

    actor: str | None = None
    via: AuditVia | None = None
    kind: AuditKind | None = None
    action: str | None = None
    subject: str | None = None
    authority: str | None = None
    outcome: AuditOutcome | None = None
    since: datetime | None = None
    before: datetime | None = None


_COLUMNS: Final = tuple(column.name for column in fields(AuditEntry))
_EQUAL: Final = ("actor", "via", "kind", "action", "subject", "authority", "outcome")


def add_audit(conn: Connection, entry: AuditEntry) -> None:
    """Add an entry; in the transaction of the change it tells of, so that there is neither without the other."""
    values = {name: _cut(getattr(entry, name)) for name in _COLUMNS}
    detail = {name: _cut(value) for name, value in entry.detail.items() if value is not None}
    conn.execute(insert(audit), values | {"detail": detail})


def change_audited(
    conn: Connection, work: Callable[[Connection], T], told: Callable[[T], AuditEntry | None]
) -> tuple[T, AuditEntry | None]:
    """Do some work, and add what is told of its result; None where nothing was changed."""
    result = work(conn)
    entry = told(result)
    if entry is not None:
        add_audit(conn, entry)
    return result, entry


def find_audit(conn: Connection, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
    """Find the entries that are wanted, the newest first."""
    return [_entry(row) for row in conn.execute(_wanted(wanted).order_by(audit.c.id.desc()).limit(limit))]


def list_audit(
    conn: Connection,
    wanted: AuditFilter,
    authorities: Collection[str] | None,
    after: Place | None = None,
    limit: int = 50,
) -> Page[AuditEntry]:
    """A page of the entries that are wanted, of these authorities (None: of all, and of none), the newest first."""
    query = _wanted(wanted)
    if authorities is not None:
        query = query.where(audit.c.authority.in_(sorted(authorities)))
    if after is not None:
        query = query.where(behind(audit.c.at, audit.c.id, after))
    rows = conn.execute(query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(bounded(limit))).all()
    shown = rows[: bounded(limit) - 1]
    return Page(tuple(map(_entry, shown)), page_end(rows, limit, audit, "at"))


def _wanted(wanted: AuditFilter) -> Select[Any]:
    query = select(audit)
    for name in _EQUAL:
        if (value := getattr(wanted, name)) is not None:
            query = query.where(audit.c[name] == value)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.before is not None:
        query = query.where(audit.c.at < wanted.before)
    return query


def purge_audit(conn: Connection, before: datetime, limit: int) -> int:
    """Remove entries from before a moment, `limit` at most; how many."""
    old = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(limit)
    ids = list(conn.execute(old).scalars())
    return conn.execute(delete(audit).where(audit.c.id.in_(ids))).rowcount if ids else 0


def count_old_audit(conn: Connection, before: datetime) -> int:
    """Count the entries from before a moment."""
    return conn.execute(select(func.count()).select_from(audit).where(audit.c.at < before)).scalar_one()


def _cut(value: Any) -> Any:
    return value[:MAX_TEXT] if type(value) is str else value


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{name: row._mapping[name] for name in _COLUMNS})
