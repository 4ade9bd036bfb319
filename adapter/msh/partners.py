"""Connections to partners: one HTTP client per agreement and address, with the keys of its authority.

A client checks that the server's certificate carries the OIN of the partner, or of who acts for it, before it sends
anything (TLS-08). Clients are kept, so that a busy partner costs one handshake, and closed with the daemon.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509

from adapter.authorities import Authorities, KnownAgreement
from adapter.config import OutgoingConfig
from adapter.net import HttpClient
from adapter.pki import TrustStore
from adapter.store import Database, list_endpoint_overrides

_Wanted = tuple[x509.Certificate, frozenset[str], str, bool]


@dataclass(slots=True)
class Partners:
    """The HTTP clients for sending to partners.

    `test` allows what only a test set-up may have: plain HTTP, and servers without OIN, at loopback addresses.
    """

    db: Database
    authorities: Callable[[], Authorities]
    trust: TrustStore
    outgoing: OutgoingConfig
    test: bool
    _clients: dict[_Wanted, HttpClient] = field(default_factory=dict)

    async def address(self, known: KnownAgreement, endpoint: str) -> str:
        """Where an endpoint of an agreement really is: an operator may send it elsewhere (CPA-17)."""
        overrides = await self.db.read(list_endpoint_overrides, [known.authority])
        return next((one.destination for one in overrides if one.source == endpoint), endpoint)

    def client(self, known: KnownAgreement, endpoint: str) -> HttpClient:
        """The client for an endpoint of the partner of an agreement."""
        host = urlsplit(endpoint).hostname or ""
        keys = self.authorities().by_name[known.authority].keys
        lenient = self.test and known.is_loopback
        # all that a client depends on: a changed agreement gets another one only where that makes a difference
        wanted = (keys.certificate, known.connecting_oins, host, lenient)
        if wanted not in self._clients:
            self._clients[wanted] = HttpClient(
                key_pair=keys,
                trust=self.trust,
                expected_oins=None if lenient else known.connecting_oins,
                allowed_hosts=frozenset({host}),
                allow_plain=lenient,
                proxy=self.outgoing.proxy_for(host),
            )
        return self._clients[wanted]

    async def close(self) -> None:
        """Close every client."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()
