# SPDX-License-Identifier: EUPL-1.2

"""The last two steps: a verzoeknotificatie arrived, and its verzoek is complete in the sink."""

from collections.abc import Sequence
from typing import Final

from adapter.connecting.evidence import Outcome, Result, Trouble, failed, redact
from adapter.connecting.ground import Ground, happened, message_facts
from adapter.store import (
    DeliveryState,
    Direction,
    Flow,
    JobKind,
    JobState,
    MessageKind,
    MessageState,
    StoredDelivery,
    StoredFile,
    StoredMessage,
    delivery_files,
    events_for,
    find_deliveries,
    find_messages,
    get_message,
    jobs_for,
)

_LOOKED_AT: Final = 100
"""How many of the newest messages and deliveries are looked at: while connecting there are few."""

_JOBS: Final = {DeliveryState.COLLECTING: JobKind.COLLECT, DeliveryState.READY: JobKind.DELIVER}


async def receive_notification(ground: Ground) -> Result:
    """A verzoeknotificatie arrived under the agreement, and its verzoeknummer was read."""
    return await ground.until(
        lambda: _notification(ground),
        lambda found: found.outcome is Outcome.DONE,
        "waiting for a verzoeknotificatie",
    )


async def deliver_verzoek(ground: Ground) -> Result:
    """A verzoek that was announced under the agreement is complete in its sink."""
    return await ground.until(
        lambda: _verzoek(ground),
        lambda found: found.outcome is Outcome.DONE or found.trouble is Trouble.WAITS_FOR_OPERATOR,
        "waiting until a verzoek is delivered",
    )


async def _notification(ground: Ground) -> Result:
    """The first message that became a verzoek; else what became of the last one that did not."""
    trouble = failed(Trouble.NOTHING_CAME, "no message came under this CPA")
    for message in await _received(ground):
        if message.state is MessageState.REFUSED:
            trouble = failed(
                Trouble.MESSAGE_REFUSED, message.reason or "refused", await _shown(ground, message)
            )
            continue
        deliveries = await ground.db.read(find_deliveries, ground.subject.authority, message=message.id)
        number = next((one.verzoeknummer for one in deliveries if one.verzoeknummer), None)
        if number is not None:
            return await _shown(ground, message, number)
        jobs = await ground.db.read(jobs_for, JobKind.ROUTE, message.id)
        reason = next((job.reason for job in jobs if job.reason), None)
        if reason is not None:
            trouble = failed(Trouble.NOT_UNDERSTOOD, reason, await _shown(ground, message))
    return trouble


async def _received(ground: Ground) -> Sequence[StoredMessage]:
    """The business messages under the agreement, oldest first."""
    found = await ground.db.read(
        find_messages,
        authority=ground.subject.authority,
        direction=Direction.IN,
        kind=MessageKind.BUSINESS,
        cpa_id=ground.subject.cpa_id,
        limit=_LOOKED_AT,
    )
    return [message for message in reversed(found) if message.created_at >= ground.since]


async def _shown(ground: Ground, message: StoredMessage, number: str | None = None) -> Result:
    """A message with our answer to it, as evidence."""
    answers = await ground.db.read(
        find_messages,
        authority=message.authority,
        direction=Direction.OUT,
        cpa_id=message.cpa_id,
        ref_to_message_id=message.message_id,
        limit=5,
    )
    return Result(
        outcome=Outcome.DONE,
        at=message.created_at,
        verzoeknummer=number,
        messages=tuple(map(message_facts, (message, *reversed(answers)))),
        facts={"service": message.service, "action": message.action, "profile": message.profile or ""},
        timeline=happened(await ground.db.read(events_for, message_id=message.message_id)),
    )


async def _verzoek(ground: Ground) -> Result:
    """The first verzoek that was delivered; else how far the last one is."""
    found = await ground.db.read(find_deliveries, ground.subject.authority, limit=_LOOKED_AT)
    deliveries = [one for one in reversed(found) if _is_ours(ground, one)]
    delivered = next((one for one in deliveries if one.state is DeliveryState.DELIVERED), None)
    if delivered is not None:
        return await _delivery_shown(ground, delivered)
    on_its_way = [
        one for one in deliveries if one.state not in {DeliveryState.SKIPPED, DeliveryState.REPEATED}
    ]
    if not on_its_way:
        return failed(Trouble.NO_VERZOEK, "no verzoek was announced under this CPA")
    return await _undelivered(ground, on_its_way[-1])


def _is_ours(ground: Ground, delivery: StoredDelivery) -> bool:
    """Whether a delivery is of a verzoek that was announced under the agreement."""
    is_announced = delivery.flow is Flow.STAM and delivery.cpa_id == ground.subject.cpa_id
    return is_announced and delivery.received_at is not None and delivery.received_at >= ground.since


async def _undelivered(ground: Ground, delivery: StoredDelivery) -> Result:
    shown = await _delivery_shown(ground, delivery)
    names = _names(await ground.db.read(delivery_files, delivery.id))
    if delivery.state is DeliveryState.PARKED:
        return failed(Trouble.WAITS_FOR_OPERATOR, redact(delivery.reason or "parked", names), shown)
    jobs = await ground.db.read(jobs_for, _JOBS[delivery.state], delivery.id)
    reason = redact(next((job.reason for job in jobs if job.reason), None) or "not tried yet", names)
    if any(job.state is JobState.PARKED for job in jobs):
        return failed(Trouble.WAITS_FOR_OPERATOR, reason, shown)
    is_collecting = delivery.state is DeliveryState.COLLECTING
    return failed(Trouble.NOT_COLLECTED if is_collecting else Trouble.NOT_DELIVERED, reason, shown)


async def _delivery_shown(ground: Ground, delivery: StoredDelivery) -> Result:
    """A delivery as evidence: its files by kind, size and digest, without their names."""
    files = await ground.db.read(delivery_files, delivery.id)
    messages = (
        (message_facts(await ground.db.read(get_message, delivery.message)),)
        if delivery.message is not None
        else ()
    )
    events = await ground.db.read(
        events_for, delivery.verzoeknummer, authority=ground.subject.authority, limit=_LOOKED_AT
    )
    fetched = sum(one.content is not None for one in files)
    facts: dict[str, str | int | None] = {
        "volgnummer": delivery.volgnummer,
        "doel": delivery.doel,
        "type": delivery.type,
        "sink": delivery.sink,
        "delivered_as": delivery.name if delivery.state is DeliveryState.DELIVERED else None,
        "file_count": len(files),
        "octets": sum(one.content.size for one in files if one.content is not None),
        "collected": None if delivery.state is DeliveryState.DELIVERED else f"{fetched}/{len(files)}",
    }
    return Result(
        outcome=Outcome.DONE,
        at=delivery.updated_at if delivery.state is DeliveryState.DELIVERED else None,
        verzoeknummer=delivery.verzoeknummer,
        messages=messages,
        facts={name: value for name, value in facts.items() if value is not None},
        files=tuple(map(_file, files)),
        timeline=happened(events),
    )


def _file(file: StoredFile) -> dict[str, str | int | None]:
    content = file.content
    return {
        "kind": file.kind.value,
        "size": None if content is None else content.size,
        "content_type": file.content_type,
        "sha256": None if content is None else content.sha256,
    }


def _names(files: Sequence[StoredFile]) -> tuple[str, ...]:
    """What applicants called their files, which stands in the reason of a failure now and then."""
    return tuple(name for file in files for name in (file.bestandsnaam, file.path) if name)
