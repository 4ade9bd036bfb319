# SPDX-License-Identifier: EUPL-1.2

"""Says how the daemon is, where somebody sees it without asking: in the log, the metrics and `systemctl status`."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from adapter.admin import Health, Report, Trouble
from adapter.daemon.systemd import ServiceManager
from adapter.observe import Metrics, get_logger

log = get_logger(__name__)

_EVERY: Final = 5.0
_SAID_BY_ITSELF: Final = frozenset({"ending", "sinks", "revocation", "configuration"})
"""Checks of which each trouble has a line in the log of its own."""


@dataclass(slots=True)
class HealthWatch:
    """Asks the checks again and again, and says what is other than before."""

    health: Health
    metrics: Metrics
    manager: ServiceManager
    _was_ready: bool = True
    _said_not_ready: bool = False
    _before: frozenset[tuple[str, str]] = frozenset()
    _said: frozenset[tuple[str, str]] = frozenset()
    _counted: set[tuple[str, str]] = field(default_factory=set)

    async def watch(self) -> None:
        """Look until cancelled."""
        self._count(await self.health.look())
        while True:
            await asyncio.sleep(_EVERY)
            await self.look()

    async def look(self) -> None:
        """Look once."""
        report = await self.health.look()
        self._count(report)
        self._log(report)
        self.manager.status(status_line(report))

    def _count(self, report: Report) -> None:
        self.metrics.ready.set(report.is_ready)
        troubles = Counter((check, "failed" if one.stops else "warning") for check, one in _each(report))
        for check, status in self._counted | troubles.keys():
            self.metrics.health_troubles.labels(check=check, status=status).set(troubles[check, status])
        self._counted |= troubles.keys()

    def _log(self, report: Report) -> None:
        """Say what two looks in a row found: what passes in a moment needs nobody."""
        now = {(check, one.about): one.text for check, one in _each(report) if check not in _SAID_BY_ITSELF}
        stands = now.keys() & self._before
        for check, about in sorted(stands - self._said):
            log.warning(now[check, about], action="health.trouble", check=check, about=about or None)
        for check, about in sorted(self._said - now.keys()):
            log.info("a trouble is over", action="health.trouble_over", check=check, about=about or None)
        self._said, self._before = (self._said & now.keys()) | stands, frozenset(now)
        if report.is_ready and self._said_not_ready:
            log.info("ready again", action="health.ready")
            self._said_not_ready = False
        elif not report.is_ready and not self._was_ready and not self._said_not_ready:
            log.error("not ready", action="health.not_ready", reasons=report.reasons())
            self._said_not_ready = True
        self._was_ready = report.is_ready


def _each(report: Report) -> list[tuple[str, Trouble]]:
    return [(check, one) for check, troubles in report.found.items() for one in troubles]


def status_line(report: Report) -> str:
    """How the daemon is, in one line."""
    if not report.is_ready:
        return f"not ready: {'; '.join(report.reasons())}"
    number = len(report.authorities)
    whole = f"ready, for {number} authorit{'y' if number == 1 else 'ies'}"
    if report.stopped:
        whole += f", but not for {', '.join(sorted(report.stopped))}"
    warnings = report.warnings()
    return f"{whole}; {len(warnings)} warnings: {warnings[0]}" if warnings else whole
