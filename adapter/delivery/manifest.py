# SPDX-License-Identifier: EUPL-1.2

"""The manifest of a delivery: what was delivered, where it came from, and the digest of each file, as
JSON-ready values.

The keys are part of the outside contract: consumers of a directory read them.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from adapter.delivery.contract import HandoverFile, Json
from adapter.store import Flow, StoredDelivery

_HOW_IT_BECAME_KNOWN = frozenset({"origin", "cpaId", "messageId", "conversationId", "receivedAt"})
# What follows from the verzoekbericht, which is among the files, and from what else was known then.
_DERIVED = frozenset({"projectId", "kopie", "vervallen"})


def manifest_of(delivery: StoredDelivery, files: Iterable[HandoverFile]) -> dict[str, Any]:
    """The manifest of a delivery of either flow."""
    facts = stam_manifest(delivery) if delivery.flow == Flow.STAM else message_manifest(delivery)
    return {**facts, "files": [_file(file) for file in files]}


def stam_manifest(delivery: StoredDelivery) -> dict[str, Any]:
    """Everything but the files for flow stam; what came with a message is null where there was none."""
    return {
        "verzoeknummer": delivery.verzoeknummer,
        "volgnummer": delivery.volgnummer,
        "doel": delivery.doel,
        "type": delivery.type,
        "bevoegdGezag": delivery.bevoegd_gezag,
        "uitvoerendeInstantie": delivery.uitvoerende_instantie,
        "projectId": delivery.project_id,
        "kopie": bool(delivery.is_copy),
        "vervallen": list(delivery.lapsed or ()),
        "authority": delivery.authority,
        "origin": str(delivery.origin),
        "cpaId": delivery.cpa_id,
        "messageId": delivery.message_id,
        "conversationId": delivery.conversation_id,
        "receivedAt": _moment(delivery.received_at),
    }


def message_manifest(delivery: StoredDelivery) -> dict[str, Any]:
    """Everything but the files for flow message."""
    return {
        "cpaId": delivery.cpa_id,
        "from": delivery.from_party,
        "to": delivery.to_party,
        "service": delivery.service,
        "action": delivery.action,
        "messageId": delivery.message_id,
        "conversationId": delivery.conversation_id,
        "refToMessageId": delivery.ref_to_message_id,
        "timestamp": _moment(delivery.timestamp),
    }


def is_same_delivery(one: object, other: Json) -> bool:
    """Whether a manifest that was found is of the same delivery as another.

    A verzoek is the same with the same files, however it became known: announced, found by asking, or announced again
    to a store that was restored from before it.
    """
    if not isinstance(one, dict):
        return False
    if other.get("verzoeknummer") is None:
        return one == other
    return all(
        one.get(key) == other.get(key)
        for key in (one.keys() | other.keys()) - _HOW_IT_BECAME_KNOWN - _DERIVED
    )


def manifest_bytes(manifest: Json) -> bytes:
    """The manifest as it is written: UTF-8, for people too; equal manifests give equal octets."""
    # A lone surrogate, which no UTF-8 can carry, stays as the \\u escape that JSON has for it.
    return (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace")


def _file(file: HandoverFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "bestandsnaam": file.bestandsnaam,
        "documentId": file.document_id,
        "vertrouwelijk": file.vertrouwelijk,
        "size": file.size,
        "sha256": file.sha256,
    }


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
