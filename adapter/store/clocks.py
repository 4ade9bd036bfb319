# SPDX-License-Identifier: EUPL-1.2

"""Clocks that differ, and clocks that are set."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, type_coerce
from sqlalchemy import update as sql_update

from adapter.store.columns import UtcDateTime
from adapter.store.schema import job
from adapter.store.states import JobState


def server_time(conn: Connection) -> datetime:
    """What time it is by the clock of the database server; only for PostgreSQL."""
    moment: datetime = conn.execute(select(func.clock_timestamp())).scalar_one()
    return moment


def bring_forward(conn: Connection, by: timedelta) -> int:
    """Make every job that waits due so much earlier, as when the clock it was made by was set back; return how many."""
    earlier = type_coerce(job.c.not_before, UtcDateTime.impl) - by // timedelta(microseconds=1)
    waiting = sql_update(job).where(job.c.state == JobState.READY)
    return conn.execute(waiting.values(not_before=type_coerce(earlier, UtcDateTime))).rowcount
