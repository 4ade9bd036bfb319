# SPDX-License-Identifier: EUPL-1.2

"""The networks that connections may come from: others are closed as they are accepted, before TLS."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from adapter.net import Networks
from adapter.observe import get_logger

log = get_logger(__name__)

QUIET: Final = 60.0
"""Seconds in which one address is in the log once: a flood must not fill the log too."""

_MAX_ADDRESSES: Final = 1000


class GuestList:
    """Says who may connect, and counts and logs who may not; used from the event loop only.

    Args:
        networks: who may connect; everybody, where there are none.
        refused: counts those who may not.
        monotonic: the seconds of a clock that never goes back.

    """

    def __init__(
        self, networks: Networks, refused: Counter, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._networks = networks
        self._refused = refused
        self._monotonic = monotonic
        self._logged: OrderedDict[str, float] = OrderedDict()

    def has(self, address: str) -> bool:
        """Whether an address may connect."""
        if not self._networks or address in self._networks:
            return True
        self._refused.inc()
        now = self._monotonic()
        if now - self._logged.get(address, -QUIET) >= QUIET:
            self._logged[address] = now
            self._logged.move_to_end(address)
            while len(self._logged) > _MAX_ADDRESSES:
                self._logged.popitem(last=False)
            log.warning(
                "a connection was closed: its address is in none of ebms.networks",
                action="connection.refused",
                reason="network",
                address=address,
            )
        return False
