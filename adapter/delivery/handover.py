# SPDX-License-Identifier: EUPL-1.2

"""Turns what the store knows of a delivery into what a sink is handed."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from adapter.delivery.contract import ContentDamaged, Handover, HandoverFile, Json
from adapter.delivery.manifest import manifest_of
from adapter.delivery.names import message_name, unique_names
from adapter.store import (
    Content,
    Flow,
    StoredDelivery,
    StoredFile,
    StoredPayload,
    checkpoints,
    delivery_files,
    earlier_checkpoints,
    get_delivery,
    message_payloads,
)

Opener = Callable[[str, Content], Callable[[], AsyncGenerator[bytes, None]]]
"""Makes the `open` of a handover file from its path and content."""


@dataclass(frozen=True, slots=True)
class Package:
    """A delivery with everything the store has of it.

    `payloads` are those of its message, for a delivery of flow message that has no files of its own. `earlier` are the
    checkpoints of other deliveries of the same verzoek to the same sink.
    """

    delivery: StoredDelivery
    files: tuple[StoredFile, ...]
    payloads: tuple[StoredPayload, ...]
    checkpoints: Mapping[str, Json]
    earlier: Mapping[str, Json]


def load_package(conn: Connection, delivery_id: int) -> Package:
    """Everything about a delivery, in one read; NotFound when there is no such delivery."""
    delivery = get_delivery(conn, delivery_id)
    files = delivery_files(conn, delivery_id)
    payloads: tuple[StoredPayload, ...] = ()
    if delivery.flow is Flow.MESSAGE and delivery.message is not None and not files:
        payloads = message_payloads(conn, delivery.message)
    done = {step.step: step.value for step in checkpoints(conn, delivery_id)}
    return Package(delivery, files, payloads, done, earlier_checkpoints(conn, delivery))


def payload_paths(payloads: Sequence[StoredPayload]) -> tuple[str, ...]:
    """Where the payloads of a message go in the layout of a sink: under their names, else their
    Content-Ids.
    """
    names = [
        payload.name or _bare(payload.content_id) or f"payload-{payload.position + 1}" for payload in payloads
    ]
    return tuple(f"payloads/{name}" for name in unique_names(names))


def handover_of(package: Package, opener: Opener, attempt: int) -> Handover:
    """What the sink is handed; ContentDamaged when the delivery is not complete in the store."""
    delivery = package.delivery
    files = _files(package.files, opener) + _payload_files(package.payloads, opener)
    return Handover(
        key=_key(delivery),
        flow=str(delivery.flow),
        authority=delivery.authority,
        sink=delivery.sink,
        verzoeknummer=delivery.verzoeknummer,
        volgnummer=delivery.volgnummer,
        manifest=manifest_of(delivery, files),
        files=files,
        attempt=attempt,
    )


def _key(delivery: StoredDelivery) -> str:
    if delivery.name:
        return delivery.name
    if delivery.flow is Flow.MESSAGE and delivery.message_id is not None:
        return message_name(delivery.message_id, delivery.revision)
    raise ContentDamaged("the delivery has no name: it is not collected completely, or its message is gone")


def _files(files: Sequence[StoredFile], opener: Opener) -> tuple[HandoverFile, ...]:
    return tuple(_file(file, _stored(file), opener) for file in files)


def _file(file: StoredFile, content: Content, opener: Opener) -> HandoverFile:
    return HandoverFile(
        path=file.path,
        size=content.size,
        sha256=content.sha256,
        content_type=file.content_type,
        bestandsnaam=file.bestandsnaam,
        document_id=file.document_id,
        vertrouwelijk=file.vertrouwelijk,
        open=opener(file.path, content),
        kind=file.kind,
    )


def _payload_files(payloads: Sequence[StoredPayload], opener: Opener) -> tuple[HandoverFile, ...]:
    return tuple(
        HandoverFile(
            path=path,
            size=payload.content.size,
            sha256=payload.content.sha256,
            content_type=payload.content_type,
            bestandsnaam=payload.name,
            document_id=None,
            vertrouwelijk=None,
            open=opener(path, payload.content),
        )
        for path, payload in zip(payload_paths(payloads), payloads, strict=True)
    )


def _bare(content_id: str | None) -> str:
    return (content_id or "").strip().removeprefix("<").removesuffix(">")


def _stored(file: StoredFile) -> Content:
    if file.content is None:
        raise ContentDamaged(f"{file.path or file.href} was never stored: it is not collected completely")
    return file.content
