# SPDX-License-Identifier: EUPL-1.2

"""Collecting a verzoek: which files it has, each as it lands, and whether it was collected before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy import update as sql_update

from adapter.store.deliveries import NewFile, add_files, content_values
from adapter.store.delivering import mark_message_processed
from adapter.store.jobs import Job, NewJob, add_job, finish_job
from adapter.store.problems import StaleState
from adapter.store.schema import delivery, delivery_file
from adapter.store.sequence import lapsed_documents
from adapter.store.spool import Content
from adapter.store.states import DeliveryState, FileKind, Origin
from adapter.store.timeline import add_delivery_event


@dataclass(frozen=True, slots=True)
class VerzoekFacts:
    """What the verzoekbericht says of itself (STAM 4.0).

    `is_copy`: another organisation is to handle it. `is_snapshot`: a document of the message before it that it does not
    name has lapsed.
    """

    volgnummer: str
    doel: str | None = None
    type: str | None = None
    bevoegd_gezag: str | None = None
    uitvoerende_instantie: str | None = None
    project_id: str | None = None
    is_copy: bool = False
    is_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the verzoekbericht says of a file, and the place of that file in the layout of the sink."""

    file_id: int
    kind: FileKind
    path: str
    bestandsnaam: str | None = None
    document_id: str | None = None
    vertrouwelijk: bool | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """The verzoek is complete, and goes to the sink under this name."""

    revision: int
    name: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same verzoek with the same contents was collected before, as the delivery with this id."""

    of: int


def record_references(conn: Connection, delivery_id: int, files: Sequence[NewFile], now: datetime) -> bool:
    """Store which files a verzoek has, when that is not known yet; return whether it was not.

    Raises:
        StaleState: the delivery is not being collected.

    """
    _require_state(conn, delivery_id, DeliveryState.COLLECTING)
    known = select(func.count()).where(delivery_file.c.delivery == delivery_id)
    if conn.execute(known).scalar_one():
        return False
    add_files(conn, delivery_id, files)
    add_delivery_event(conn, delivery_id, "verzoek.referenced", now, files=len(files))
    return True


def record_file(
    conn: Connection, file_id: int, content: Content, content_type: str | None, now: datetime
) -> None:
    """Store that a file was fetched.

    Raises:
        StaleState: it was fetched before, or its delivery is not being collected.

    """
    row = conn.execute(
        sql_update(delivery_file)
        .where(
            delivery_file.c.id == file_id,
            delivery_file.c.sha256.is_(None),
            delivery_file.c.delivery.in_(
                select(delivery.c.id).where(delivery.c.state == DeliveryState.COLLECTING)
            ),
        )
        .values(content_type=content_type, **content_values(content))
        .returning(delivery_file.c.delivery, delivery_file.c.position)
    ).one_or_none()
    if row is None:
        raise StaleState(f"file {file_id} was fetched before, or its verzoek is not being collected")
    add_delivery_event(
        conn,
        row.delivery,
        "verzoek.file_fetched",
        now,
        position=row.position,
        size=content.size,
        sha256=content.sha256,
    )


def complete_collection(
    conn: Connection,
    delivery_id: int,
    facts: VerzoekFacts,
    files: Sequence[FileFacts],
    deliver_job: NewJob,
    finish: Job,
    now: datetime,
    name: str,
    *,
    sink: str | None = None,
) -> Collected | Repeated:
    """End the collecting of a verzoek: make it ready for its sink, or note that it was collected before.

    `name` is the directory-safe `<verzoeknummer>-<volgnummer>`; a verzoek that was collected before with
    other contents becomes revision n, with the name `<name>-r<n>`. `sink` is where it goes when that is another sink
    than was thought before its content was known. Ends the job `finish`.

    Raises:
        StaleState: the delivery is not being collected, or a file of it was not fetched.
        LeaseLost: the job is no longer held under this claim.

    """
    current = _require_state(conn, delivery_id, DeliveryState.COLLECTING)
    sink = sink or current.sink
    _set_file_facts(conn, delivery_id, files)
    contents = _contents(conn, delivery_id)
    earlier = _same_verzoek(conn, current, sink, facts.volgnummer)
    for row in earlier:
        if _contents(conn, row.id) == contents and not _is_wanted_after_all(current, row):
            _repeat(conn, current, facts, row, now)
            finish_job(conn, finish)
            return Repeated(row.id)
    revision = 1 + max((row.revision for row in earlier), default=0)
    collected = Collected(revision, name if revision == 1 else f"{name}-r{revision}")
    lapsed = lapsed_documents(conn, current, facts.volgnummer) if facts.is_snapshot else []
    _make_ready(conn, delivery_id, facts, collected, now, sink=sink, lapsed=lapsed)
    add_job(conn, deliver_job, current.authority, delivery_id, now)
    finish_job(conn, finish)
    return collected


def _is_wanted_after_all(current: Row[Any], earlier: Row[Any]) -> bool:
    """An operator had a verzoek fetched that was skipped: no sink has it, or not for sure."""
    return current.origin is Origin.OPERATOR and earlier.state is DeliveryState.SKIPPED


def _require_state(conn: Connection, row_id: int, expected: DeliveryState) -> Row[Any]:
    row = conn.execute(select(delivery).where(delivery.c.id == row_id).with_for_update()).one_or_none()
    if row is None or row.state != expected:
        found = "gone" if row is None else row.state
        raise StaleState(f"delivery {row_id} is not {expected} but {found}")
    return row


def _set_file_facts(conn: Connection, delivery_id: int, files: Sequence[FileFacts]) -> None:
    for facts in files:
        changed = conn.execute(
            sql_update(delivery_file)
            .where(delivery_file.c.id == facts.file_id, delivery_file.c.delivery == delivery_id)
            .values(
                kind=facts.kind,
                path=facts.path,
                bestandsnaam=facts.bestandsnaam,
                document_id=facts.document_id,
                vertrouwelijk=facts.vertrouwelijk,
            )
        ).rowcount
        if changed != 1:
            raise StaleState(f"delivery {delivery_id} has no file {facts.file_id}")


def _contents(conn: Connection, delivery_id: int) -> frozenset[tuple[str, str]]:
    query = select(delivery_file.c.path, delivery_file.c.sha256).where(
        delivery_file.c.delivery == delivery_id
    )
    found = frozenset((path, sha256) for path, sha256 in conn.execute(query))
    if missing := [path for path, sha256 in found if sha256 is None]:
        raise StaleState(f"delivery {delivery_id} lacks {', '.join(sorted(missing))}")
    return found


def _same_verzoek(conn: Connection, current: Row[Any], sink: str, volgnummer: str) -> Sequence[Row[Any]]:
    query = select(delivery).filter_by(
        authority=current.authority,
        sink=sink,
        verzoeknummer=current.verzoeknummer,
        volgnummer=volgnummer,
    )
    return conn.execute(query.order_by(delivery.c.revision)).all()


def _verzoek_values(facts: VerzoekFacts, now: datetime) -> dict[str, Any]:
    return {
        "doel": facts.doel,
        "type": facts.type,
        "bevoegd_gezag": facts.bevoegd_gezag,
        "uitvoerende_instantie": facts.uitvoerende_instantie,
        "project_id": facts.project_id,
        "is_copy": facts.is_copy,
        "updated_at": now,
    }


def _make_ready(
    conn: Connection,
    delivery_id: int,
    facts: VerzoekFacts,
    collected: Collected,
    now: datetime,
    *,
    sink: str,
    lapsed: Sequence[Mapping[str, Any]],
) -> None:
    conn.execute(
        sql_update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(
            state=DeliveryState.READY,
            reason=None,
            sink=sink,
            lapsed=list(lapsed) or None,
            volgnummer=facts.volgnummer,
            revision=collected.revision,
            name=collected.name,
            **_verzoek_values(facts, now),
        )
    )
    add_delivery_event(
        conn,
        delivery_id,
        "verzoek.collected",
        now,
        volgnummer=facts.volgnummer,
        revision=collected.revision,
        name=collected.name,
        sink=sink,
        copy=facts.is_copy,
        lapsed=len(lapsed),
    )


def _repeat(conn: Connection, current: Row[Any], facts: VerzoekFacts, of: Row[Any], now: datetime) -> None:
    # volgnummer stays empty: the unique key belongs to the delivery that is repeated.
    reason = f"the same as delivery {of.id}, volgnummer {facts.volgnummer}, revision {of.revision}"
    conn.execute(
        sql_update(delivery)
        .where(delivery.c.id == current.id)
        .values(state=DeliveryState.REPEATED, reason=reason, name=of.name, **_verzoek_values(facts, now))
    )
    add_delivery_event(
        conn,
        current.id,
        "verzoek.repeated",
        now,
        of=of.id,
        volgnummer=facts.volgnummer,
        revision=of.revision,
    )
    if current.message is not None:  # nothing more comes of it: what it announced is in other hands
        mark_message_processed(conn, current.message, now)
