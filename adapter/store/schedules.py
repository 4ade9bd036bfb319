# SPDX-License-Identifier: EUPL-1.2

"""Schedules: jobs that their handler puts back each time for a later moment, one per kind and authority."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy import update as sql_update

from adapter.store.jobs import NewJob, add_job
from adapter.store.locking import lock_name
from adapter.store.schema import job
from adapter.store.states import JobState


def keep_schedule(conn: Connection, new: NewJob, authority: str, latest: datetime, now: datetime) -> bool:
    """See to it that an authority has a job of this kind, with subject 0; return whether it was made.

    One that is there stays as it is, unless it is parked or due after `latest`: then it is due as `new` says.
    """
    lock_name(conn, "schedule", new.kind, authority)
    mine = (job.c.kind == new.kind, job.c.authority == authority)
    rows = conn.execute(select(job.c.id, job.c.state, job.c.not_before).where(*mine)).all()
    if not rows:
        add_job(conn, new, authority, 0, now)
        return True
    for row in rows:
        late = row.state == JobState.READY and row.not_before > latest
        if late or row.state == JobState.PARKED:
            values = {"state": JobState.READY, "not_before": new.not_before or now, "first_attempt_at": None}
            # claimed by a worker since, it stays as it is
            unchanged = (job.c.id == row.id, job.c.state == row.state)
            conn.execute(sql_update(job).where(*unchanged).values(**values))
    return False


def drop_schedules(conn: Connection, kind: str, keep: Collection[str]) -> int:
    """Remove the jobs of this kind of all authorities but these, except where one runs; return how many."""
    return conn.execute(
        delete(job).where(job.c.kind == kind, job.c.authority.not_in(keep), job.c.state != JobState.RUNNING)
    ).rowcount


def bring_schedules_forward(conn: Connection, kind: str, latest: datetime) -> int:
    """Let no job of this kind wait longer than until `latest`; return how many would have."""
    late = (job.c.kind == kind, job.c.state == JobState.READY, job.c.not_before > latest)
    return conn.execute(sql_update(job).where(*late).values(not_before=latest)).rowcount
