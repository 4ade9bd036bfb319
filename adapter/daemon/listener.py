# SPDX-License-Identifier: EUPL-1.2

"""A listener: its door, its TLS, the application behind it, and an end that lets requests finish."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from aiohttp import web

from adapter.config import Listen, TlsConfig
from adapter.daemon.door import BACKLOG, Door, Doorkeeper, open_doors
from adapter.daemon.draining import CUT, Drain
from adapter.daemon.guests import GuestList
from adapter.daemon.listener_keys import ListenerKeys
from adapter.daemon.protocol import Runner
from adapter.observe import Metrics, get_logger
from adapter.pki import TrustStore

log = get_logger(__name__)

REQUEST_GRACE: Final = timedelta(seconds=10)
"""How long requests in progress may take when the listener closes."""

IDLE: Final = 75.0
"""Seconds that a connection may take to bring the head of its next request (TRN-22)."""


LARGEST_HEADER: Final = 8190
"""Octets of a header field, where nobody needs longer ones."""


@dataclass(slots=True)
class Listener:
    """One listener, by its name in the metrics; so many connections at a time.

    `guests` is who may connect. `largest_header` is in octets. `certificate_required`
    False lets clients without a certificate in, where certificates are asked for.
    `strict` refuses key files that others than their owner may read; `inherited` are sockets that somebody else keeps
    open, to listen on in the place of `listen`; `keys` is what is shown, once it is open with
    TLS.
    """

    name: str
    listen: Listen
    connections: int
    metrics: Metrics
    guests: GuestList | None = None
    largest_header: int = LARGEST_HEADER
    certificate_required: bool = True
    strict: bool = True
    inherited: Sequence[socket.socket] = ()
    keys: ListenerKeys | None = None
    _runner: web.AppRunner | None = None
    _drain: Drain | None = None
    _sites: list[web.SockSite] = field(default_factory=list)
    _open: bool = False

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._open

    async def open(self, app: web.Application, tls: TlsConfig | None, trust: TrustStore | None) -> int:
        """Listen, and return the port; with `trust` a client must show a certificate of it.

        Raises KeyProblem where certificate or key cannot be used, OSError where the address is taken.
        """
        context = None
        if tls is not None:
            self.keys = ListenerKeys.load(
                self.name, tls, trust, self.metrics, strict=self.strict, required=self.certificate_required
            )
            context = self.keys.served.context
        self._drain = Drain(app)
        self._runner = Runner(
            app,
            self.name,
            self.metrics,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=CUT.total_seconds(),
            keepalive_timeout=IDLE,
            auto_decompress=False,  # a small body must not become a large one before anybody counts it
            max_field_size=self.largest_header,
        )
        await self._runner.setup()
        for door in await self._doors():
            site = web.SockSite(self._runner, door, ssl_context=context, backlog=self._backlog)
            await site.start()
            self._sites.append(site)
        self._open = True
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Take no connection any more, and let requests end; nothing happens where it was not opened."""
        self._open = False
        if self._runner is not None and self._drain is not None:
            await self._drain.close(self._sites, self._runner, REQUEST_GRACE)

    async def _doors(self) -> list[Door]:
        keeper = self._keeper()
        if not self.inherited:
            return await open_doors(self.listen, keeper, self.guests)
        doors = [Door(one, keeper, self.guests) for one in self.inherited]
        log.info(
            "listens on sockets of the service manager; the option `listen` does not count",
            action="listener.inherited",
            listener=self.name,
            addresses=[str(door.getsockname()[:2]) for door in doors],
        )
        return doors

    @property
    def _backlog(self) -> int:
        # sockets that stay open take connections while no daemon runs: a whole restart of them
        return socket.SOMAXCONN if self.inherited else BACKLOG

    def _keeper(self) -> Doorkeeper:
        turned_away = self.metrics.connections_turned_away_total.labels(listener=self.name)
        return Doorkeeper(self.connections, self.metrics.connections.labels(listener=self.name), turned_away)
