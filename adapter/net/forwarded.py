# SPDX-License-Identifier: EUPL-1.2

"""Where a request comes from: networks of addresses, and what a trusted proxy says of the address before it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp import web

UNKNOWN: Final = "unknown"
"""The address of who cannot be told: it is in no network."""

X_FORWARDED_FOR: Final = "X-Forwarded-For"
FORWARDED: Final = "Forwarded"


class Networks:
    """Networks and addresses, of which an address may be part."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        parsed = _parsed(str(address))
        return parsed is not None and any(parsed in network for network in self._networks)


def address_of(request: web.BaseRequest, proxies: Networks, header: str = X_FORWARDED_FOR) -> str:
    """Where a request comes from: the last address of the header that is not a trusted proxy's, where a trusted
    proxy sends it; else the peer of the connection.

    Args:
        request: the request.
        proxies: the trusted proxies.
        header: the header that they write, `X_FORWARDED_FOR` or `FORWARDED` (RFC 7239). The other one is not read:
            a proxy that does not write it lets through what anybody wrote there.

    Returns:
        An IP address; `UNKNOWN` where a trusted proxy says something else.

    """
    address = request.remote or UNKNOWN
    for hop in reversed(_hops(request, header)):
        if address not in proxies:
            break
        parsed = _parsed(_without_port(hop))
        address = str(parsed) if parsed is not None else UNKNOWN
    return address


def _hops(request: web.BaseRequest, header: str) -> list[str]:
    if header == FORWARDED:
        return [element.get("for", UNKNOWN) for element in request.forwarded]
    values = ",".join(request.headers.getall(header, ()))
    return [hop.strip() for hop in values.split(",") if hop.strip()]


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # an IPv4 address that is written as one of IPv6 is what it is
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
