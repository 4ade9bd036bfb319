# SPDX-License-Identifier: EUPL-1.2

"""Jobs: work that must be done, claimed under a lease by one worker at a time.

A job that is done has no row. At most one job of an order key runs at a time, which a partial unique index
holds whatever the workers do. Beyond that a job with an order key waits for each that *holds* this key and comes before
it, while that has a row: until it is done, and also while it is parked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy import update as sql_update

from adapter.store.columns import RowId
from adapter.store.problems import LeaseLost
from adapter.store.schema import delivery, job
from adapter.store.states import DeliveryState, JobKind, JobState
from adapter.store.timeline import add_delivery_event, add_message_event

_OF_MESSAGES = frozenset({JobKind.SEND, JobKind.ROUTE})
_STATE_WHILE_WAITING = {
    JobKind.COLLECT: DeliveryState.COLLECTING,
    JobKind.DELIVER: DeliveryState.READY,
}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made.

    `lane` is what the job keeps busy (a partner, a sink); a lane that is slow or paused delays no other.
    `order_key`: jobs with the same one never run together. `not_before`: None is at once. `holds_key`: jobs with this
    order key wait for this one when their `position` is a later text, or when it is the same, or not known of this one,
    and their subject is younger (a higher number).
    """

    kind: str
    lane: str
    order_key: str | None = None
    not_before: datetime | None = None
    holds_key: str | None = None
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is in the store; `attempts` counts this one when it was claimed."""

    id: int
    kind: str
    authority: str
    lane: str
    order_key: str | None
    subject: int
    state: JobState
    not_before: datetime
    attempts: int
    reason: str | None
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    first_attempt_at: datetime | None
    holds_key: str | None = None
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The job is done. `already_finished`: its handler called `finish_job` in a transaction of its own."""

    already_finished: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The job must be tried again: after `after`, or when that is None as the policy of the worker says.

    `patient`: the handler itself knows when to give up, so that the policy of the worker never parks the job.
    """

    reason: str
    after: timedelta | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """The job cannot succeed until an operator did something."""

    reason: str


JobOutcome = Done | Retry | Park


# Made once: making a statement costs several times what running it does. What an UPDATE sets comes as parameters.
_INSERT: Final = insert(job).returning(job.c.id)
_CLAIMED: Final = (
    job.c.id == bindparam("claimed_id"),
    job.c.lease_owner == bindparam("claimed_by"),
    # The count of attempts tells this claim from a later one by the same owner.
    job.c.attempts == bindparam("claimed_attempts"),
    job.c.state == JobState.RUNNING,
)
_LOCK_CLAIMED: Final = select(job.c.id).where(*_CLAIMED).with_for_update()
_DELETE_CLAIMED: Final = delete(job).where(*_CLAIMED)
_UPDATE_CLAIMED: Final = sql_update(job).where(*_CLAIMED)


def partner_lane(authority: str, cpa_id: str) -> str:
    """The lane of what goes to the partner of an agreement."""
    return f"partner:{authority}/{cpa_id}"


def add_job(conn: Connection, new: NewJob, authority: str, subject: int, now: datetime) -> int:
    """Make a job; return its id."""
    values = {
        "kind": new.kind,
        "authority": authority,
        "lane": new.lane,
        "order_key": new.order_key,
        "subject": subject,
        "state": JobState.READY,
        "not_before": new.not_before or now,
        "attempts": 0,
        "created_at": now,
        "holds_key": new.holds_key,
        "position": new.position,
    }
    row_id: int = conn.execute(_INSERT, values).scalar_one()
    return row_id


def require_claim(conn: Connection, held: Job) -> None:
    """Make sure, to the end of the transaction, that nobody takes over a job.

    Raises:
        LeaseLost: the job is no longer held under this claim.

    """
    _require_lease(len(conn.execute(_LOCK_CLAIMED, _claim_of(held)).all()), held)


def finish_job(conn: Connection, done: Job) -> None:
    """Remove a job that is done.

    Raises:
        LeaseLost: the job is no longer held under this claim; the transaction must not be committed.

    """
    _require_lease(conn.execute(_DELETE_CLAIMED, _claim_of(done)).rowcount, done)


def retry_job(conn: Connection, again: Job, not_before: datetime, reason: str, now: datetime) -> None:
    """Put a claimed job back, due at `not_before`.

    Raises:
        LeaseLost: the job is no longer held under this claim.

    """
    values = {"state": JobState.READY, "not_before": not_before, "reason": reason}
    _require_lease(_end_claim(conn, again, values), again)
    _add_job_event(
        conn,
        again,
        "job.retried",
        now,
        reason=reason,
        attempts=again.attempts,
        not_before=not_before.isoformat(),
    )


def park_job(conn: Connection, parked: Job, reason: str, now: datetime) -> None:
    """Park a claimed job, and the delivery that it is about with it.

    Raises:
        LeaseLost: the job is no longer held under this claim.

    """
    _require_lease(_end_claim(conn, parked, {"state": JobState.PARKED, "reason": reason}), parked)
    _add_job_event(conn, parked, "job.parked", now, reason=reason, attempts=parked.attempts)
    waiting = _STATE_WHILE_WAITING.get(parked.kind)
    if waiting is not None and _move_delivery(
        conn, parked.subject, waiting, DeliveryState.PARKED, reason=reason, now=now
    ):
        add_delivery_event(conn, parked.subject, "verzoek.parked", now, reason=reason)


def unpark_jobs(conn: Connection, kinds: Collection[str], subjects: Collection[int], now: datetime) -> int:
    """Make parked jobs due now, with a fresh count of attempts, and their deliveries too; return how many."""
    return _unpark(conn, now, job.c.kind.in_(kinds), job.c.subject.in_(subjects))


def unpark_by_id(conn: Connection, ids: Collection[int], now: datetime) -> int:
    """Do as `unpark_jobs` with the jobs of these ids."""
    return _unpark(conn, now, job.c.id.in_(ids))


def release_jobs(
    conn: Connection, owner: str, ids: Collection[int] | None = None, *, spare: Collection[int] = ()
) -> int:
    """Put back the jobs that `owner` holds (or only these of them, and not those to `spare`), due as they were.

    Return how many.
    """
    chosen = () if ids is None else (job.c.id.in_(ids),)
    return _release(conn, *held_by(owner), *chosen, job.c.id.not_in(spare))


def release_all(conn: Connection) -> int:
    """Put back every running job; only for who knows that no other process can hold one."""
    return _release(conn, job.c.state == JobState.RUNNING)


def remove_jobs(conn: Connection, kinds: Collection[str], subject: int) -> int:
    """Remove the jobs about a subject that do not run; return how many."""
    return conn.execute(
        delete(job).where(
            job.c.subject == subject,
            job.c.kind.in_(kinds),
            job.c.state.in_((JobState.READY, JobState.PARKED)),
        )
    ).rowcount


def jobs_for(conn: Connection, kind: str, subject: int) -> tuple[Job, ...]:
    """Find the jobs of a kind about a subject, oldest first."""
    query = select(job).where(job.c.kind == kind, job.c.subject == subject).order_by(job.c.id)
    return tuple(job_of(row) for row in conn.execute(query))


def held_by_jobs(conn: Connection, waiting: Job) -> tuple[Job, ...]:
    """Find the jobs that this one waits for because they come before it, the first of them in front."""
    if waiting.order_key is None:
        return ()
    query = (
        select(job)
        .where(
            job.c.holds_key == waiting.order_key,
            comes_before(job.c, literal(waiting.position, Text), literal(waiting.subject, RowId)),
        )
        .order_by(job.c.position, job.c.subject)
    )
    return tuple(job_of(row) for row in conn.execute(query))


def comes_before(
    holder: Any, position: ColumnElement[str | None], subject: ColumnElement[int]
) -> ColumnElement[bool]:
    """Whether a job (its columns) that holds a key comes before one with this position and subject."""
    same = and_(or_(holder.position.is_(None), holder.position == position), holder.subject < subject)
    return or_(holder.position < position, same)


def find_jobs(
    conn: Connection, state: JobState | None = None, authority: str | None = None, limit: int = 100
) -> list[Job]:
    """Find jobs, those that are due first in front."""
    query = select(job).order_by(job.c.not_before, job.c.id).limit(limit)
    if state is not None:
        query = query.where(job.c.state == state)
    if authority is not None:
        query = query.where(job.c.authority == authority)
    return [job_of(row) for row in conn.execute(query)]


def count_jobs(conn: Connection) -> Mapping[tuple[str, JobState], int]:
    """Count the jobs by kind and state."""
    query = select(job.c.kind, job.c.state, func.count()).group_by(job.c.kind, job.c.state)
    return {(kind, state): count for kind, state, count in conn.execute(query)}


def count_waiting(conn: Connection) -> Mapping[str, int]:
    """Count the jobs that wait for their turn or time, by authority."""
    query = select(job.c.authority, func.count().label("waiting"))
    query = query.where(job.c.state == JobState.READY).group_by(job.c.authority)
    return {row.authority: row.waiting for row in conn.execute(query)}


def held_by(owner: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a job runs for this owner."""
    return (job.c.lease_owner == owner, job.c.state == JobState.RUNNING)


