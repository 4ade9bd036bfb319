# SPDX-License-Identifier: EUPL-1.2

"""The rules that a received message must satisfy, as small functions in the order of the receiving algorithm.

Each rule looks at a `Case` and yields what is wrong. The rules decide nothing about answers, storage or the
network: they are called, in this order, by the receive path, which stops after the first failing rule where the
algorithm says so (parties, exchange, signature) and reports the others together.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote

from adapter.ebms.envelope import Envelope, Party
from adapter.ebms.errors import (
    LOCATION_HEADER,
    LOCATION_MANIFEST,
    LOCATION_MESSAGE_HEADER,
    LOCATION_SIGNATURE,
    EbmsError,
    ErrorCode,
    Severity,
)
from adapter.ebms.mime import MimeLimits
from adapter.ebms.names import CID, SignalAction
from cpa import Agreement, Exchange, Frequency, PartyInfo

SKEW: Final = timedelta(minutes=5)
"""How far clocks may differ, for the window of the agreement, time to live and timestamps (TIM-03).

It is added to the present, not to a time of the message: that may be the last one that can be written.
"""

_MOST_PARTS: Final = MimeLimits().parts
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """A payload part as it came in: `size` in octets after decoding; `problem` says why it cannot be used."""

    content_id: str
    content_type: str
    size: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Strictness:
    """What an agreement may set apart from the defaults.

    `lenient` lets the flags of reliable messaging differ from the agreement; `strict` refuses what is otherwise
    ignored (an acknowledgment asked of the next MSH); `max_message` bounds the decoded payloads in octets.
    """

    lenient: bool = False
    strict: bool = False
    max_message: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One received message with all that the rules need to judge it.

    `certificate_window` is the first and last moment of the certificate that signed it, None for an unsigned message.
    """

    envelope: Envelope
    agreement: Agreement
    exchange: Exchange
    parts: tuple[ReceivedPart, ...]
    strictness: Strictness
    now: datetime
    certificate_window: tuple[datetime, datetime] | None = None


Rule = Callable[[Case], Iterator[EbmsError]]


def check_parties(envelope: Envelope, agreement: Agreement) -> EbmsError | None:
    """Step 14: To is us and From is the other party of the agreement, by any of their PartyIds (HDR-04, HDR-08)."""
    for party, info, name in (
        (envelope.header.receiver, agreement.us, "To"),
        (envelope.header.sender, agreement.them, "From"),
    ):
        location = f"{LOCATION_MESSAGE_HEADER}/eb:{name}/eb:PartyId"
        if _untyped_without_uri(party):
            return EbmsError(
                ErrorCode.INCONSISTENT, location, f"{name} has a PartyId without type that is no URI"
            )
        if not set(party.party_ids) & set(info.ids):
            shown = ", ".join(f"{p.type or '(no type)'}:{p.value}" for p in party.party_ids)
            return EbmsError(ErrorCode.INCONSISTENT, location, f"{name} is {shown}, not {_names(info)}")
    return None


def find_exchange(envelope: Envelope, agreement: Agreement) -> Exchange | EbmsError:
    """Step 16: what the agreement says about this service and action from them to us (HDR-10, HDR-14 to HDR-17)."""
    header = envelope.header
    misfit = _check_fit(envelope)
    if misfit is not None:
        return misfit
    if not envelope.is_business:
        signal = envelope.signal
        if signal is None:
            return _not_recognized("eb:Action", f"the MSH service has no action {header.action!r}")
        return agreement.received_signal(signal.value)
    exchange = agreement.received(header.service, header.action)
    if exchange is None:
        known = {
            receive.binding.action
            for role in agreement.us.roles
            if role.service == header.service
            for receive in role.all_can_receive()
        }
        if not known:
            return _not_recognized("eb:Service", f"service {header.service} is not agreed for us to receive")
        return _not_recognized("eb:Action", f"action {header.action!r} is not among {sorted(known)}")
    return _check_roles(envelope, exchange) or exchange


def _check_fit(envelope: Envelope) -> EbmsError | None:
    """Step 12: an element that makes a message a signal stands in that signal and nowhere else (ACK-05).

    Only an ErrorList of warnings may go along with anything (EB 4.2.3).
    """
    errors = envelope.error_list
    warnings = errors is not None and errors.highest_severity is Severity.WARNING
    for action, name, element, anywhere in (
        (SignalAction.ACKNOWLEDGMENT, "Acknowledgment", envelope.acknowledgment, False),
        (SignalAction.MESSAGE_ERROR, "ErrorList", errors, warnings),
        (SignalAction.STATUS_REQUEST, "StatusRequest", envelope.status_request, False),
        (SignalAction.STATUS_RESPONSE, "StatusResponse", envelope.status_response, False),
    ):
        if envelope.signal is action and element is None:
            what = f"the action calls for eb:{name}, which is missing"
        elif envelope.signal is not action and element is not None and not anywhere:
            what = f"eb:{name} does not fit the action"
        else:
            continue
        return EbmsError(ErrorCode.INCONSISTENT, f"{LOCATION_MESSAGE_HEADER}/eb:Action", what)
    return None


