"""Connections to partners: one HTTP client per agreement and address, with the keys of its authority.

A client checks that the server's certificate carries the OIN of the partner, or of who acts for it, before it sends
anything (TLS-08). Clients are kept, so that a busy partner costs one handshake, and closed with the daemon.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from adapter.authorities import Authorities, KnownAgreement
from adapter.net import HttpClient
from adapter.pki import TrustStore


@dataclass(slots=True)
class Partners:
    """The HTTP clients for sending to partners.

    `test` allows what only a test set-up may have: plain HTTP, and servers without OIN, at loopback addresses.
    """

    authorities: Callable[[], Authorities]
    trust: TrustStore
    test: bool
    _clients: dict[tuple[str, str, str], HttpClient] = field(default_factory=dict)

    def client(self, known: KnownAgreement, endpoint: str) -> HttpClient:
        """The client for an endpoint of the partner of an agreement."""
        host = urlsplit(endpoint).hostname or ""
        # the version is part of the key: what an agreement allows may differ after a change
        key = (known.cpa_id, host, self.authorities().version)
        if key not in self._clients:
            self._clients[key] = self._make(known, host)
        return self._clients[key]

    def _make(self, known: KnownAgreement, host: str) -> HttpClient:
        lenient = self.test and known.is_loopback
        return HttpClient(
            key_pair=self.authorities().by_name[known.authority].keys,
            trust=self.trust,
            expected_oins=None if lenient else known.connecting_oins,
            allowed_hosts=frozenset({host}),
            allow_plain=lenient,
        )

    async def close(self) -> None:
        """Close every client."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()
