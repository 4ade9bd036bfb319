# SPDX-License-Identifier: EUPL-1.2

"""How far a download is, for those who watch: counters and, for what takes long, a line in the log now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from prometheus_client import Gauge

from adapter.observe import Metrics, get_logger

log = get_logger(__name__)

EVERY: Final = timedelta(seconds=15)


class Progress:
    """Watches one download of an authority, while the `with` block lasts; `path` names the file for people."""

    def __init__(self, metrics: Metrics, authority: str, path: str, every: timedelta = EVERY) -> None:
        self._running: Final = metrics.downloads_running.labels(authority=authority)
        self._octets: Final = metrics.download_bytes_total.labels(authority=authority)
        self._continued: Final = metrics.downloads_continued_total.labels(authority=authority)
        self._path: Final = path
        self._every: Final = every.total_seconds()
        self._said_at = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._running.inc()
        self._said_at = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, however it ended."""
        self._running.dec()

    def received(self, octets: int, so_far: int, total: int | None) -> None:
        """Some octets came; now there are so many, of the total where that is known."""
        self._octets.inc(octets)
        now = time.monotonic()
        if now - self._said_at >= self._every:
            self._said_at = now
            log.info(
                "a file is being fetched",
                action="verzoek.file_progress",
                path=self._path,
                received=so_far,
                total=total,
            )

    def continued(self, so_far: int, total: int | None, reason: str) -> None:
        """The connection broke, and the download goes on where it was."""
        self._continued.inc()
        log.info(
            "a download broke off and is continued",
            action="verzoek.file_continued",
            path=self._path,
            received=so_far,
            total=total,
            reason=reason,
        )


@contextmanager
def counted_down(gauge: Gauge, number: int) -> Iterator[Callable[[], None]]:
    """Show in a gauge how many are left, while the block lasts; what it gives is to be called for each that is done."""
    left = number

    def one_less() -> None:
        nonlocal left
        left -= 1
        gauge.dec()

    gauge.inc(number)
    try:
        yield one_less
    finally:
        gauge.dec(left)
