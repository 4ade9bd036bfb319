# SPDX-License-Identifier: EUPL-1.2

"""Lanes: what jobs keep busy; one can be paused, and then none of its jobs is claimed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, select, update

from adapter.store.schema import job, lane
from adapter.store.states import SCHEDULED, JobState


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that was paused at least once."""

    name: str
    paused: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """A lane with the jobs in it, by their state."""

    name: str
    paused: bool
    reason: str | None
    jobs: Mapping[JobState, int]


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """The jobs of a lane in one state: how many, and since when the oldest is there."""

    name: str
    authority: str
    state: JobState
    jobs: int
    oldest: datetime


def pause_lane(conn: Connection, name: str, reason: str) -> None:
    """Let no job of a lane be claimed until it is resumed; jobs that run are not touched."""
    _set_lane(conn, name, True, reason)


def resume_lane(conn: Connection, name: str) -> None:
    """Let the jobs of a lane be claimed again."""
    _set_lane(conn, name, False, None)


def lanes(conn: Connection) -> tuple[Lane, ...]:
    """The lanes that are or were paused."""
    return tuple(Lane(*row) for row in conn.execute(select(lane).order_by(lane.c.name)))


def lane_backlogs(conn: Connection) -> tuple[LaneBacklog, ...]:
    """Every lane that has jobs or was ever paused, by name."""
    counted: dict[str, dict[JobState, int]] = {}
    query = select(job.c.lane, job.c.state, func.count()).group_by(job.c.lane, job.c.state)
    for name, state, count in conn.execute(query):
        counted.setdefault(name, {})[state] = count
    known = {one.name: one for one in lanes(conn)}
    return tuple(
        LaneBacklog(
            name,
            paused=name in known and known[name].paused,
            reason=known[name].reason if name in known else None,
            jobs=counted.get(name, {}),
        )
        for name in sorted(counted.keys() | known.keys())
    )


def lane_loads(conn: Connection) -> tuple[LaneLoad, ...]:
    """What is in each lane that has jobs. What comes again by a schedule is no backlog, and left out."""
    query = select(job.c.lane, job.c.authority, job.c.state, func.count(), func.min(job.c.created_at))
    query = query.where(job.c.kind.not_in(SCHEDULED))
    return tuple(
        LaneLoad(*row) for row in conn.execute(query.group_by(job.c.lane, job.c.authority, job.c.state))
    )


def lane_authority(name: str) -> str:
    """The authority whose work a lane has: `sink:voorbeeldstad/archief` is of voorbeeldstad."""
    return name.partition(":")[2].partition("/")[0]


def paused_lanes() -> Select[tuple[str]]:
    """Select the names of the lanes that are paused."""
    return select(lane.c.name).where(lane.c.paused)


def _set_lane(conn: Connection, name: str, paused: bool, reason: str | None) -> None:
    values = {"paused": paused, "reason": reason}
    if not conn.execute(update(lane).where(lane.c.name == name).values(values)).rowcount:
        conn.execute(insert(lane).values(name=name, **values))
