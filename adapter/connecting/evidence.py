# SPDX-License-Identifier: EUPL-1.2

"""What a step of connecting came to, as it is kept: what it was about, how it ended, and what shows that.

Nothing in it is personal data or a secret: no content of a verzoek, no name of a file of an applicant, no header that
carries a key. Texts that come from elsewhere are redacted where they enter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from pydantic import TypeAdapter, ValidationError

from adapter.rendering import Language

FORMAT: Final = 1

_BSN: Final = re.compile(r"(?<!\d)\d{9}(?!\d)")
_MAIL: Final = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+\.[A-Za-z]{2,}")
_LONGEST: Final = 2000
_NAMES: Final = {
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
}


class Step(StrEnum):
    """The steps, in their order."""

    CPA = "cpa"
    PUBLISH = "publish"
    PING = "ping"
    NOTIFICATION = "notification"
    VERZOEK = "verzoek"

    @property
    def number(self) -> int:
        """The place among the steps, from 1."""
        return list(Step).index(self) + 1


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"


class Trouble(StrEnum):
    """Why a step failed; each has its advice in every language (`words`)."""

    CPA_WRONG = "cpa_wrong"
    OTHER_ENVIRONMENT = "other_environment"
    NOT_CONFIGURED = "not_configured"
    NOT_ALLOWED = "not_allowed"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_DAEMON = "no_daemon"
    NOT_SENT = "not_sent"
    NO_PONG = "no_pong"
    NO_PING = "no_ping"
    NOTHING_CAME = "nothing_came"
    MESSAGE_REFUSED = "message_refused"
    NOT_UNDERSTOOD = "not_understood"
    NO_VERZOEK = "no_verzoek"
    NOT_COLLECTED = "not_collected"
    NOT_DELIVERED = "not_delivered"
    WAITS_FOR_OPERATOR = "waits_for_operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """Which certificate: its fingerprint is the SHA-256 of its DER encoding, in hexadecimal."""

    subject: str
    issuer: str
    fingerprint: str
    not_after: datetime

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "CertificateFacts":
        """The facts of a certificate."""
        return cls(
            subject=certificate.subject.rfc4514_string(_NAMES),
            issuer=certificate.issuer.rfc4514_string(_NAMES),
            fingerprint=certificate.fingerprint(SHA256()).hex(),
            not_after=certificate.not_valid_after_utc,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What evidence is about: who connects to whom in which environment, under which agreement.

    `cpa_digest` is the SHA-256 of the CPA document, in hexadecimal; `certificate` is the one of the authority.
    """

    environment: str
    authority: str
    name: str
    party: str
    oin: str
    partner: str
    cpa_id: str
    cpa_digest: str
    certificate: CertificateFacts | None
    version: str

    def is_same_agreement(self, other: "Subject") -> bool:
        """Whether both are about the same document of the same authority in the same environment."""
        return self._agreement() == other._agreement()

    def _agreement(self) -> tuple[str, ...]:
        return (self.environment, self.authority, self.party, self.cpa_id, self.cpa_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """An ebMS message that shows something: `kind` and `state` as in the store, `at` when it was stored."""

    kind: str
    direction: str
    message_id: str
    conversation_id: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the timeline, without its details."""

    at: datetime
    action: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was found in a CPA: `severity` is warning or error."""

    severity: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a step came to: `reason` says what went wrong, `trouble` of what kind that is.

    `at` is when it came about, where that was before it was looked at. `facts` have names that `words` translates.
    """

    outcome: Outcome
    trouble: Trouble | None = None
    reason: str | None = None
    at: datetime | None = None
    verzoeknummer: str | None = None
    messages: tuple[MessageFacts, ...] = ()
    facts: Mapping[str, str | int] = field(default_factory=dict)
    files: tuple[Mapping[str, str | int | None], ...] = ()
    remarks: tuple[Remark, ...] = ()
    timeline: tuple[Happened, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is kept of a step."""

    step: Step
    subject: Subject
    result: Result
    started: datetime
    ended: datetime
    language: Language
    format: int = FORMAT

    @property
    def is_done(self) -> bool:
        """Whether the step holds."""
        return self.result.outcome is Outcome.DONE

    def shows(self, subject: Subject) -> bool:
        """Whether the step is done under this agreement."""
        return self.is_done and self.subject.is_same_agreement(subject)


_EVIDENCE: Final = TypeAdapter(Evidence)


def write_json(evidence: Evidence) -> str:
    """Evidence as one JSON document."""
    return _EVIDENCE.dump_json(evidence, indent=1).decode()


def read_json(text: str | bytes) -> Evidence | None:
    """Evidence from JSON; None where the text is something else, or of a version that this one does not know."""
    try:
        evidence = _EVIDENCE.validate_json(text)
    except ValidationError:
        return None
    return evidence if evidence.format == FORMAT else None


_NOTHING: Final = Result(outcome=Outcome.FAILED)


def failed(trouble: Trouble, reason: str, shown: Result = _NOTHING) -> Result:
    """A step that failed, for a reason that may have come from elsewhere; with what is `shown` all the same."""
    return replace(shown, outcome=Outcome.FAILED, trouble=trouble, reason=redact(reason))


def redact(text: str, names: tuple[str, ...] = ()) -> str:
    """A text without what may be personal in it: numbers with the length of a BSN, mail addresses, and given names.

    Without what no database or page can hold either: a partner may send any octets.
    """
    text = text.encode(errors="replace").decode().replace("\0", "")
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, "(…)")
    return _MAIL.sub("(…)", _BSN.sub("(…)", text))[:_LONGEST]
