# SPDX-License-Identifier: EUPL-1.2

"""An ebMS message in a file, as a person or a machine reads it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from adapter.cli.captured_body import CapturedBody, CapturedPart
from adapter.ebms import Envelope, refers_to
from adapter.verzoek import NotificationProblem, read_notification
from adapter.views.envelopes import describe_agreed, describe_errors, describe_header
from adapter.views.signatures import describe_signature
from cpa import CollaborationProtocolAgreement

Description = dict[str, Any]

MAX_NOTIFICATION: Final = 1024 * 1024
"""Largest payload, in octets, that is read as a notification."""


def describe_ebms(
    envelope: Envelope,
    body: CapturedBody | None,
    payloads: Sequence[CapturedPart],
    document: CollaborationProtocolAgreement | None,
    now: datetime,
) -> Description:
    """Everything in a message; `payloads` are its parts without the SOAP part, `document` the CPA to judge it by."""
    exchange, agreement = describe_agreed(envelope, document)
    content_ids = [part.content_id for part in payloads if part.problem is None]
    whole = body if body is not None and body.content_type.is_multipart else None
    return {
        "kind": "ebms",
        "message": "business message" if envelope.is_business else envelope.signal or "unknown signal",
        **describe_header(envelope),
        "acknowledges": envelope.acknowledgment.ref_to_message_id if envelope.acknowledgment else None,
        "errors": describe_errors(envelope),
        "manifest": [reference.href for reference in envelope.manifest or ()],
        "payloads": [_payload(part, envelope) for part in payloads],
        "problems": [str(problem) for problem in envelope.problems],
        "agreement": agreement,
        "signature": describe_signature(envelope, exchange, whole, content_ids, now),
    }


def _payload(part: CapturedPart, envelope: Envelope) -> Description:
    return {
        "contentId": part.content_id or None,
        "contentType": part.media_type,
        "size": part.size,
        "sha256": part.sha256,
        "inManifest": any(refers_to(one.href, part.content_id) for one in envelope.manifest or ()),
        "problem": part.problem,
        "verzoeknummer": _verzoeknummer(part),
    }


def _verzoeknummer(part: CapturedPart) -> str | None:
    """The verzoeknummer in a payload that is a notification."""
    if part.size > MAX_NOTIFICATION:
        return None
    try:
        return read_notification(bytes(part.octets)).verzoeknummer
    except NotificationProblem:
        return None  # any other payload
