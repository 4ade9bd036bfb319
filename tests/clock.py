# SPDX-License-Identifier: EUPL-1.2

"""A clock that a test can shift."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(slots=True)
class Clock:
    """The present, shifted by what a test wants."""

    shift: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift
