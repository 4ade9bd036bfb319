"""What the application API works with: the parts of the adapter, the user of one call, and the ways to refuse it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from adapter.admin.auth import User
from adapter.authorities import Authorities, KnownAgreement
from adapter.config import Config
from adapter.msh import Submitter
from adapter.observe import Metrics, get_logger
from adapter.store import Database, Spool

log = get_logger(__name__)


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
class Call:
    """One call of a user; `scope` has the names of the authorities that exist for this user."""

    api: ApplicationApi
    request: web.Request
    user: User
    address: str
    scope: frozenset[str]

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
        """An agreement that exists for this user. Raises Refused (400), as the CPAId is an argument here."""
        known = self.api.authorities().find_agreement(cpa_id)
        if known is None or known.authority not in self.scope:
            raise bad_request(f"there is no agreement {cpa_id} in use")
        return known

    def audit(self, did: str, what: str, **more: object) -> None:
        """Log that the user changed something: `did` is the name of the change, `what` its object."""
        log.info(
            "a user changed something",
            action="admin.audit",
            user=self.user.name,
            address=self.address,
            did=did,
            object=what,
            **more,
        )
