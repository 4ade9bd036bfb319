# SPDX-License-Identifier: EUPL-1.2

"""Connections to partners: one HTTP client per agreement and address, with the keys of its authority.

A client checks that the server's certificate carries the OIN of the partner, or of who acts for it, before it sends
anything (TLS-08). Clients are kept, so that a busy partner costs one handshake, and closed with the daemon.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.authorities import Authorities, KnownAgreement
from adapter.config import OutgoingConfig
from adapter.net import HttpClient, Witnesses
from adapter.pki import KeyPair, Revocation, TrustStore
from adapter.store import Overrides
from cpa import Exchange

_Wanted = tuple[x509.Certificate, frozenset[str], str, bool]


class MissingKey(Exception):
    """An operator asked for a certificate whose key we do not have."""


@dataclass(slots=True)
class Partners:
    """The HTTP clients for sending to partners.

    `test` allows what only a test set-up may have: plain HTTP, and servers without OIN, at loopback addresses;
    `spare_keys` gives the further key pairs of an authority.
    """

    authorities: Callable[[], Authorities]
    trust: TrustStore
    outgoing: OutgoingConfig
    test: bool
    spare_keys: Callable[[str], tuple[KeyPair, ...]] = lambda _: ()
    revocation: Revocation = field(default_factory=Revocation.off)
    witnesses: Witnesses | None = None
    _clients: dict[_Wanted, HttpClient] = field(default_factory=dict)

    def address(self, endpoint: str, overrides: Overrides) -> str:
        """Where an endpoint of an agreement really is: an operator may send it elsewhere (CPA-17)."""
        return next((one.destination for one in overrides.endpoints if one.source == endpoint), endpoint)

    def keys_for(self, known: KnownAgreement, exchange: Exchange, overrides: Overrides) -> KeyPair:
        """The key pair to connect with: the authority's, or the one that an operator put in its place (CPA-17).

        Raises MissingKey where the certificate of an override is none of ours: nothing is sent with another.
        """
        authority = self.authorities().by_name[known.authority]
        named = exchange.client_certificate
        if named is None or named.der is None:
            return authority.keys
        fitting = [
            o for o in overrides.certificates if o.source == named.der and o.cpa_id in {None, known.cpa_id}
        ]
        if not fitting:
            return authority.keys
        # one for the agreement itself goes before one for all
        wanted = max(fitting, key=lambda override: override.cpa_id is not None).destination
        for pair in (authority.keys, *self.spare_keys(known.authority)):
            if pair.certificate.public_bytes(Encoding.DER) == wanted:
                return pair
        raise MissingKey(
            f"the client certificate of {known.cpa_id} is overridden by one whose key is not configured; "
            f"add it to [[authorities.{known.authority}.spare_keys]], or remove the override"
        )

    def client(self, known: KnownAgreement, endpoint: str, keys: KeyPair) -> HttpClient:
        """The client for an endpoint of the partner of an agreement, with these keys."""
        host = urlsplit(endpoint).hostname or ""
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
                revocation=self.revocation,
                witnesses=self.witnesses,
            )
        return self._clients[wanted]

    async def close_unused(self, retired: Iterable[KeyPair]) -> None:
        """Close the clients of these key pairs, of those that are no authority's any more."""
        used = {
            pair.certificate
            for name, authority in self.authorities().by_name.items()
            for pair in (authority.keys, *self.spare_keys(name))
        }
        gone = {pair.certificate for pair in retired} - used
        for wanted in [one for one in self._clients if one[0] in gone]:
            await self._clients.pop(wanted).close()

    async def close(self) -> None:
        """Close every client."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()
