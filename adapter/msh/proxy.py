# SPDX-License-Identifier: EUPL-1.2

"""The proxies that end TLS before the endpoint: which requests come from them, and whose certificate they hand over.

A proxy tells what certificate a peer showed; whether it holds is found out again here, as a handshake would.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from adapter.config import ProxyConfig
from adapter.ebms import Forbidden
from adapter.net import Networks, address_of
from adapter.pki import Chain, NotTrusted, TrustStore, certificates_in, oin_of

LARGEST_CERTIFICATES: Final = 64 * 1024
"""Octets of a header with certificates; a chain of four with RSA keys of 4096 bits takes a sixth of it."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The trusted proxies: none, unless told."""

    trust: TrustStore
    clock: Callable[[], datetime]
    networks: Networks = field(default_factory=Networks)
    config: ProxyConfig = field(default_factory=ProxyConfig)

    def cover(self, request: web.BaseRequest) -> bool:
        """Whether the connection of a request is from one of them."""
        return request.remote in self.networks

    def source(self, request: web.BaseRequest) -> str:
        """The address that a request comes from, before these proxies."""
        return address_of(request, self.networks, self.config.address_header)

    def peer_chain(self, request: web.BaseRequest, shown: x509.Certificate | None) -> Chain:
        """Return the certificate that the peer showed to the proxy, with its chain up to a root.

        Args:
            request: the request, from one of these proxies.
            shown: the certificate that the proxy itself showed, if any.

        Raises:
            Forbidden: the proxy is not who it should be, or hands over no certificate, more than one, or one that
                does not hold now.

        """
        self._check_proxy(shown)
        form = self.config.form
        certificate, *sent = self._read(request, self.config.certificate_header)
        if sent and not form.has_chain:
            raise Forbidden("proxy_header", f"{self.config.certificate_header} has several certificates")
        chain_header = self.config.chain_header
        # a peer need not send its authorities along, and then some proxies write it all the same
        if chain_header is not None and any(request.headers.getall(chain_header, [])):
            sent += self._read(request, chain_header)
        try:
            return self.trust.verify(certificate, sent, self.clock())
        except NotTrusted as problem:
            raise Forbidden("peer_not_trusted", f"the proxy hands over: {problem}") from problem

    def _check_proxy(self, shown: x509.Certificate | None) -> None:
        wanted = self.config.certificate
        if wanted is None:
            return
        if shown is None or wanted not in {oin_of(shown), shown.fingerprint(SHA256()).hex()}:
            raise Forbidden(
                "proxy_unknown", "the proxy does not show the certificate of ebms.proxy.certificate"
            )

    def _read(self, request: web.BaseRequest, name: str) -> tuple[x509.Certificate, ...]:
        """The certificates in a header of the proxy. Raises Forbidden."""
        for other in request.headers:
            # some software takes both for the same header, and a proxy replaces only the one it knows
            if other.replace("_", "-").lower() == name.lower() and other.lower() != name.lower():
                raise Forbidden("proxy_header", f"there is a header {other[:100]!r} that looks like {name}")
        values = request.headers.getall(name, [])
        if len(values) != 1 or not values[0]:
            raise Forbidden("proxy_header", f"{name} is there {len(values)} times, or empty; one is needed")
        if len(values[0]) > LARGEST_CERTIFICATES:
            raise Forbidden("proxy_header", f"{name} is longer than {LARGEST_CERTIFICATES} octets")
        try:
            return certificates_in(values[0], self.config.form)
        except ValueError as problem:
            raise Forbidden(
                "proxy_header", f"{name} is not of form {self.config.form}: {problem}"
            ) from problem
