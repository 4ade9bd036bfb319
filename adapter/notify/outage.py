# SPDX-License-Identifier: EUPL-1.2

"""A store that cannot be used: told directly, since nothing can be kept of it. Each daemon tells so for itself."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from adapter.config import NotificationEvent
from adapter.notify.channel import Channel, ChannelProblem
from adapter.notify.composing import Composer
from adapter.observe import Metrics, get_logger
from adapter.store import StoredAlert, Turn, Untold

log = get_logger(__name__)

AFTER: Final = timedelta(minutes=2)
"""How long a store may be away before people are told: a server that starts again is none of their business."""


@dataclass(slots=True)
class Outage:
    """Follows one store. `host` is where this daemon runs."""

    channels: Mapping[str, Channel]
    composers: Mapping[str, Composer]
    metrics: Metrics
    clock: Callable[[], datetime]
    host: str = field(default_factory=socket.gethostname)
    _since: datetime | None = None
    _told: frozenset[str] = frozenset()

    async def note(self, reason: str) -> None:
        """The store cannot be used now; tell those who were not told yet, when that lasts."""
        if self._since is None:
            self._since = self.clock()
            log.warning(
                "what people are to be told cannot be seen now",
                action="notification.store_away",
                reason=reason,
            )
        if self.clock() - self._since >= AFTER:
            await self._tell(Turn.NEW, self._wanted() - self._told)

    async def over(self) -> None:
        """The store can be used; tell those who were told that it could not."""
        if self._since is None:
            return
        log.info("what people are to be told is seen again", action="notification.store_back")
        told = frozenset(
            name for name in self._told if NotificationEvent.RECOVERED in self.channels[name].options.events
        )
        await self._tell(Turn.OVER, told)
        self._since, self._told = None, frozenset()

    def _wanted(self) -> frozenset[str]:
        return frozenset(
            name
            for name, channel in self.channels.items()
            if NotificationEvent.DATABASE in channel.options.events
        )

    async def _tell(self, turn: Turn, names: frozenset[str]) -> None:
        since, now = self._since or self.clock(), self.clock()
        ended = now if turn is Turn.OVER else None
        event = NotificationEvent.DATABASE
        alert = StoredAlert(0, f"{event}|{self.host}", event, "", self.host, 0, {}, since, ended)
        for name in sorted(names):
            try:
                await self.channels[name].send(self.composers[name].compose([Untold(alert, turn, None)], now))
            except ChannelProblem as problem:
                self.metrics.notifications_total.labels(channel=name, outcome="failed").inc()
                log.warning(
                    "people could not be told",
                    action="notification.failed",
                    channel=name,
                    reason=str(problem),
                )
                continue
            self.metrics.notifications_total.labels(channel=name, outcome="sent").inc()
            log.info("people were told", action="notification.sent", channel=name, told=1)
            self._told |= {name}
