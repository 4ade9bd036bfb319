"""Claiming: which worker does which jobs, and until when."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from adapter.store.columns import UtcDateTime
from adapter.store.jobs import Job, held_by, job_of, paused_lanes
from adapter.store.schema import job
from adapter.store.states import JobState


def claim_jobs(
    conn: Connection,
    owner: str,
    now: datetime,
    lease: timedelta,
    limit: int,
    full_lanes: Collection[str],
    kinds: Collection[str],
    *,
    room: Mapping[str, int] | None = None,
    lane_limit: int | None = None,
    spare: Collection[int] = (),
) -> list[Job]:
    """Claim jobs for `owner` until `now + lease`: the oldest due first, by turns over the lanes.

    At most `limit` in all, of each lane at most `room[lane]`, else `lane_limit` (None: no bound). Paused and
    full lanes are left alone, and so are jobs whose order key runs. A job whose lease expired is taken over,
    unless its id is in `spare`: those still run here, after a pause of the whole machine for example.
    """
    if limit <= 0 or not kinds:
        return []
    waiting: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in _expired(conn, now, full_lanes, kinds, spare):
        waiting[row.lane].append(row)
    for name in _lanes_with_ready_jobs(conn, full_lanes):
        waiting[name] += _due_in_lane(conn, name, now, limit, kinds)
    by_turns = _longest_waiting_first(
        [rows[: _room(name, room, lane_limit, limit)] for name, rows in waiting.items()]
    )
    claimed: list[Job] = []
    for row in filter(None, chain.from_iterable(zip_longest(*by_turns))):
        if len(claimed) == limit:
            break
        taken = _take(conn, row, owner, now, now + lease)
        claimed += [] if taken is None else [taken]
    return claimed


def renew_leases(conn: Connection, owner: str, ids: Collection[int], until: datetime) -> set[int]:
    """Extend the leases of these jobs; return the ids of those that `owner` still holds."""
    if not ids:
        return set()
    result = conn.execute(
        sql_update(job)
        .where(job.c.id.in_(ids), *held_by(owner))
        .values(lease_until=until)
        .returning(job.c.id)
    )
    return set(result.scalars())


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(job.c.state == JobState.READY, job.c.not_before <= now),
        and_(job.c.state == JobState.RUNNING, job.c.lease_until <= now),
    )


def _expired(
    conn: Connection,
    now: datetime,
    full_lanes: Collection[str],
    kinds: Collection[str],
    spare: Collection[int],
) -> Sequence[Row[Any]]:
    query = (
        select(job)
        .where(
            job.c.state == JobState.RUNNING,
            job.c.lease_until <= now,
            job.c.id.not_in(spare),
            job.c.kind.in_(kinds),
            *_open_lanes(full_lanes),
        )
        .order_by(job.c.not_before, job.c.id)
    )
    return conn.execute(query.with_for_update(skip_locked=True)).all()


def _lanes_with_ready_jobs(conn: Connection, full_lanes: Collection[str]) -> list[str]:
    # From one lane to the next over the index: what it costs grows with the lanes, not with the jobs.
    ready = job.c.state == JobState.READY
    found = select(func.min(job.c.lane).label("lane")).where(ready).cte("lanes_found", recursive=True)
    following = select(func.min(job.c.lane)).where(ready, job.c.lane > found.c.lane).scalar_subquery()
    found = found.union_all(select(following).where(found.c.lane.is_not(None)))
    query = select(found.c.lane).where(
        found.c.lane.is_not(None), found.c.lane.not_in(full_lanes), found.c.lane.not_in(paused_lanes())
    )
    return list(conn.execute(query).scalars())


def _open_lanes(full_lanes: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (job.c.lane.not_in(full_lanes), job.c.lane.not_in(paused_lanes()))


def _room(name: str, room: Mapping[str, int] | None, lane_limit: int | None, limit: int) -> int:
    default = limit if lane_limit is None else lane_limit
    return max(0, default if room is None else room.get(name, default))


def _due_in_lane(
    conn: Connection, name: str, now: datetime, limit: int, kinds: Collection[str]
) -> Sequence[Row[Any]]:
    """Find the first due jobs of a lane, of each order key at most its first, and none if that key runs."""
    other = job.alias()
    goes_before = or_(
        other.c.not_before < job.c.not_before,
        and_(other.c.not_before == job.c.not_before, other.c.id < job.c.id),
    )
    in_the_way = (
        select(other.c.id)
        .where(
            other.c.order_key == job.c.order_key,
            or_(
                other.c.state == JobState.RUNNING,
                and_(
                    other.c.state == JobState.READY,
                    other.c.lane == job.c.lane,
                    other.c.kind.in_(kinds),
                    goes_before,
                ),
            ),
        )
        .exists()
    )
    query = (
        select(job)
        .where(
            job.c.state == JobState.READY,
            job.c.lane == name,
            job.c.not_before <= now,
            job.c.kind.in_(kinds),
            or_(job.c.order_key.is_(None), ~in_the_way),
        )
        .order_by(job.c.not_before, job.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return conn.execute(query).all()


def _longest_waiting_first(per_lane: Sequence[Sequence[Row[Any]]]) -> list[Sequence[Row[Any]]]:
    return sorted((rows for rows in per_lane if rows), key=lambda rows: (rows[0].not_before, rows[0].id))


def _take(conn: Connection, row: Row[Any], owner: str, now: datetime, until: datetime) -> Job | None:
    """Claim one job; None when another worker, or another job with its order key, was first."""
    statement = (
        sql_update(job)
        .where(job.c.id == row.id, job.c.attempts == row.attempts, _due(now))
        .values(
            state=JobState.RUNNING,
            lease_owner=owner,
            lease_until=until,
            attempts=job.c.attempts + 1,
            first_attempt_at=func.coalesce(job.c.first_attempt_at, literal(now, UtcDateTime())),
        )
        .returning(*job.c)
    )
    if row.order_key is None:
        taken = conn.execute(statement).one_or_none()
    else:
        try:
            with conn.begin_nested():
                taken = conn.execute(statement).one_or_none()
        except IntegrityError:  # the unique index on running order keys: that key runs
            return None
    return None if taken is None else job_of(taken)
