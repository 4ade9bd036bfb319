# SPDX-License-Identifier: EUPL-1.2

"""What a stored message says, and whether its signature holds: judged again, by the CPA that was in force."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapter.ebms import SoapFault, read_envelope
from adapter.msh import SpooledPayloads
from adapter.store import AgreementRow, Spool, SpoolDamaged, StoredMessage, StoredPayload
from adapter.views.envelopes import describe_agreed, describe_errors, describe_header
from adapter.views.signatures import describe_signature
from cpa import CollaborationProtocolAgreement, CpaError, parse_cpa

Description = dict[str, Any]


def judge(
    message: StoredMessage,
    payloads: Sequence[StoredPayload],
    agreement: AgreementRow | None,
    spool: Spool,
    now: datetime,
) -> Description:
    """The header of a message, its errors, what its agreement says of it, and its signature.

    Costs milliseconds of XML and cryptography, and reads payloads whose digests are not SHA-256: to be run in a thread.

    Args:
        message: as it was received or sent.
        payloads: its payloads.
        agreement: the version that was in force; None where there was none.
        spool: where large payloads are.
        now: the moment by which the certificate is called valid or not.

    Returns:
        `header`, `errors`, `agreement` and `signature`; only `problem` where the envelope cannot be read.

    Raises:
        SpoolUnavailable: a payload cannot be read now.

    """
    try:
        envelope = read_envelope(message.envelope)
    except SoapFault as fault:
        return {"problem": fault.detail}
    document, problem = _document(agreement)
    exchange, agreed = describe_agreed(envelope, document)
    parts = [(one.content_id, None if one.content.is_removed else one.content) for one in payloads]
    source = SpooledPayloads(parts, spool)
    content_ids = [one.content_id for one in payloads if one.content_id]
    try:
        hint = problem or "its agreement does not know such a message"
        signature = describe_signature(envelope, exchange, source, content_ids, now, hint)
    except SpoolDamaged as damaged:
        signature = {"present": True, "holds": None, "reason": str(damaged)}
    return {
        "header": describe_header(envelope),
        "errors": describe_errors(envelope),
        "agreement": agreed if problem is None else {"problem": problem},
        "signature": signature,
    }


def _document(agreement: AgreementRow | None) -> tuple[CollaborationProtocolAgreement | None, str | None]:
    """The CPA, or why there is none to judge by."""
    if agreement is None:
        return None, "no agreement was in force for this message"
    try:
        return parse_cpa(agreement.document), None
    except CpaError as problem:
        return None, str(problem)
