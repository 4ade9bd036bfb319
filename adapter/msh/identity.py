# SPDX-License-Identifier: EUPL-1.2

"""Who sends a request, before anything of it is believed: by the handshake, or by what a trusted proxy hands over."""

from dataclasses import dataclass, field

from aiohttp import web

from adapter.ebms import Forbidden
from adapter.msh.peer import Peer
from adapter.msh.proxy import Proxies
from adapter.net import Networks
from adapter.pki import oin_of, peer_certificate, peer_chain


@dataclass(frozen=True, slots=True)
class Identifier:
    """Tells who sends a request.

    `plain` says that this listener has no TLS and peers need no certificate; `networks`, where it has any, are all
    that messages may come from.
    """

    proxies: Proxies
    plain: bool = False
    networks: Networks = field(default_factory=Networks)

    def identify(self, request: web.BaseRequest) -> Peer:
        """Who sends this request; one that must be refused whatever it asks for has the reason in `refused`."""
        address = self.proxies.source(request)
        proxy = request.remote if self.proxies.cover(request) else None
        if self.networks and address not in self.networks:
            refused = Forbidden("network", f"{address} is in none of ebms.networks")
            return Peer(address, proxy=proxy, refused=refused)
        transport = request.transport
        ssl_object = transport.get_extra_info("ssl_object") if transport is not None else None
        shown = peer_certificate(ssl_object)
        if proxy is not None:
            try:
                chain = self.proxies.peer_chain(request, shown)
            except Forbidden as refused:
                return Peer(address, proxy=proxy, refused=refused)
            return Peer(address, chain[0], oin_of(chain[0]), chain=chain, proxy=proxy)
        if self.plain:
            return Peer(address, anonymous=True)
        if ssl_object is None:
            unproven = "plain HTTP, from an address that is not in ebms.trusted_proxies"
            return Peer(address, refused=Forbidden("not_a_proxy", unproven))
        oin = oin_of(shown) if shown is not None else None
        return Peer(address, shown, oin, chain=peer_chain(ssl_object) if shown is not None else ())