def _check_roles(envelope: Envelope, exchange: Exchange) -> EbmsError | None:
    for party, agreed, name in (
        (envelope.header.sender, exchange.sender_role, "From"),
        (envelope.header.receiver, exchange.receiver_role, "To"),
    ):
        # a missing role is accepted: an agreement has one role per party, so nothing is unclear (HDR-09, HDR-10)
        if party.role is not None and agreed is not None and party.role != agreed:
            return EbmsError(
                ErrorCode.INCONSISTENT,
                f"{LOCATION_MESSAGE_HEADER}/eb:{name}/eb:Role",
                f"role of {name} is {party.role!r}, agreed is {agreed!r}",
            )
    return None


def check_structure_noted(case: Case) -> Iterator[EbmsError]:
    """Steps 10 and 11: what reading the envelope noted about structure and version."""
    yield from case.envelope.problems


def check_message_order(case: Case) -> Iterator[EbmsError]:
    """Step 17: MessageOrder is not supported (ORD-02)."""
    if case.envelope.message_order:
        yield EbmsError(
            ErrorCode.NOT_SUPPORTED, f"{LOCATION_HEADER}/eb:MessageOrder", "message order is not supported"
        )


def check_sync_reply(case: Case) -> Iterator[EbmsError]:
    """Step 17: SyncReply stands in a business message exactly when the channel is synchronous (SYN-02 to SYN-04)."""
    envelope, synchronous = case.envelope, case.exchange.is_synchronous
    if case.strictness.lenient or not envelope.is_business or envelope.sync_reply == synchronous:
        return
    said = "present" if envelope.sync_reply else "missing"
    yield EbmsError(
        ErrorCode.INCONSISTENT,
        f"{LOCATION_HEADER}/eb:SyncReply",
        f"SyncReply is {said}, the channel is {'synchronous' if synchronous else 'asynchronous'}",
    )


def check_next_msh(case: Case) -> Iterator[EbmsError]:
    """Step 17: an acknowledgment asked of the next MSH is not given: a warning, or refused where strict (ACK-04)."""
    if case.envelope.next_ack_requested:
        yield EbmsError(
            ErrorCode.NOT_SUPPORTED,
            f"{LOCATION_HEADER}/eb:AckRequested/@SOAP:actor",
            "an acknowledgment is asked of the next MSH",
            Severity.ERROR if case.strictness.strict else Severity.WARNING,
        )


def check_reliability_flags(case: Case) -> Iterator[EbmsError]:
    """Step 17: AckRequested, its `signed`, and DuplicateElimination fit the channel (ACK-01, ACK-03, ACK-08)."""
    envelope = case.envelope
    if case.strictness.lenient or not envelope.is_business:
        return
    agreed = case.exchange.characteristics
    asked = envelope.ack_requested
    location = f"{LOCATION_HEADER}/eb:AckRequested"
    yield from _check_flag("AckRequested", location, agreed.ack_requested, present=asked is not None)
    if asked is not None:
        yield from _check_flag(
            "AckRequested signed",
            f"{location}/@eb:signed",
            agreed.ack_signature_requested,
            present=asked.signed,
        )
    yield from _check_flag(
        "DuplicateElimination",
        f"{LOCATION_MESSAGE_HEADER}/eb:DuplicateElimination",
        agreed.duplicate_elimination,
        present=envelope.header.duplicate_elimination,
    )


def check_signed_acknowledgment(case: Case) -> Iterator[EbmsError]:
    """A signed acknowledgment is asked that our default channel cannot sign: a warning, it goes unsigned (ACK-11)."""
    asked = case.envelope.ack_requested
    if asked is None or not asked.signed or not case.envelope.is_business:
        return
    answer = case.agreement.sent_signal(SignalAction.ACKNOWLEDGMENT.value)
    if answer.signing_certificate is None:
        yield EbmsError(
            ErrorCode.INCONSISTENT,
            f"{LOCATION_HEADER}/eb:AckRequested/@eb:signed",
            "our default channel has no signing certificate, so the acknowledgment cannot be signed",
            Severity.WARNING,
        )


def check_agreement_active(case: Case) -> Iterator[EbmsError]:
    """Step 25: the agreement is agreed, and now is within its window (CPA-04, LCY-06)."""
    agreement = case.agreement
    if not agreement.is_active_at(case.now, SKEW):
        yield EbmsError(
            ErrorCode.INCONSISTENT,
            f"{LOCATION_MESSAGE_HEADER}/eb:CPAId",
            f"the agreement is {agreement.status.value}, from {agreement.start.isoformat()}"
            f" to {agreement.end.isoformat()}",
        )


def check_certificate_window(case: Case) -> Iterator[EbmsError]:
    """Step 25: the signing certificate is valid now; only on first reception (pitfall 13)."""
    if case.certificate_window is None:
        return
    start, end = case.certificate_window
    if case.now + SKEW < start or end < case.now - SKEW:
        yield EbmsError(
            ErrorCode.SECURITY_FAILURE,
            LOCATION_SIGNATURE,
            f"the signing certificate is valid from {start.isoformat()} to {end.isoformat()}",
        )


