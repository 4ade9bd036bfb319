# SPDX-License-Identifier: EUPL-1.2

"""What the application API works with: the parts of the adapter, the user of one call, and the ways to refuse it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aiohttp import web
from sqlalchemy import Connection

from adapter.admin.auth import User
from adapter.authorities import Authorities, KnownAgreement
from adapter.config import Config
from adapter.msh import Submitter
from adapter.observe import Metrics, get_logger
from adapter.store import (
    AuditEntry,
    AuditKind,
    AuditOutcome,
    AuditVia,
    Database,
    Spool,
    add_audit,
    change_audited,
)

log = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApplicationApi:
    """The parts of the adapter that the application API works with."""

    db: Database
    spool: Spool
    authorities: Callable[[], Authorities]
    submitter: Submitter
    config: Callable[[], Config]
    metrics: Metrics
    clock: Callable[[], datetime]


class Refused(Exception):
    """The call is answered with this status and text; the text is for the caller, and shows nothing of inside."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def bad_request(text: str) -> Refused:
    """400: the caller asked for what cannot be."""
    return Refused(400, text)


def not_found(text: str) -> Refused:
    """404: there is no such thing, as far as this user may know."""
    return Refused(404, text)


@dataclass(frozen=True, slots=True)
class Audited:
    """What the audit trail says of the calls of a route."""

    kind: AuditKind
    action: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a user.

    `scope` has the names of the authorities for which the user has the role that the call needs: a handler gives and
    changes what is of these and nothing else. `visible` has those that exist for the user.
    """

    api: ApplicationApi
    request: web.Request
    user: User
    address: str
    visible: frozenset[str]
    scope: frozenset[str] = frozenset()
    audited: Audited | None = None

    def path(self, name: str) -> str:
        """A variable of the path."""
        return self.request.match_info[name]

    def query(self, name: str) -> str | None:
        """A parameter of the query; an empty one counts as left out."""
        return self.request.query.get(name) or None

    def flag(self, name: str) -> bool:
        """A boolean parameter, false where it is left out. Raises Refused for anything but true and false."""
        value = (self.query(name) or "false").lower()
        if value not in {"true", "false"}:
            raise bad_request(f"{name} is neither true nor false")
        return value == "true"

    def number(self, name: str) -> int:
        """A number of the query, 0 where it is left out. Raises Refused for anything else."""
        value = self.query(name) or "0"
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise bad_request(f"{name} is not a number")
        return int(value)

    def agreement(self, cpa_id: str) -> KnownAgreement:
        """An agreement that exists for this user. Raises Refused (400), as the CPAId is an argument here, and 403."""
        known = self.api.authorities().find_agreement(cpa_id)
        if known is None or known.authority not in self.visible:
            raise bad_request(f"there is no agreement {cpa_id} in use")
        if known.authority not in self.scope:
            raise self.denied(known.authority)
        return known

    def denied(self, authority: str | None = None) -> Refused:
        """403: the role of the user does not allow this, for an authority that the user may see."""
        log.warning(
            "a user asked for more than the role allows",
            action="admin.denied",
            user=self.user.name,
            address=self.address,
            authority=authority,
            path=self.request.path,
        )
        return Refused(403, "this needs another role" + (f" for authority {authority}" if authority else ""))

    def entry(
        self,
        subject: str | None,
        authority: str | None = None,
        *,
        outcome: AuditOutcome = AuditOutcome.DONE,
        action: str | None = None,
        kind: AuditKind | None = None,
        **detail: object,
    ) -> AuditEntry:
        """What the audit trail is to say of this call; `action` and `kind` where not those of its route."""
        audited = self.audited or Audited(AuditKind.CHANGE, self.request.method.lower())
        return AuditEntry(
            self.api.clock(),
            self.user.name,
            AuditVia.ADMIN,
            self.address,
            kind or audited.kind,
            action or audited.action,
            subject,
            authority,
            outcome,
            detail,
        )

    async def change(self, work: Callable[[Connection], T], told: Callable[[T], AuditEntry | None]) -> T:
        """Change the store, and in the same transaction say in the audit trail what was changed; None for nothing."""
        result, entry = await self.api.db.write(change_audited, work, told)
        if entry is not None:
            log_audited(entry)
        return result

    async def audit(self, entry: AuditEntry) -> None:
        """Say something in the audit trail."""
        await self.api.db.write(add_audit, entry)
        log_audited(entry)


def log_audited(entry: AuditEntry) -> None:
    """Log what the audit trail has now, for those who collect logs."""
    log.info(
        "added to the audit trail",
        action="admin.audit",
        user=entry.actor,
        address=entry.origin,
        kind=str(entry.kind),
        did=entry.action,
        object=entry.subject,
        outcome=str(entry.outcome),
        **({"authority": entry.authority} if entry.authority is not None else {}),
        **entry.detail,
    )
