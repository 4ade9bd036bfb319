# SPDX-License-Identifier: EUPL-1.2

"""Health: whether the process works (live), whether messages can come to it (ready), and what people must know.

What stops nobody from being received is a warning: a load balancer that took the daemon away for it would stop all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiohttp import web

from adapter.observe import Metrics, get_logger

log = get_logger(__name__)

EVERYBODY: Final = frozenset({"*"})
"""Every authority, those of tomorrow too."""

NOBODY: Final[frozenset[str]] = frozenset()

_CHECK_SECONDS = 5.0  # shorter than a load balancer waits, so that it gets the reason and not a time-out


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a check found: one sentence with its fix, and what it is about, such as the name of a sink.

    `stops` are the authorities that nothing can be received for because of it; for nobody it is a warning.
    """

    text: str
    about: str = ""
    stops: frozenset[str] = NOBODY


ReadyCheck = Callable[[], Awaitable[Iterable[Trouble]]]
"""Looks for trouble; finds nothing where all is well."""


class Status(StrEnum):
    """How a check, or all of them together, came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found at one moment, by their names; `authorities` are those that there are."""

    found: Mapping[str, tuple[Trouble, ...]]
    authorities: frozenset[str] = NOBODY

    @property
    def stopped(self) -> frozenset[str]:
        """The authorities that nothing can be received for."""
        if self._stops_all:
            return self.authorities
        named: frozenset[str] = frozenset().union(*(one.stops for one in self._all))
        return named & self.authorities

    @property
    def is_ready(self) -> bool:
        """Whether anything can be received."""
        return not self._stops_all and not (self.authorities and self.stopped == self.authorities)

    def reasons(self, authority: str | None = None) -> list[str]:
        """Why nothing can be received, for one authority or at all."""
        if authority is not None:
            return [one.text for one in self._all if one.stops & {authority, *EVERYBODY}]
        return [] if self.is_ready else [one.text for one in self._all if one.stops]

    def warnings(self) -> list[str]:
        """What people must know, though messages are received."""
        return [one.text for one in self._all if not one.stops or self.is_ready]

    def as_json(self, authority: str | None = None) -> dict[str, object]:
        """The answer of the daemon, for one authority or as a whole."""
        reasons = self.reasons(authority)
        return {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "warnings": [text for text in self.warnings() if text not in reasons],
            "authorities_not_ready": sorted(self.stopped),
            "checks": {name: _check_as_json(troubles) for name, troubles in self.found.items()},
        }

    @property
    def _all(self) -> list[Trouble]:
        return [one for troubles in self.found.values() for one in troubles]

    @property
    def _stops_all(self) -> bool:
        return any(one.stops >= EVERYBODY for one in self._all)


def status_of(troubles: Iterable[Trouble]) -> Status:
    """How a check came out that found these."""
    return max((_level(one) for one in troubles), key=list(Status).index, default=Status.OK)


def _level(trouble: Trouble) -> Status:
    return Status.FAILED if trouble.stops else Status.WARNING


def _check_as_json(troubles: Iterable[Trouble]) -> dict[str, object]:
    details = [{"about": one.about, "status": _level(one), "text": one.text} for one in troubles]
    return {"status": status_of(troubles), "details": details}


async def _no_sign_of_death() -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Health:
    """Asks the checks, and handles the health paths.

    Each of `checks` stops everybody where it breaks or does not answer; each of `watches` then is a warning. `live`
    says why the process must be started again.
    """

    checks: Mapping[str, ReadyCheck]
    metrics: Metrics
    watches: Mapping[str, ReadyCheck] = field(default_factory=dict)
    authorities: Callable[[], Collection[str]] = tuple
    live_check: Callable[[], Awaitable[Collection[str]]] = _no_sign_of_death
    check_seconds: float = _CHECK_SECONDS

    async def look(self) -> Report:
        """Ask all checks at once."""
        asked = {
            **{name: (check, EVERYBODY) for name, check in self.checks.items()},
            **{name: (check, NOBODY) for name, check in self.watches.items()},
        }
        answers = await asyncio.gather(*(self._ask(name, *one) for name, one in asked.items()))
        return Report(dict(zip(asked, answers, strict=True)), frozenset(self.authorities()))

    async def live(self, _request: web.Request) -> web.Response:
        """200 as long as the event loop turns and nothing in the process is stuck or dead, else 503."""
        reasons = list(await self.live_check())
        body = {"status": "not live" if reasons else "live", "reasons": reasons}
        return web.json_response(body, status=503 if reasons else 200)

    async def ready(self, request: web.Request) -> web.Response:
        """200 when messages can be received, else 503; for one authority with `?authority=` (404 for none)."""
        authority = request.query.get("authority")
        if authority is not None and authority not in self.authorities():
            raise web.HTTPNotFound
        body = (await self.look()).as_json(authority)
        return web.json_response(body, status=503 if body["reasons"] else 200)

    async def _ask(self, name: str, check: ReadyCheck, stops: frozenset[str]) -> tuple[Trouble, ...]:
        try:
            async with asyncio.timeout(self.check_seconds):
                return tuple(await check())
        except TimeoutError:
            return (Trouble(f"{name}: no answer within {self.check_seconds:g} seconds", stops=stops),)
        except Exception:
            # A check that breaks must give a reason, not make the answer a bare 500.
            log.exception("a readiness check failed", action="health.check_failed", check=name)
            self.metrics.unexpected_errors_total.labels(kind="health").inc()
            return (Trouble(f"{name}: the check itself failed; see the log", stops=stops),)
