# SPDX-License-Identifier: EUPL-1.2

"""The wiring of notifications: the channels of the configuration, what watches, what tells, and what pings partners."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from adapter.authorities import Authorities
from adapter.config import Config
from adapter.daemon.expiry import Expiry
from adapter.msh import Pinger
from adapter.notify import Channel, Outage, Teller, Watch, composer_of
from adapter.observe import Metrics
from adapter.store import Database, JobKind
from adapter.work import Handler


@dataclass(frozen=True, slots=True)
class Notifying:
    """Everything of one daemon that has to do with telling people, and with seeing whether partners are there."""

    channels: Mapping[str, Channel]
    teller: Teller
    pinger: Pinger
    db: Database
    config: Callable[[], Config]
    authorities: Callable[[], Authorities]
    metrics: Metrics
    clock: Callable[[], datetime]

    @classmethod
    def over(
        cls,
        channels: Mapping[str, Channel],
        db: Database,
        config: Callable[[], Config],
        authorities: Callable[[], Authorities],
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> "Notifying":
        """Put it together over a store; `config` and `authorities` are those of the moment."""
        composers = {name: composer_of(config(), name) for name in channels}
        teller = Teller(db, channels, composers, metrics, clock)
        pinger = Pinger(db, authorities, lambda: config().authorities, metrics, clock)
        return cls(channels, teller, pinger, db, config, authorities, metrics, clock)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of its jobs."""
        return {JobKind.NOTIFY: self.teller, JobKind.PING: self.pinger}

    async def schedule(self) -> None:
        """See to it that its jobs are there, and no others. Raises StoreProblem."""
        await self.teller.schedule()
        await self.pinger.schedule()

    def watch(self, expiry: Expiry) -> Watch:
        """What sees what there is to tell."""
        composers = {name: composer_of(self.config(), name) for name in self.channels}
        outage = Outage(self.channels, composers, self.metrics, self.clock)
        return Watch(
            self.db,
            self.config,
            self.authorities,
            lambda: expiry.endings() if expiry.has_looked else None,
            outage,
            self.metrics,
            self.clock,
        )

    def close_with(self, closing: AsyncExitStack) -> None:
        """Let the channels be closed with everything else."""
        for channel in self.channels.values():
            closing.push_async_callback(channel.close)
