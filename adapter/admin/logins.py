"""Failed logins: how many came from an address lately, and until when it has to wait."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp import hdrs, web

MAX_FAILURES: Final = 10
"""So many failed logins in one `WINDOW`, and an address has to wait for the window to end."""

WINDOW: Final = timedelta(minutes=1)

_MAX_ADDRESSES: Final = 10_000


@dataclass(slots=True)
class FailedLogins:
    """Counts failed logins per address; of an IPv6 address, per /64, which is what one subscriber has."""

    max_failures: int = MAX_FAILURES
    window: timedelta = WINDOW
    _failures: OrderedDict[str, tuple[datetime, int]] = field(default_factory=OrderedDict)

    def wait(self, address: str, now: datetime) -> timedelta | None:
        """How long this address has to wait before it may try again; None when it may now."""
        started, count = self._failures.get(_key(address), (now, 0))
        left = started + self.window - now
        return left if count >= self.max_failures and left > timedelta() else None

    def note(self, address: str, now: datetime) -> None:
        """Remember a failed login."""
        key = _key(address)
        started, count = self._failures.pop(key, (now, 0))
        if now - started >= self.window:
            started, count = now, 0
        self._failures[key] = (started, count + 1)
        while len(self._failures) > _MAX_ADDRESSES:  # memory does not grow with the number of attackers
            self._failures.popitem(last=False)

    def forget(self, address: str) -> None:
        """A login succeeded: earlier failures were slips."""
        self._failures.pop(_key(address), None)


def is_cross_site(request: web.BaseRequest) -> bool:
    """Whether a browser says that another site made it send this request, with what it remembers of a login."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"none", "same-origin"}
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and origin.partition("://")[2] != request.headers.get(hdrs.HOST)


def _key(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
