# SPDX-License-Identifier: EUPL-1.2

"""Health: whether the process runs (live) and whether it can do its work (ready, with the reasons when it
cannot).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from aiohttp import web

from adapter.observe import Metrics, get_logger

log = get_logger(__name__)

ReadyCheck = Callable[[], Awaitable[Iterable[str]]]
"""Says why the adapter is not ready, one sentence per reason, each with its fix; nothing when it is ready."""

_CHECK_SECONDS = 5.0  # shorter than a load balancer waits, so that it gets the reason and not a time-out


class Health:
    """Handlers of the health paths."""

    def __init__(
        self,
        checks: Mapping[str, ReadyCheck],
        metrics: Metrics,
        check_seconds: float = _CHECK_SECONDS,
        warnings: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._checks = dict(checks)
        self._metrics = metrics
        self._check_seconds = check_seconds
        self._warnings = warnings

    async def live(self, _request: web.Request) -> web.Response:
        """200 as long as the event loop turns."""
        return web.json_response({"status": "live"})

    async def ready(self, _request: web.Request) -> web.Response:
        """200 when no check has a reason against it, else 503 with all reasons; warnings of what is to come beside."""
        reasons = await self.reasons()
        coming = list(self._warnings())
        beside = {"warnings": coming} if coming else {}
        if reasons:
            return web.json_response({"status": "not ready", "reasons": reasons, **beside}, status=503)
        return web.json_response({"status": "ready", "reasons": [], **beside})

    async def reasons(self) -> list[str]:
        """Why it is not ready, one sentence per reason; nothing when it is."""
        answers = await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items()))
        return [reason for answer in answers for reason in answer]

    async def _ask(self, name: str, check: ReadyCheck) -> list[str]:
        try:
            async with asyncio.timeout(self._check_seconds):
                return list(await check())
        except TimeoutError:
            return [f"{name}: no answer within {self._check_seconds:g} seconds"]
        except Exception:
            # A check that breaks must make us unready with a reason, not the answer a bare 500.
            log.exception("a readiness check failed", action="health.check_failed", check=name)
            self._metrics.unexpected_errors_total.labels(kind="health").inc()
            return [f"{name}: the check itself failed; see the log"]
