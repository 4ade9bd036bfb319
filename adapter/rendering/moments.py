# SPDX-License-Identifier: EUPL-1.2

"""Moments as people in the Netherlands read them."""

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAME: Final = "Europe/Amsterdam"


def _zone() -> tzinfo | None:
    try:
        return ZoneInfo(_NAME)
    except ZoneInfoNotFoundError:
        return None


DUTCH_TIME: Final = _zone()
"""The zone of Dutch time; None, which means that of the machine, where this has no time zones."""


def local(moment: datetime) -> str:
    """A moment in Dutch time, with the name of the zone."""
    return f"{moment.astimezone(DUTCH_TIME):%d-%m-%Y %H:%M:%S %Z}"


def utc(moment: datetime) -> str:
    """A moment in UTC, as ISO 8601 writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
