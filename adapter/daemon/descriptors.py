# SPDX-License-Identifier: EUPL-1.2

"""What nobody awaits: failures that the event loop tells of, and connections for which no file descriptor is left."""

import asyncio
import errno
import time
from typing import Any, Final

from adapter.observe import get_logger

log = get_logger(__name__)

_QUIET: Final = 60.0
"""Seconds in which it is said once that there are no descriptors; the loop meets that every second, per listener."""

_NONE_LEFT: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class LoopFailures:
    """An exception handler for an event loop."""

    def __init__(self) -> None:
        self._said: float | None = None

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say once a minute that no connection can be taken, and leave everything else to the loop."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NONE_LEFT and "accept" in context["message"]):
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if self._said is None or now - self._said >= _QUIET:
            self._said = now
            log.error(
                "connections wait, as the system gives no more: raise the limit of open files (LimitNOFILE of the "
                "unit), or see who holds so many connections",
                action="daemon.no_descriptors",
                reason=error.strerror,
            )
