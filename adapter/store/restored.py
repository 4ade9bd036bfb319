# SPDX-License-Identifier: EUPL-1.2

"""After a restore: what rows name but the spool does not have is settled before any work is done.

What can be fetched again is fetched again, what waits for contents that are gone is parked with the reason, and what
had ended is only told: its digests are the evidence that is left.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, or_, select
from sqlalchemy import update as sql_update

from adapter.store.schema import delivery, delivery_file, job, message, payload
from adapter.store.spool import Content
from adapter.store.states import DeliveryState, Flow, JobKind, JobState
from adapter.store.timeline import add_delivery_event, add_message_event

_ROWS: Final = 500


class Loss(StrEnum):
    """What follows from a content that is gone.

    COLLECTED_AGAIN: the verzoek was being collected, and the file is fetched again. PARKED: a delivery, or the sending
    or routing of a message, waits for an operator. ENDED: nothing waited for it any more.
    """

    COLLECTED_AGAIN = "collected_again"
    PARKED = "parked"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A row that names a file of the spool: `of` is the id of its message or, for a file, of its delivery."""

    kind: str
    id: int
    of: int
    position: int
    authority: str
    name: str | None
    content: Content


def named_files(conn: Connection, kind: str, after: int) -> list[NamedFile]:
    """The next rows that name a file of the spool, in the order of their ids; `kind` is `payload` or `file`."""
    table, owner, of, name = _PLACES[kind]
    query = (
        select(
            table.c.id,
            of.label("of"),
            table.c.position,
            owner.c.authority,
            name.label("name"),
            table.c.size,
            table.c.sha256,
            table.c.spool_key,
        )
        .select_from(table.join(owner, of == owner.c.id))
        .where(table.c.id > after, table.c.spool_key.is_not(None))
        .order_by(table.c.id)
        .limit(_ROWS)
    )
    return [
        NamedFile(
            kind,
            row.id,
            row.of,
            row.position,
            row.authority,
            row.name,
            Content(row.size, row.sha256, key=row.spool_key),
        )
        for row in conn.execute(query)
    ]


def settle_loss(conn: Connection, lost: NamedFile, reason: str, now: datetime) -> Loss:
    """See to what waits for a content that is gone."""
    if lost.kind == "payload":
        return _settle_payload(conn, lost, reason, now)
    row = conn.execute(select(delivery).where(delivery.c.id == lost.of).with_for_update()).one_or_none()
    if row is None:
        return Loss.ENDED
    is_open = row.state in {DeliveryState.COLLECTING, DeliveryState.PARKED}
    if is_open and row.flow is Flow.STAM and row.volgnummer is None:
        values = {"size": None, "sha256": None, "inline": None, "spool_key": None}
        conn.execute(sql_update(delivery_file).where(delivery_file.c.id == lost.id).values(values))
        add_delivery_event(conn, lost.of, "verzoek.file_lost", now, position=lost.position, reason=reason)
        return Loss.COLLECTED_AGAIN
    return Loss.PARKED if _park_delivery(conn, lost.of, reason, now) else Loss.ENDED


def hasten_schedules(conn: Connection, kind: str, now: datetime) -> int:
    """Make the scheduled jobs of a kind due now; return how many."""
    waiting = (job.c.kind == kind, job.c.state == JobState.READY)
    return conn.execute(sql_update(job).where(*waiting).values(not_before=now)).rowcount


def _settle_payload(conn: Connection, lost: NamedFile, reason: str, now: datetime) -> Loss:
    parked = _park_jobs(conn, (JobKind.SEND, JobKind.ROUTE), lost.of, reason, now)
    if parked:
        add_message_event(conn, lost.of, "job.parked", now, reason=reason)
    without_files = ~select(delivery_file.c.id).where(delivery_file.c.delivery == delivery.c.id).exists()
    its = (delivery.c.message == lost.of, delivery.c.flow == Flow.MESSAGE, without_files)
    for row_id in conn.execute(select(delivery.c.id).where(*its)).scalars().all():
        parked = _park_delivery(conn, row_id, reason, now) or parked
    return Loss.PARKED if parked else Loss.ENDED


def _park_delivery(conn: Connection, row_id: int, reason: str, now: datetime) -> bool:
    """Park a delivery that waits to be delivered, or say why one that is parked cannot go on."""
    waiting = delivery.c.state.in_((DeliveryState.READY, DeliveryState.PARKED))
    changed = conn.execute(
        sql_update(delivery)
        .where(delivery.c.id == row_id, waiting)
        .values(state=DeliveryState.PARKED, reason=reason, updated_at=now)
    ).rowcount
    if changed:
        _park_jobs(conn, (JobKind.DELIVER,), row_id, reason, now)
        add_delivery_event(conn, row_id, "verzoek.parked", now, reason=reason)
    return bool(changed)


def _park_jobs(conn: Connection, kinds: Collection[str], subject: int, reason: str, now: datetime) -> bool:
    """Park the jobs about a subject, also those that a process held which is gone."""
    dead = and_(job.c.state == JobState.RUNNING, job.c.lease_until <= now)
    free = or_(job.c.state != JobState.RUNNING, dead)
    statement = sql_update(job).where(job.c.kind.in_(kinds), job.c.subject == subject, free)
    values = {"state": JobState.PARKED, "reason": reason, "lease_owner": None, "lease_until": None}
    return bool(conn.execute(statement.values(values)).rowcount)


_PLACES: Final[dict[str, tuple[Table, Table, Any, Any]]] = {
    "payload": (payload, message, payload.c.message, payload.c.name),
    "file": (delivery_file, delivery, delivery_file.c.delivery, delivery_file.c.path),
}
