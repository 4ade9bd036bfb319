# SPDX-License-Identifier: EUPL-1.2

"""Failed logins: how many came from an address, or with a name, lately, and until when it has to wait."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp import hdrs, web

MAX_FAILURES: Final = 10
"""So many failed logins in one `WINDOW`, and an address has to wait for the window to end."""

MAX_FAILURES_OF_NAME: Final = 100
"""So many with the name of one user, from all addresses together."""

WINDOW: Final = timedelta(minutes=1)

_MAX_KEYS: Final = 10_000


@dataclass(slots=True)
class Failures:
    """Counts failures per key in windows; memory does not grow with the number of attackers."""

    most: int
    window: timedelta = WINDOW
    _counts: OrderedDict[str, tuple[datetime, int]] = field(default_factory=OrderedDict)

    def wait(self, key: str, now: datetime) -> timedelta | None:
        """How long this key has to wait before it may try again; None when it may now."""
        started, count = self._counts.get(key, (now, 0))
        left = started + self.window - now
        return left if count >= self.most and left > timedelta() else None

    def note(self, key: str, now: datetime) -> None:
        """Remember a failure."""
        started, count = self._counts.pop(key, (now, 0))
        if now - started >= self.window:
            started, count = now, 0
        self._counts[key] = (started, count + 1)
        while len(self._counts) > _MAX_KEYS:
            self._counts.popitem(last=False)

    def forget(self, key: str) -> None:
        """It succeeded: earlier failures were slips."""
        self._counts.pop(key, None)


@dataclass(slots=True)
class FailedLogins:
    """Failed logins per address (of IPv6, per /64, which is what one subscriber has) and per name of a user.

    Who guesses from many addresses is stopped by the name. An address from which the user logged in before is not: else
    guessing would be a way to lock somebody out.
    """

    addresses: Failures = field(default_factory=lambda: Failures(MAX_FAILURES))
    names: Failures = field(default_factory=lambda: Failures(MAX_FAILURES_OF_NAME))
    _at_home: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def wait(self, address: str, name: str | None, now: datetime) -> timedelta | None:
        """How long a login of this name has to wait; None when it may be tried now."""
        key = _key(address)
        if (wait := self.addresses.wait(key, now)) is not None:
            return wait
        if name is None or (name, key) in self._at_home:
            return None
        return self.names.wait(name, now)

    def note(self, address: str, name: str | None, now: datetime) -> None:
        """Remember a failed login; `name` only where there is such a user."""
        self.addresses.note(_key(address), now)
        if name is not None:
            self.names.note(name, now)

    def succeeded(self, address: str, name: str) -> None:
        """Remember a login: earlier failures from this address were slips."""
        key = _key(address)
        self.addresses.forget(key)
        self._at_home.pop((name, key), None)
        self._at_home[name, key] = None
        while len(self._at_home) > _MAX_KEYS:
            self._at_home.popitem(last=False)


def is_cross_site(request: web.BaseRequest) -> bool:
    """Whether a browser says that another site made it send this request, with what it remembers of a login."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"none", "same-origin"}
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and origin.partition("://")[2] != request.headers.get(hdrs.HOST)


def is_cross_site_action(request: web.BaseRequest) -> bool:
    """Whether another site made a browser send this request for more than to go to a page, as by a link in a mail.

    Going to a page changes nothing, and the other site sees nothing of it: it cannot be framed.
    """
    follows_link = (
        request.method in {hdrs.METH_GET, hdrs.METH_HEAD}
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    return is_cross_site(request) and not follows_link


def _key(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
