# SPDX-License-Identifier: EUPL-1.2

"""The two listeners of a daemon, for partners and for its users, and the certificates that they show."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from aiohttp import web

from adapter.config import Config, ConfigProblem, ProxyConfig, TlsConfig
from adapter.daemon.background import Background
from adapter.daemon.guests import GuestList
from adapter.daemon.listener import LARGEST_HEADER, Listener
from adapter.daemon.listener_keys import ListenerKeys
from adapter.daemon.trust import load_client_trust
from adapter.msh import LARGEST_CERTIFICATES, Endpoint, Identifier, Intake, Proxies, Receiver
from adapter.net import Networks
from adapter.observe import Metrics
from adapter.pki import KeyProblem, TrustStore
from adapter.store import Spool

_ADMIN_CONNECTIONS: Final = 128
"""Connections to the admin listener at a time: its users are few."""

_PROXIED_HEADER: Final = LARGEST_CERTIFICATES + 1024
"""Octets of a header where proxies hand over certificates: what is a little too long gets an answer that says so."""


@dataclass(slots=True)
class Listeners:
    """Opens them, closes them with the daemon, and follows what changes in their certificates.

    `look_at_files` is how often that is looked at, and `inherited` are sockets that a service manager keeps open.
    """

    config: Config
    metrics: Metrics
    background: Background
    closing: AsyncExitStack
    look_at_files: timedelta
    inherited: Sequence[socket.socket] = ()
    _renewals: list[asyncio.Event] = field(default_factory=list)
    _shown: list[ListenerKeys] = field(default_factory=list)

    def keys(self) -> Sequence[ListenerKeys]:
        """The certificates of the listeners that are open."""
        return tuple(self._shown)

    def renew(self) -> None:
        """Read the certificates again, soon."""
        for asked in self._renewals:
            asked.set()

    def for_partners(self) -> Listener:
        """The listener for partners, and for the proxies before it; it is not open yet."""
        ebms = self.config.ebms
        # a proxy is let in for those whom it speaks for, who are looked at when it says who they are
        allowed = Networks((*ebms.networks, *ebms.trusted_proxies) if ebms.networks else ())
        proxied = bool(ebms.trusted_proxies)
        return Listener(
            "ebms",
            ebms.listen,
            self.config.limits.connections,
            self.metrics,
            GuestList(allowed, self.metrics.refused_total.labels(reason="network")),
            strict=self.config.environment.guards_keys,
            largest_header=_PROXIED_HEADER if proxied else LARGEST_HEADER,
            inherited=self.inherited,
            # a proxy need not have a certificate; a partner without one gets 403 then, not a handshake that fails
            certificate_required=not proxied
            or (ebms.proxy is not None and ebms.proxy.certificate is not None),
        )

    async def open_to_partners(
        self,
        listener: Listener,
        receiver: Receiver,
        spool: Spool,
        trust: TrustStore,
        largest_message: Callable[[], int],
    ) -> int:
        """Receive messages from now on; the port on which. Raises ConfigProblem, and OSError where it is taken."""
        ebms = self.config.ebms
        self.closing.push_async_callback(listener.close)
        intake = Intake(spool, largest_message, ebms.read_timeout.total_seconds())
        proxies = Proxies(trust, receiver.clock, Networks(ebms.trusted_proxies), ebms.proxy or ProxyConfig())
        plain = ebms.tls is None and receiver.test and not ebms.trusted_proxies
        identifier = Identifier(proxies, plain, Networks(ebms.networks))
        endpoint = Endpoint(receiver, intake, ebms.path, identifier, receiver.pressure)
        return await self._open(listener, endpoint.application(), ebms.tls, trust)

    async def open_to_users(self, app: web.Application) -> int:
        """Serve those who operate this from now on; the port on which. Raises ConfigProblem, and OSError."""
        admin = self.config.admin
        listener = Listener(
            "admin",
            admin.listen,
            _ADMIN_CONNECTIONS,
            self.metrics,
            certificate_required=False,
            strict=self.config.environment.guards_keys,
        )
        self.closing.push_async_callback(listener.close)
        return await self._open(listener, app, admin.tls, load_client_trust(self.config))

    async def _open(
        self, listener: Listener, app: web.Application, tls: TlsConfig | None, trust: TrustStore | None
    ) -> int:
        try:
            port = await listener.open(app, tls, trust)
        except KeyProblem as problem:
            place, files = (listener.name, "tls"), tls or self.config
            raise ConfigProblem([self.config.problem_with(place, files, str(problem))]) from problem
        self._renew_keys(listener)
        return port

    def _renew_keys(self, listener: Listener) -> None:
        """Follow what changes in the certificates of a listener."""
        if listener.keys is None:
            return
        self._shown.append(listener.keys)
        asked = asyncio.Event()
        self._renewals.append(asked)
        self.background.start(listener.keys.watch(asked, self.look_at_files), f"keys-{listener.name}")
