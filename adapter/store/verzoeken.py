# SPDX-License-Identifier: EUPL-1.2

"""Verzoeken as operators look for them and mend them: lists, one with everything that is known of it, how many came."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, func, literal_column, select, type_coerce

from adapter.store.deliveries import (
    SELECT_DELIVERY,
    Checkpoint,
    StoredDelivery,
    StoredFile,
    checkpoints,
    delivery_files,
    find_deliveries,
    get_delivery,
    skip_delivery,
)
from adapter.store.jobs import Job, held_by_jobs, jobs_for, unpark_jobs
from adapter.store.pages import Page, Place, behind, bounded, newest_of, page_end, within, without_index
from adapter.store.schema import delivery
from adapter.store.states import OPEN_DELIVERY, DeliveryState, Flow, JobKind
from adapter.store.timeline import Event, events_for

MOST_DELIVERIES: Final = 200
"""The most deliveries of one verzoek that are looked at: its messages, to each sink, in each revision."""

_JOBS: Final = (JobKind.COLLECT, JobKind.DELIVER)
_HOUR: Final = timedelta(hours=1)
# written out, since PostgreSQL does not know that two parameters are the same
_IN_AN_HOUR: Final = literal_column(str(_HOUR // timedelta(microseconds=1)), BigInteger)
_OF_VERZOEK: Final = delivery.c.flow == Flow.STAM
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerzoekChoice:
    """Which deliveries are wanted: of these authorities, made in a period; what is None holds of all.

    A verzoeknummer or project is looked for whatever the period is.
    """

    authorities: Collection[str]
    since: datetime
    until: datetime
    state: DeliveryState | None = None
    sink: str | None = None
    verzoeknummer: str | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """What is still to be done for a delivery, and the delivery of the same verzoek that must go first."""

    job: Job
    waits_for: StoredDelivery | None


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """A delivery with its files, the steps of its sink that were done, and what is still to be done."""

    delivery: StoredDelivery
    files: tuple[StoredFile, ...]
    steps: tuple[Checkpoint, ...]
    jobs: tuple[WaitingJob, ...]


@dataclass(frozen=True, slots=True)
class VerzoekHistory:
    """Everything that is known of a verzoek, its deliveries the newest first, what happened the oldest first.

    `same_project` has the numbers of the verzoeken that were split off the same application (STAM: one projectId); None
    is one whose number is not known.
    """

    verzoeknummer: str
    deliveries: tuple[DeliveryHistory, ...]
    same_project: tuple[str | None, ...]
    events: tuple[Event, ...]


def list_verzoeken(
    conn: Connection, wanted: VerzoekChoice, after: Place | None = None, limit: int = 50
) -> Page[StoredDelivery]:
    """A page of the deliveries that are wanted, the newest first.

    What it costs is bounded by how many authorities there are, and where a state is wanted that few have, by what they
    have in the period.
    """
    given = {name: getattr(wanted, name) for name in ("state", "sink", "verzoeknummer", "project_id")}
    conditions = [delivery.c[name] == value for name, value in given.items() if value is not None]
    conditions.append(_OF_VERZOEK)
    if after is not None:
        conditions.append(behind(delivery.c.created_at, delivery.c.id, after))
    if wanted.verzoeknummer is not None or wanted.project_id is not None:
        conditions.append(without_index(delivery.c.authority).in_(sorted(wanted.authorities)))
    elif wanted.state in OPEN_DELIVERY:  # few have it, and there is an index for it
        conditions.append(delivery.c.authority.in_(sorted(wanted.authorities)))
        conditions += within(delivery.c.created_at, wanted.since, wanted.until)
    else:
        conditions += within(delivery.c.created_at, wanted.since, wanted.until)
        ids = newest_of(conn, delivery, wanted.authorities, conditions, bounded(limit))
        if not ids:
            return Page(())
        conditions = [delivery.c.id.in_(ids)]
    query = SELECT_DELIVERY.where(*conditions)
    query = query.order_by(delivery.c.created_at.desc(), delivery.c.id.desc()).limit(bounded(limit))
    rows = conn.execute(query).all()
    shown = rows[: bounded(limit) - 1]
    return Page(
        tuple(StoredDelivery(**row._mapping) for row in shown), page_end(rows, limit, delivery, "created_at")
    )


def verzoek_history(
    conn: Connection, verzoeknummer: str, authority: str | None = None
) -> VerzoekHistory | None:
    """Everything that is known of a verzoek, for one authority or all; None where there is nothing."""
    found = find_deliveries(conn, authority, verzoeknummer=verzoeknummer, limit=MOST_DELIVERIES)
    if not found:
        return None
    return VerzoekHistory(
        verzoeknummer,
        tuple(_delivery_history(conn, one) for one in found),
        _of_same_project(conn, found, authority),
        tuple(events_for(conn, verzoeknummer, authority=authority)),
    )


def retry_verzoek(
    conn: Connection, verzoeknummer: str, volgnummer: str | None, authority: str | None, now: datetime
) -> tuple[list[StoredDelivery], int]:
    """Try again what is parked of a verzoek, or of one message of it; return what there is of it, and how many were."""
    found = _of_message(find_deliveries(conn, authority, verzoeknummer=verzoeknummer), volgnummer)
    return found, unpark_jobs(conn, _JOBS, [one.id for one in found], now) if found else 0


def skip_verzoek(
    conn: Connection,
    verzoeknummer: str,
    volgnummer: str | None,
    authority: str | None,
    reason: str,
    now: datetime,
) -> tuple[list[StoredDelivery], int]:
    """Skip what is parked of a verzoek, else what is on its way, of one authority; nothing where it is not clear of
    which. Return what there is of it, and how many were skipped.
    """
    found = _of_message(find_deliveries(conn, authority, verzoeknummer=verzoeknummer), volgnummer)
    waiting = [one for one in found if one.state in OPEN_DELIVERY]
    if volgnummer is None:
        # what comes behind a parked message waits for nothing else
        waiting = [one for one in waiting if one.state is DeliveryState.PARKED] or waiting
    if len({one.authority for one in waiting}) > 1:
        return found, 0
    for one in waiting:
        skip_delivery(conn, one.id, reason, now)
    return found, len(waiting)


def count_by_hour(
    conn: Connection, authorities: Collection[str], since: datetime
) -> Mapping[datetime, Mapping[DeliveryState, int]]:
    """Count the verzoeken that came since a moment, by the hour in which that was and the state they have now."""
    hour = type_coerce(delivery.c.created_at, BigInteger).op("/")(_IN_AN_HOUR).label("by")
    counted: dict[datetime, dict[DeliveryState, int]] = {}
    for row in _count(conn, hour, delivery.c.created_at >= since, authorities):
        counted.setdefault(_EPOCH + row.by * _HOUR, {})[row.state] = row.counted
    return counted


def count_by_authority(
    conn: Connection, authorities: Collection[str], since: datetime
) -> Mapping[str, Mapping[DeliveryState, int]]:
    """Count the verzoeken that came since a moment, by authority and the state they have now."""
    return _by_authority(
        _count(conn, delivery.c.authority.label("by"), delivery.c.created_at >= since, authorities)
    )


def count_open(conn: Connection, authorities: Collection[str]) -> Mapping[str, Mapping[DeliveryState, int]]:
    """Count the verzoeken that are on their way or parked, by authority and state."""
    return _by_authority(
        _count(conn, delivery.c.authority.label("by"), delivery.c.state.in_(OPEN_DELIVERY), authorities)
    )


def oldest_on_its_way(conn: Connection, authorities: Collection[str]) -> datetime | None:
    """When the verzoek came that is longest on its way; None where none is."""
    query = select(func.min(delivery.c.created_at)).where(
        _OF_VERZOEK,
        delivery.c.state.in_((DeliveryState.COLLECTING, DeliveryState.READY)),
        delivery.c.authority.in_(sorted(authorities)),
    )
    oldest: datetime | None = conn.execute(query).scalar_one()
    return oldest


def _count(
    conn: Connection, by: ColumnElement[Any], which: ColumnElement[bool], authorities: Collection[str]
) -> Sequence[Row[Any]]:
    """Count verzoeken by what has the label `by`, and their state."""
    query = select(by, delivery.c.state, func.count().label("counted")).where(
        _OF_VERZOEK, which, delivery.c.authority.in_(sorted(authorities))
    )
    return conn.execute(query.group_by(by, delivery.c.state)).all()


def _by_authority(rows: Sequence[Row[Any]]) -> Mapping[str, Mapping[DeliveryState, int]]:
    counted: dict[str, dict[DeliveryState, int]] = {}
    for row in rows:
        counted.setdefault(row.by, {})[row.state] = row.counted
    return counted


def _delivery_history(conn: Connection, one: StoredDelivery) -> DeliveryHistory:
    jobs = (job for kind in _JOBS for job in jobs_for(conn, kind, one.id))
    return DeliveryHistory(
        one,
        delivery_files(conn, one.id),
        checkpoints(conn, one.id),
        tuple(WaitingJob(job, _waits_for(conn, job)) for job in jobs),
    )


def _waits_for(conn: Connection, waiting: Job) -> StoredDelivery | None:
    """The message of the same verzoek that must go before this one."""
    holder = next(iter(held_by_jobs(conn, waiting)), None)
    return None if holder is None else get_delivery(conn, holder.subject)


def _of_same_project(
    conn: Connection, found: Sequence[StoredDelivery], authority: str | None
) -> tuple[str | None, ...]:
    projects = {one.project_id for one in found if one.project_id is not None}
    numbers = {
        other.verzoeknummer
        for project in projects
        for other in find_deliveries(conn, authority, project_id=project)
    }
    return tuple(sorted(numbers - {one.verzoeknummer for one in found}, key=str))


def _of_message(found: list[StoredDelivery], volgnummer: str | None) -> list[StoredDelivery]:
    """Those of one message of a verzoek: by its volgnummer, or what its notification said while it is not collected."""
    return [one for one in found if volgnummer in {None, one.volgnummer or one.announced}]
