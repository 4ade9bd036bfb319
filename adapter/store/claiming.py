# SPDX-License-Identifier: EUPL-1.2

"""Claiming: which worker does which jobs, until when, and when there is something to claim again.

Statements are made once: making one costs several times what running it does.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Row,
    ScalarSelect,
    Select,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from adapter.store.columns import RowId, UtcDateTime
from adapter.store.jobs import Job, comes_before, held_by, job_of
from adapter.store.lanes import paused_lanes
from adapter.store.schema import job
from adapter.store.states import JobState

_NOW: Final = bindparam("now", type_=UtcDateTime)
_LANE: Final = bindparam("in_lane", type_=Text)
_KINDS: Final = bindparam("kinds", expanding=True, type_=Text)
_FULL: Final = bindparam("full", expanding=True, type_=Text)
_BUSY: Final = bindparam("busy", expanding=True, type_=Text)
_SPARE: Final = bindparam("spare", expanding=True, type_=RowId)
_WANTED: Final = bindparam("wanted", expanding=True, type_=RowId)
_WAITING: Final = (job.c.id, job.c.authority, job.c.lane, job.c.order_key, job.c.not_before)
_OPEN_LANE: Final = and_(job.c.lane.not_in(_FULL), job.c.lane.not_in(paused_lanes()))


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
    shares: Mapping[str, int] | None = None,
    share: int | None = None,
) -> list[Job]:
    """Claim jobs for `owner` until `now + lease`: the oldest due first, by turns over the lanes.

    At most `limit` in all, of each lane at most `room[lane]`, else `lane_limit` (None: no bound), and of each authority
    at most `shares[authority]`, else `share`. Paused and full lanes are left alone, and so are jobs whose order key
    runs. A job whose lease expired is taken over, unless its id is in `spare`: those still run here, after a pause of
    the whole machine for example.
    """
    if limit <= 0 or not kinds:
        return []
    left = _Shares({} if shares is None else shares, limit if share is None else share)
    asked = {"now": now, "kinds": tuple(kinds), "busy": left.used_up}
    full = {"full": tuple(full_lanes)}
    waiting: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in conn.execute(_EXPIRED, {**asked, **full, "spare": tuple(spare)}):
        waiting[row.lane].append(row)
    for lane in conn.execute(_LANES, {**full, "now": now}).scalars().all():
        if len(waiting) >= limit:
            break  # each of these gives at least one: who waits in the others has waited shorter
        at_most = _room(lane, room, lane_limit, limit)
        rows = conn.execute(_DUE_IN_LANE, {**asked, "in_lane": lane, "at_most": at_most}).all()
        if rows and left.take(rows[0].authority):
            waiting[lane] += rows
    by_turns = _longest_waiting_first(
        [rows[: _room(name, room, lane_limit, limit)] for name, rows in waiting.items()]
    )
    left = _Shares({} if shares is None else shares, limit if share is None else share)
    turns = filter(None, chain.from_iterable(zip_longest(*by_turns)))
    wanted = [row for row in turns if left.take(row.authority)]
    return _take(conn, wanted, limit, {"now": now, "lease_owner": owner, "lease_until": now + lease})


class _Shares:
    """How many more jobs each authority may have running."""

    def __init__(self, shares: Mapping[str, int], usual: int) -> None:
        self._left = dict(shares)
        self._usual = usual

    @property
    def used_up(self) -> tuple[str, ...]:
        """The authorities that may have no more."""
        return tuple(name for name, left in self._left.items() if left <= 0)

    def take(self, authority: str) -> bool:
        """Take one of the share of an authority; return whether there was one."""
        left = self._left.get(authority, self._usual)
        self._left[authority] = left - 1
        return left > 0


def renew_leases(conn: Connection, owner: str, ids: Collection[int], until: datetime) -> set[int]:
    """Extend the leases of these jobs; return the ids of those that `owner` still holds."""
    if not ids:
        return set()
    result = conn.execute(
        update(job).where(job.c.id.in_(ids), *held_by(owner)).values(lease_until=until).returning(job.c.id)
    )
    return set(result.scalars())


def next_due(conn: Connection, kinds: Collection[str], *, after: datetime) -> datetime | None:
    """When the next job of these kinds is due, or its lease expires, after this moment; None when there is none.

    Jobs in paused lanes do not count: a change of the lane wakes the worker.
    """
    row = conn.execute(_NEXT_DUE, {"kinds": tuple(kinds), "now": after}).one()
    return min(filter(None, row), default=None)


def _expired() -> Select[Any]:
    query = select(*_WAITING).where(
        job.c.state == JobState.RUNNING,
        job.c.lease_until <= _NOW,
        job.c.id.not_in(_SPARE),
        job.c.authority.not_in(_BUSY),
        job.c.kind.in_(_KINDS),
        _OPEN_LANE,
    )
    return query.order_by(job.c.not_before, job.c.id).with_for_update(skip_locked=True)


def _lanes_with_due_jobs() -> Select[Any]:
    """The lanes in which a job is due, of any kind; the longest waiting first."""
    # From one lane to the next over the index: what it costs grows with the lanes, not with the jobs.
    ready = job.c.state == JobState.READY
    found = select(func.min(job.c.lane).label("lane")).where(ready).cte("lanes_found", recursive=True)
    following = select(func.min(job.c.lane)).where(ready, job.c.lane > found.c.lane).scalar_subquery()
    found = found.union_all(select(following).where(found.c.lane.is_not(None)))
    first = select(func.min(job.c.not_before)).where(ready, job.c.lane == found.c.lane).scalar_subquery()
    return (
        select(found.c.lane)
        .where(
            found.c.lane.is_not(None),
            found.c.lane.not_in(_FULL),
            found.c.lane.not_in(paused_lanes()),
            first <= _NOW,
        )
        .order_by(first)
    )


def _due_in_lane() -> Select[Any]:
    """The first due jobs of a lane: of each order key at most its first, and none if that key runs or is held."""
    other, holder = job.alias(), job.alias()
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
                    other.c.kind.in_(_KINDS),
                    # whose places are known go by these: the one that waits longer may be the later one
                    job.c.holds_key.is_(None),
                    goes_before,
                ),
            ),
        )
        .exists()
    )
    held = (
        select(holder.c.id)
        .where(holder.c.holds_key == job.c.order_key, comes_before(holder.c, job.c.position, job.c.subject))
        .exists()
    )
    return (
        select(*_WAITING)
        .where(
            job.c.state == JobState.READY,
            job.c.lane == _LANE,
            job.c.authority.not_in(_BUSY),
            job.c.not_before <= _NOW,
            job.c.kind.in_(_KINDS),
            or_(job.c.order_key.is_(None), and_(~in_the_way, ~held)),
        )
        .order_by(job.c.not_before, job.c.id)
        .limit(bindparam("at_most"))
        .with_for_update(skip_locked=True)
    )


def _first(due: Column[datetime], state: JobState) -> ScalarSelect[datetime]:
    # The first by an index, not the least of all: what it costs does not grow with the jobs that wait.
    query = select(due).where(
        job.c.state == state, due > _NOW, job.c.kind.in_(_KINDS), job.c.lane.not_in(paused_lanes())
    )
    return query.order_by(due).limit(1).scalar_subquery()


_EXPIRED: Final = _expired()
_LANES: Final = _lanes_with_due_jobs()
_DUE_IN_LANE: Final = _due_in_lane()
_NEXT_DUE: Final = select(
    _first(job.c.not_before, JobState.READY), _first(job.c.lease_until, JobState.RUNNING)
)
_CLAIM: Final = (
    update(job)
    .where(
        job.c.id.in_(_WANTED),
        or_(
            and_(job.c.state == JobState.READY, job.c.not_before <= _NOW),
            and_(job.c.state == JobState.RUNNING, job.c.lease_until <= _NOW),
        ),
    )
    .values(
        state=JobState.RUNNING,
        attempts=job.c.attempts + 1,
        first_attempt_at=func.coalesce(job.c.first_attempt_at, _NOW),
    )
    .returning(*job.c)
)


def _room(name: str, room: Mapping[str, int] | None, lane_limit: int | None, limit: int) -> int:
    default = limit if lane_limit is None else lane_limit
    return min(limit, max(0, default if room is None else room.get(name, default)))


def _longest_waiting_first(per_lane: Sequence[Sequence[Row[Any]]]) -> list[Sequence[Row[Any]]]:
    return sorted((rows for rows in per_lane if rows), key=lambda rows: (rows[0].not_before, rows[0].id))


def _take(conn: Connection, wanted: Sequence[Row[Any]], limit: int, claim: Mapping[str, Any]) -> list[Job]:
    """Claim the first `limit` of these jobs, without those whose order key another job took meanwhile.

    The rows are locked, so that nobody else claims them. An order key has no row to lock: there the unique index on
    running order keys decides, one job at a time.
    """
    taken: dict[int, Job] = {}
    left = iter(wanted)
    while some := list(islice(left, limit - len(taken))):
        taken |= _claim(conn, [row.id for row in some if row.order_key is None], claim)
        for row in some:
            if row.order_key is not None:
                taken |= _claim_in_order(conn, row.id, claim)
    return [taken[row.id] for row in wanted if row.id in taken]


def _claim(conn: Connection, ids: Sequence[int], claim: Mapping[str, Any]) -> dict[int, Job]:
    if not ids:
        return {}
    rows = conn.execute(_CLAIM, {**claim, "wanted": ids})
    return {row.id: job_of(row) for row in rows}


def _claim_in_order(conn: Connection, job_id: int, claim: Mapping[str, Any]) -> dict[int, Job]:
    try:
        with conn.begin_nested():
            return _claim(conn, [job_id], claim)
    except IntegrityError:  # the unique index on running order keys: that key runs
        return {}