def _unpark(conn: Connection, now: datetime, *chosen: ColumnElement[bool]) -> int:
    rows = conn.execute(
        sql_update(job)
        .where(job.c.state == JobState.PARKED, *chosen)
        .values(state=JobState.READY, not_before=now, attempts=0, first_attempt_at=None)
        .returning(*job.c)
    ).all()
    for row in rows:
        _add_job_event(conn, job_of(row), "job.unparked", now)
        waiting = _STATE_WHILE_WAITING.get(row.kind)
        if waiting is not None:
            _move_delivery(conn, row.subject, DeliveryState.PARKED, waiting, reason=None, now=now)
    return len(rows)


def _claim_of(claimed: Job) -> dict[str, Any]:
    return {
        "claimed_id": claimed.id,
        "claimed_by": claimed.lease_owner,
        "claimed_attempts": claimed.attempts,
    }


def _end_claim(conn: Connection, claimed: Job, values: Mapping[str, Any]) -> int:
    let_go = {"lease_owner": None, "lease_until": None}
    return conn.execute(_UPDATE_CLAIMED, {**_claim_of(claimed), **let_go, **values}).rowcount


def _require_lease(changed: int, claimed: Job) -> None:
    if changed != 1:
        raise LeaseLost(
            f"job {claimed.id} ({claimed.kind} {claimed.subject}) is no longer held by {claimed.lease_owner}"
        )


def _release(conn: Connection, *conditions: ColumnElement[bool]) -> int:
    return conn.execute(
        sql_update(job).where(*conditions).values(state=JobState.READY, lease_owner=None, lease_until=None)
    ).rowcount


def _move_delivery(
    conn: Connection,
    row_id: int,
    expected: DeliveryState,
    new: DeliveryState,
    *,
    reason: str | None,
    now: datetime,
) -> bool:
    # No StaleState here: a handler may have moved the delivery in an earlier step.
    statement = sql_update(delivery).where(delivery.c.id == row_id, delivery.c.state == expected)
    return conn.execute(statement.values(state=new, reason=reason, updated_at=now)).rowcount == 1


def _add_job_event(conn: Connection, about: Job, action: str, now: datetime, **detail: Any) -> None:
    if about.kind in _OF_MESSAGES:
        add_message_event(conn, about.subject, action, now, kind=about.kind, **detail)
    elif about.kind in _STATE_WHILE_WAITING:
        add_delivery_event(conn, about.subject, action, now, kind=about.kind, **detail)


def job_of(row: Row[Any]) -> Job:
    """Turn a row into a job."""
    return Job(**row._mapping)