def check_time_to_live(case: Case) -> Iterator[EbmsError]:
    """Step 25: TimeToLive has not passed (HDR-24)."""
    time_to_live = case.envelope.header.time_to_live
    if time_to_live is not None and time_to_live < case.now - SKEW:
        yield EbmsError(
            ErrorCode.TIME_TO_LIVE_EXPIRED,
            f"{LOCATION_MESSAGE_HEADER}/eb:MessageData/eb:TimeToLive",
            f"the message was to live until {time_to_live.isoformat()}",
        )


def check_timestamp(case: Case) -> Iterator[EbmsError]:
    """Step 25: a Timestamp in the future is worth a warning, no more."""
    timestamp = case.envelope.header.timestamp
    if timestamp is not None and timestamp > case.now + SKEW:
        yield EbmsError(
            ErrorCode.INCONSISTENT,
            f"{LOCATION_MESSAGE_HEADER}/eb:MessageData/eb:Timestamp",
            f"the message says it was made at {timestamp.isoformat()}, which is in the future",
            Severity.WARNING,
        )


def check_manifest(case: Case) -> Iterator[EbmsError]:
    """Step 26: every reference is a `cid:` of exactly one sound part of the message (MAN-02 to MAN-04)."""
    references = case.envelope.manifest or ()
    if len(references) > _MOST_PARTS:
        yield EbmsError(
            ErrorCode.MIME_PROBLEM,
            LOCATION_MANIFEST,
            f"the Manifest names {len(references)} parts, a message has at most {_MOST_PARTS}",
        )
        return
    by_id = defaultdict(list)
    for part in case.parts:
        by_id[part.content_id].append(part)
    for number, reference in enumerate(references, start=1):
        location = f"{LOCATION_MANIFEST}/eb:Reference[{number}]"
        if not reference.href.lower().startswith(CID):
            yield EbmsError(ErrorCode.MIME_PROBLEM, location, f"{reference.href!r} is not a cid: reference")
            continue
        found = [part for name in _names_in(reference.href) for part in by_id.get(name, ())]
        if not found:
            yield EbmsError(
                ErrorCode.MIME_PROBLEM, reference.href, f"no part has the Content-ID of {reference.href}"
            )
        elif len(found) > 1:
            yield EbmsError(
                ErrorCode.MIME_PROBLEM, reference.href, f"{reference.href} names {len(found)} parts"
            )
        elif found[0].problem is not None:
            yield EbmsError(ErrorCode.MIME_PROBLEM, reference.href, found[0].problem)


def check_size(case: Case) -> Iterator[EbmsError]:
    """Step 27: the payloads together are not larger than this agreement allows (MAN-12)."""
    limit = case.strictness.max_message
    total = sum(part.size for part in case.parts)
    if limit is not None and total > limit:
        yield EbmsError(
            ErrorCode.UNKNOWN, LOCATION_MANIFEST, f"the payloads have {total} octets, allowed are {limit}"
        )


HEADER_RULES: Final[tuple[Rule, ...]] = (
    check_structure_noted,
    check_message_order,
    check_sync_reply,
    check_next_msh,
    check_reliability_flags,
    check_signed_acknowledgment,
)
"""Steps 10, 11 and 17: judged before the signature, reported after it."""

FIRST_TIME_RULES: Final[tuple[Rule, ...]] = (
    check_agreement_active,
    check_certificate_window,
    check_time_to_live,
    check_timestamp,
    check_manifest,
    check_size,
)
"""Steps 25 to 27: judged on first reception only, so that a repeat is answered like the first (pitfall 41)."""


def judge(case: Case, rules: tuple[Rule, ...]) -> tuple[EbmsError, ...]:
    """All that `rules` find, in their order."""
    return tuple(error for rule in rules for error in rule(case))


def refers_to(href: str, content_id: str) -> bool:
    """Whether a `cid:` URL names the part with this Content-ID; the URL is percent-decoded once (RFC 2392)."""
    return content_id in _names_in(href)


def _names_in(href: str) -> frozenset[str]:
    """The Content-IDs that a `cid:` URL may mean: decoded, and as written by who forgot to encode (pitfall 11)."""
    name = href[len(CID) :]
    return frozenset({unquote(name), name}) if href.lower().startswith(CID) else frozenset()


def _check_flag(what: str, location: str, agreed: Frequency, *, present: bool) -> Iterator[EbmsError]:
    wrong = (agreed is Frequency.ALWAYS and not present) or (agreed is Frequency.NEVER and present)
    if wrong:
        said = "set" if present else "not set"
        yield EbmsError(ErrorCode.INCONSISTENT, location, f"{what} is {said}, agreed is {agreed.value}")


def _untyped_without_uri(party: Party) -> bool:
    return any(p.type is None and _URI.match(p.value) is None for p in party.party_ids)


def _names(info: PartyInfo) -> str:
    return ", ".join(f"{p.type or '(no type)'}:{p.value}" for p in info.ids)


def _not_recognized(element: str, detail: str) -> EbmsError:
    return EbmsError(ErrorCode.VALUE_NOT_RECOGNIZED, f"{LOCATION_MESSAGE_HEADER}/{element}", detail)
