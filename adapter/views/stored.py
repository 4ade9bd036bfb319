# SPDX-License-Identifier: EUPL-1.2

"""What is in the store, as a person or a machine reads it: messages, deliveries, jobs, and what happened."""

from typing import Any

from adapter.store import Event, Job, JobState, StoredDelivery, StoredFile, StoredMessage, StoredPayload
from adapter.views.texts import detail_line

Description = dict[str, Any]


def describe_message(message: StoredMessage) -> Description:
    """A message, without its octets."""
    return {
        "id": message.id,
        "authority": message.authority,
        "direction": message.direction,
        "kind": message.kind,
        "state": message.state,
        "reason": message.reason,
        "messageId": message.message_id,
        "conversationId": message.conversation_id,
        "refToMessageId": message.ref_to_message_id,
        "cpaId": message.cpa_id,
        "profile": message.profile,
        "from": message.from_party,
        "to": message.to_party,
        "service": message.service,
        "action": message.action,
        "timestamp": message.timestamp,
        "timeToLive": message.time_to_live,
        "stored": message.created_at,
        "changed": message.updated_at,
        "attempts": message.attempts,
        "expires": message.expires_at,
        "envelopeSize": len(message.envelope),
    }


def describe_payload(payload: StoredPayload) -> Description:
    """A payload, without its octets."""
    return {
        "contentId": payload.content_id,
        "contentType": payload.content_type,
        "name": payload.name,
        "size": payload.content.size,
        "sha256": payload.content.sha256,
    }


def describe_delivery(delivery: StoredDelivery) -> Description:
    """A delivery, without its files."""
    return {
        "id": delivery.id,
        "authority": delivery.authority,
        "sink": delivery.sink,
        "flow": delivery.flow,
        "origin": delivery.origin,
        "verzoeknummer": delivery.verzoeknummer,
        "volgnummer": delivery.volgnummer,
        "revision": delivery.revision,
        "name": delivery.name or None,
        "state": delivery.state,
        "reason": delivery.reason,
        "type": delivery.type,
        "doel": delivery.doel,
        "bevoegdGezag": delivery.bevoegd_gezag,
        "uitvoerendeInstantie": delivery.uitvoerende_instantie,
        "projectId": delivery.project_id,
        "kopie": delivery.is_copy,
        "vervallen": delivery.lapsed or [],
        "messageId": delivery.message_id,
        "created": delivery.created_at,
        "changed": delivery.updated_at,
    }


def describe_file(file: StoredFile) -> Description:
    """A file of a delivery; without a digest while it was not fetched."""
    return {
        "kind": file.kind,
        "path": file.path or None,
        "bestandsnaam": file.bestandsnaam,
        "documentId": file.document_id,
        "vertrouwelijk": file.vertrouwelijk,
        "fetched": file.content is not None,
        "size": file.content.size if file.content else None,
        "sha256": file.content.sha256 if file.content else None,
    }


def describe_job(job: Job) -> Description:
    """Work that is still to be done: what, and why it was not done yet."""
    return {
        "kind": job.kind,
        "state": job.state,
        "attempts": job.attempts,
        "due": job.not_before if job.state is JobState.READY else None,
        "reason": job.reason,
    }


def describe_event(event: Event) -> Description:
    """A line of the timeline."""
    return {
        "at": event.at,
        "action": event.action,
        "messageId": event.message_id,
        "detail": dict(event.detail),
    }


def timeline(events: list[Event], *, as_json: bool) -> list[Description]:
    """The timeline; for people the details stand on the line of what happened."""
    rows = [describe_event(event) for event in events]
    if as_json:
        return rows
    return [{**row, "detail": detail_line(row["detail"])} for row in rows]
