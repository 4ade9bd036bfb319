# SPDX-License-Identifier: EUPL-1.2

"""What a page asks of its query: texts, choices, authorities and periods; `places` has where a list goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

from adapter.admin.calls import bad_request
from adapter.admin.pages.page import Visit
from adapter.rendering import DUTCH_TIME

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Period:
    """A period of whole days in Dutch time; `until` itself is not in it."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list, with the addresses of the next one (older) and of the first."""

    rows: Sequence[T]
    older: str | None
    newest: str | None


def text_in(visit: Visit, name: str) -> str | None:
    """A text to look for, without spaces around it; None where it is left out. Raises Refused where it is too long."""
    text = (visit.call.query(name) or "").strip()
    if len(text) > _LONGEST:
        raise bad_request(f"{name} is too long")
    return text or None


def says(text: str | None, *places: str | None) -> bool:
    """Whether one of these places has a text in it, in any case; nothing is in all of them."""
    return text is None or any(text.casefold() in place.casefold() for place in places if place)


def choice_in(visit: Visit, name: str, kind: type[E]) -> E | None:
    """One of several, None for all. Raises Refused for what is none of them."""
    text = visit.call.query(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise bad_request(f"{name} is not one of {', '.join(kind)}") from None


def authorities_in(visit: Visit) -> frozenset[str]:
    """The authorities to show: the one that is chosen, else all of the user; one that is not there gives nothing."""
    chosen = visit.call.query("authority")
    return visit.scope if chosen is None else visit.scope & {chosen}


def period_in(visit: Visit) -> Period:
    """The days `since` and `until`, both in it. Raises Refused for what is no day."""
    since, until = _day(visit, "since"), _day(visit, "until")
    return Period(
        _midnight(since) if since is not None else None,
        _midnight(until + timedelta(days=1)) if until is not None else None,
    )


def _day(visit: Visit, name: str) -> date | None:
    text = visit.call.query(name)
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise bad_request(f"{name} is no day; write 2026-03-01") from None
    if not 1970 <= found.year <= 9000:
        raise bad_request(f"{name} is too far away")
    return found


def _midnight(day: date) -> datetime:
    """The beginning of a day."""
    start = datetime.combine(day, time(), DUTCH_TIME)
    return start if start.tzinfo is not None else start.astimezone()
