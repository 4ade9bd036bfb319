# SPDX-License-Identifier: EUPL-1.2

"""Deliveries: a verzoek or a message on its way to the sink of its authority."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select
from sqlalchemy import update as sql_update

from adapter.store.columns import RowId
from adapter.store.jobs import Job, NewJob, add_job, remove_jobs, require_claim
from adapter.store.locking import lock_name
from adapter.store.problems import NotFound, StaleState
from adapter.store.schema import checkpoint, delivery, delivery_file, message
from adapter.store.spool import Content
from adapter.store.states import OPEN_DELIVERY, DeliveryState, FileKind, Flow, JobKind, Origin
from adapter.store.timeline import add_delivery_event


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file of a delivery to be made: a reference (`href`) to be fetched, or what is in the spool already.

    `path` is its place in the layout of the sink, '' while it is not known.
    """

    kind: FileKind
    href: str | None = None
    path: str = ""
    bestandsnaam: str | None = None
    document_id: str | None = None
    vertrouwelijk: bool | None = None
    content_type: str | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a delivery as it is in the store; `content` is None until it was fetched."""

    id: int
    delivery: int
    position: int
    kind: FileKind
    href: str | None
    path: str
    bestandsnaam: str | None
    document_id: str | None
    vertrouwelijk: bool | None
    content_type: str | None
    content: Content | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery to be made: flow `stam` starts with collecting, flow `message` is ready with its files.

    `name` is the directory-safe key of flow `message`; the n-th delivery with that name becomes `<name>-<n>`.
    `announced` is the volgnummer that a notification gave, which may have been left out.
    """

    authority: str
    sink: str
    flow: Flow
    origin: Origin
    message: int | None = None
    verzoeknummer: str | None = None
    announced: str | None = None
    name: str = ""
    files: tuple[NewFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """A delivery as it is in the store, with what is known of the message that announced it.

    `processed_at` is when the other side, or the application that fetched it from a mailbox, had it. Of a verzoek that
    was collected: `is_copy` says that it is another organisation's to handle, and `lapsed` names the documents of the
    message before it that this one has no longer (`documentId`, `bestandsnaam`).
    """

    id: int
    authority: str
    sink: str
    flow: Flow
    origin: Origin
    message: int | None
    verzoeknummer: str | None
    volgnummer: str | None
    revision: int
    name: str
    state: DeliveryState
    reason: str | None
    doel: str | None
    type: str | None
    bevoegd_gezag: str | None
    uitvoerende_instantie: str | None
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    announced: str | None
    project_id: str | None
    is_copy: bool | None
    lapsed: Sequence[Mapping[str, Any]] | None
    cpa_id: str | None
    message_id: str | None
    conversation_id: str | None
    ref_to_message_id: str | None
    from_party: str | None
    from_role: str | None
    to_party: str | None
    to_role: str | None
    service: str | None
    service_type: str | None
    action: str | None
    timestamp: datetime | None
    received_at: datetime | None

    @property
    def traced_as(self) -> str | None:
        """What its trace is named for: the message that announced it, else the verzoek."""
        return self.message_id or self.verzoeknummer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A step of a sink that was done, with what the sink wants to remember of it."""

    step: str
    value: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


_MESSAGE_COLUMNS = (
    message.c.cpa_id,
    message.c.message_id,
    message.c.conversation_id,
    message.c.ref_to_message_id,
    message.c.from_party,
    message.c.from_role,
    message.c.to_party,
    message.c.to_role,
    message.c.service,
    message.c.service_type,
    message.c.action,
    message.c.timestamp,
    message.c.created_at.label("received_at"),
)
SELECT_DELIVERY = select(delivery, *_MESSAGE_COLUMNS).select_from(
    delivery.outerjoin(message, delivery.c.message == message.c.id)
)
"""Selects what a `StoredDelivery` has."""

# Made once: making a statement costs several times what running it does. What an UPDATE sets comes as parameters.
_ROW = bindparam("row", type_=RowId)
_INSERT = insert(delivery).returning(delivery.c.id)
_INSERT_FILES = insert(delivery_file)
_GET = SELECT_DELIVERY.where(delivery.c.id == _ROW)
_FILES = select(delivery_file).where(delivery_file.c.delivery == _ROW).order_by(delivery_file.c.position)
_NAMED = (
    select(delivery.c.id)
    .where(
        delivery.c.authority == bindparam("of_authority"),
        delivery.c.sink == bindparam("of_sink"),
        delivery.c.name == bindparam("wanted"),
    )
    .limit(1)
)
_MOVE = (
    sql_update(delivery)
    .where(delivery.c.id == _ROW, delivery.c.state.in_(bindparam("expected", expanding=True)))
    .returning(delivery.c.flow, delivery.c.sink, delivery.c.message)
)
_CHECKPOINTS = (
    select(checkpoint).where(checkpoint.c.delivery == _ROW).order_by(checkpoint.c.at, checkpoint.c.step)
)
_EARLIER = (
    select(checkpoint.c.step, checkpoint.c.value)
    .join(delivery, delivery.c.id == checkpoint.c.delivery)
    .where(
        delivery.c.verzoeknummer == bindparam("of_verzoek"),
        delivery.c.authority == bindparam("of_authority"),
        delivery.c.sink == bindparam("of_sink"),
        delivery.c.id != _ROW,
    )
    .order_by(checkpoint.c.at)
)
_ADD_CHECKPOINT = insert(checkpoint)
_SET_CHECKPOINT = sql_update(checkpoint).where(
    checkpoint.c.delivery == _ROW, checkpoint.c.step == bindparam("of_step")
)
_NO_CONTENT = {"size": None, "sha256": None, "inline": None, "spool_key": None}


def create_delivery(conn: Connection, new: NewDelivery, job: NewJob | None, now: datetime) -> int:
    """Make a delivery, its files and the job that follows; return its id."""
    name = new.name
    if new.flow is Flow.MESSAGE:
        lock_name(conn, "delivery.name", new.authority, new.sink)
        name = _free_name(conn, new)
    values = {
        "authority": new.authority,
        "sink": new.sink,
        "flow": new.flow,
        "origin": new.origin,
        "message": new.message,
        "verzoeknummer": new.verzoeknummer,
        "announced": new.announced,
        "revision": 1,
        "name": name,
        "state": DeliveryState.COLLECTING if new.flow is Flow.STAM else DeliveryState.READY,
        "created_at": now,
        "updated_at": now,
    }
    row_id: int = conn.execute(_INSERT, values).scalar_one()
    add_files(conn, row_id, new.files)
    if job is not None:
        add_job(conn, job, new.authority, row_id, now)
    add_delivery_event(conn, row_id, _action(new.flow, "created"), now, sink=new.sink, origin=new.origin)
    return row_id


def get_delivery(conn: Connection, row_id: int) -> StoredDelivery:
    """Get a delivery.

    Raises:
        NotFound: there is no such delivery.

    """
    row = conn.execute(_GET, {"row": row_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery {row_id}")
    return StoredDelivery(**row._mapping)


def find_deliveries(
    conn: Connection,
    authority: str | None = None,
    state: DeliveryState | None = None,
    verzoeknummer: str | None = None,
    limit: int = 100,
    *,
    sink: str | None = None,
    name: str | None = None,
    message: int | None = None,
    before: int | None = None,
    project_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[StoredDelivery]:
    """Find deliveries, newest first; the conditions that are given must all hold.

    `message` is the id of a message, `before` the id of the last delivery of the previous page. `since` and `until`
    are about when a delivery got its state.
    """
    wanted = {
        "project_id": project_id,
        "authority": authority,
        "state": state,
        "verzoeknummer": verzoeknummer,
        "sink": sink,
        "name": name,
        "message": message,
    }
    conditions = [delivery.c[name] == value for name, value in wanted.items() if value is not None]
    if before is not None:
        conditions.append(delivery.c.id < before)
    if since is not None:
        conditions.append(delivery.c.updated_at >= since)
    if until is not None:
        conditions.append(delivery.c.updated_at < until)
    query = SELECT_DELIVERY.where(*conditions).order_by(delivery.c.id.desc()).limit(limit)
    return [StoredDelivery(**row._mapping) for row in conn.execute(query)]


def delivery_files(conn: Connection, row_id: int) -> tuple[StoredFile, ...]:
    """Get the files of a delivery, in their order."""
    return tuple(_file(row) for row in conn.execute(_FILES, {"row": row_id}))


def set_delivery_state(
    conn: Connection,
    row_id: int,
    expected: DeliveryState | Sequence[DeliveryState],
    new: DeliveryState,
    reason: str | None,
    now: datetime,
) -> None:
    """Move a delivery from (one of) the expected state(s) to the next.

    Raises:
        StaleState: the delivery is not in an expected state; nothing was changed.

    """
    states = (expected,) if isinstance(expected, DeliveryState) else tuple(expected)
    move_delivery(conn, row_id, states, new, reason, now)


def move_delivery(
    conn: Connection,
    row_id: int,
    expected: Sequence[DeliveryState],
    new: DeliveryState,
    reason: str | None,
    now: datetime,
    *,
    processed_at: datetime | None = None,
    said: str | None = None,
    **detail: Any,
) -> Row[Any]:
    """Do as `set_delivery_state`; the line on the timeline says `said` where that is not the state, with this detail.

    Returns:
        The flow, sink and message of the delivery.

    """
    values = {"state": new, "reason": reason, "updated_at": now, "processed_at": processed_at}
    row = conn.execute(_MOVE, {"row": row_id, "expected": tuple(expected), **values}).one_or_none()
    if row is None:
        raise StaleState(f"delivery {row_id} is not {' or '.join(expected)}, so it does not become {new}")
    add_delivery_event(conn, row_id, _action(row.flow, said or new), now, reason=reason, **detail)
    return row


def skip_delivery(conn: Connection, row_id: int, reason: str, now: datetime) -> None:
    """Give up a delivery on purpose, and remove its jobs; one that runs finds the delivery skipped.

    Raises:
        StaleState: the delivery is delivered, skipped or repeated already.

    """
    set_delivery_state(conn, row_id, OPEN_DELIVERY, DeliveryState.SKIPPED, reason, now)
    remove_jobs(conn, (JobKind.COLLECT, JobKind.DELIVER), row_id)


def set_checkpoint(
    conn: Connection,
    delivery_id: int,
    step: str,
    value: Mapping[str, Any],
    now: datetime,
    *,
    holder: Job | None = None,
    note: str | None = None,
) -> None:
    """Store that a step was done; what was remembered of it before is replaced. A `note` goes on the timeline.

    Raises:
        LeaseLost: the job `holder`, under which the step was done, is no longer held under this claim.

    """
    if holder is not None:
        require_claim(conn, holder)
    values = {"value": dict(value), "at": now}
    if not conn.execute(_SET_CHECKPOINT, {"row": delivery_id, "of_step": step, **values}).rowcount:
        conn.execute(_ADD_CHECKPOINT, {"delivery": delivery_id, "step": step, **values})
    if note is not None:
        add_delivery_event(conn, delivery_id, f"delivery.{note}", now, step=step)


def checkpoints(conn: Connection, delivery_id: int) -> tuple[Checkpoint, ...]:
    """The steps that were done, oldest first."""
    rows = conn.execute(_CHECKPOINTS, {"row": delivery_id})
    return tuple(Checkpoint(row.step, row.value, row.at) for row in rows)


def earlier_checkpoints(conn: Connection, of: StoredDelivery) -> Mapping[str, Mapping[str, Any]]:
    """What was remembered of each step, last, by the other deliveries of the same verzoek to the same sink."""
    if of.verzoeknummer is None:
        return {}
    whose = {
        "row": of.id,
        "of_authority": of.authority,
        "of_sink": of.sink,
        "of_verzoek": of.verzoeknummer,
    }
    return {row.step: row.value for row in conn.execute(_EARLIER, whose)}


def _action(flow: Flow, what: str) -> str:
    return f"{'verzoek' if flow is Flow.STAM else 'delivery'}.{what}"


def _free_name(conn: Connection, new: NewDelivery) -> str:
    of_sink = {"of_authority": new.authority, "of_sink": new.sink}
    count, name = 1, new.name
    while conn.execute(_NAMED, {**of_sink, "wanted": name}).first() is not None:
        count += 1
        name = f"{new.name}-{count}"
    return name


def add_files(conn: Connection, delivery_id: int, files: Sequence[NewFile]) -> None:
    """Insert the rows of the files of a delivery, in this order."""
    rows = [
        {
            "delivery": delivery_id,
            "position": position,
            "kind": new.kind,
            "href": new.href,
            "path": new.path,
            "bestandsnaam": new.bestandsnaam,
            "document_id": new.document_id,
            "vertrouwelijk": new.vertrouwelijk,
            "content_type": new.content_type,
            **(_NO_CONTENT if new.content is None else content_values(new.content)),
        }
        for position, new in enumerate(files)
    ]
    if rows:
        conn.execute(_INSERT_FILES, rows)


def content_values(content: Content) -> dict[str, Any]:
    """Name the values of a content by their columns."""
    return {
        "size": content.size,
        "sha256": content.sha256,
        "inline": content.inline,
        "spool_key": content.key,
    }


def _file(row: Row[Any]) -> StoredFile:
    content = None if row.sha256 is None else Content(row.size, row.sha256, row.inline, row.spool_key)
    return StoredFile(
        id=row.id,
        delivery=row.delivery,
        position=row.position,
        kind=row.kind,
        href=row.href,
        path=row.path,
        bestandsnaam=row.bestandsnaam,
        document_id=row.document_id,
        vertrouwelijk=row.vertrouwelijk,
        content_type=row.content_type,
        content=content,
    )
