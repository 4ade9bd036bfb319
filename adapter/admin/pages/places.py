# SPDX-License-Identifier: EUPL-1.2

"""Where a list goes on that is read by moment, and how far back it goes."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from adapter.admin.calls import bad_request
from adapter.admin.pages.filters import Listing, Period, period_in
from adapter.admin.pages.page import Visit
from adapter.store import MAX_PAGE, Page, Place

T = TypeVar("T")

USUAL: Final = timedelta(days=31)
"""How far back a list goes where nobody says."""

LONGEST: Final = timedelta(days=366)
"""The longest period of a list: what it costs grows with it."""

_PLACE: Final = re.compile(r"([0-9]{1,17})-([0-9]{1,18})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def place_in(visit: Visit) -> Place | None:
    """The place behind which a list goes on; None for its beginning. Raises Refused for what is none."""
    text = visit.call.query("before")
    if text is None:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        raise bad_request("before is no place in a list")
    return Place(_EPOCH + int(match[1]) * _MICROSECOND, int(match[2]))


def bounded_period(visit: Visit) -> tuple[datetime, datetime]:
    """The days `since` and `until`; where they are left out, the last month. Raises Refused where it is too long."""
    period = period_in(visit)
    since, until = _bounds(period, visit.now)
    if until - since > LONGEST + timedelta(days=1):
        raise bad_request(f"a period of at most {LONGEST.days} days, please")
    return since, until


def placed(visit: Visit, page: Page[T]) -> Listing[T]:
    """A page of a list with the addresses of the next one and of the first."""
    older = visit.here(before=_said(page.next)) if page.next is not None else None
    newest = visit.here(before=None) if visit.call.query("before") is not None else None
    return Listing(page.rows, older, newest)


async def portions(
    read: Callable[[Place | None, int], Awaitable[Page[T]]],
) -> AsyncGenerator[Sequence[T], None]:
    """All rows of a list, a page at a time, each a reading of its own."""
    after: Place | None = None
    while True:
        page = await read(after, MAX_PAGE)
        yield page.rows
        if page.next is None:
            return
        after = page.next


def asked_in(visit: Visit) -> dict[str, str]:
    """What a list was asked for, wherever it begins and in whatever language."""
    query = visit.call.request.query
    return {name: value for name, value in query.items() if value and name not in {"before", "lang"}}


def _bounds(period: Period, now: datetime) -> tuple[datetime, datetime]:
    until = period.until or now + timedelta(days=1)
    return period.since or min(until, now) - USUAL, until


def _said(place: Place) -> str:
    return f"{(place.at - _EPOCH) // _MICROSECOND}-{place.id}"
