# SPDX-License-Identifier: EUPL-1.2

"""Moments and durations as XML Schema writes them (xs:dateTime, xs:duration)."""

import re
from datetime import UTC, datetime, timedelta, timezone

_DATE_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"T(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,30}))?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<zone_hour>\d\d):(?P<zone_minute>\d\d))?",
    re.ASCII,
)
_DURATION = re.compile(
    r"(?P<sign>-)?P(?=[\dT])(?:(?P<years>\d{1,9})Y)?(?:(?P<months>\d{1,9})M)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,12})(?:\.(?P<fraction>\d{1,30}))?S)?)?",
    re.ASCII,
)
_DAYS_PER_YEAR = 365
_DAYS_PER_MONTH = 30
_MAX_ZONE = timedelta(hours=14)


def parse_datetime(text: str) -> datetime:
    """Read an xs:dateTime as an aware moment in UTC (HDR-21).

    Without a zone it is UTC. `24:00:00` is the start of the next day. Digits of a second beyond the sixth
    are dropped. Raises ValueError, also for years before 0001 and after 9999.
    """
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an xs:dateTime such as 2026-02-01T00:00:00Z")
    day_end = match["hour"] == "24"
    if day_end and (int(match["minute"]) or int(match["second"]) or int(match["fraction"] or "0")):
        raise ValueError(f"{text!r}: hour 24 is only allowed as 24:00:00")
    try:
        moment = datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            0 if day_end else int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            _microseconds(match["fraction"]),
            tzinfo=_zone(match),
        )
        return (moment + timedelta(days=1 if day_end else 0)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a moment in time: {error}") from error


def parse_duration(text: str) -> timedelta:
    """Read an xs:duration.

    A year counts as 365 days and a month as 30 days: a duration without a starting moment has no exact
    length in days, and CPAs give days, hours, minutes and seconds in practice. Digits of a second beyond
    the sixth are dropped. Raises ValueError.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an xs:duration such as P2D or PT3H")
    number = {
        name: int(match[name] or "0") for name in ("years", "months", "days", "hours", "minutes", "seconds")
    }
    try:
        length = timedelta(
            days=number["years"] * _DAYS_PER_YEAR + number["months"] * _DAYS_PER_MONTH + number["days"],
            hours=number["hours"],
            minutes=number["minutes"],
            seconds=number["seconds"],
            microseconds=_microseconds(match["fraction"]),
        )
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error
    return -length if match["sign"] else length


def format_datetime(moment: datetime) -> str:
    """Write an aware moment as xs:dateTime in UTC, with `Z`; 0, 3 or 6 digits of a second."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    moment = moment.astimezone(UTC)
    precision = "seconds" if not moment.microsecond else "milliseconds"
    if moment.microsecond % 1000:
        precision = "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def format_duration(length: timedelta) -> str:
    """Write a duration as xs:duration in days, hours, minutes and seconds (`P2D`, `PT3H`, `P1DT0.5S`)."""
    sign, length = ("-", -length) if length < timedelta() else ("", length)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06d}".rstrip("0") if length.microseconds else ""
    time = f"{hours}H" if hours else ""
    time += f"{minutes}M" if minutes else ""
    time += f"{seconds}{fraction}S" if seconds or fraction else ""
    days = f"{length.days}D" if length.days else ""
    if not days and not time:
        return "PT0S"
    return f"{sign}P{days}{'T' if time else ''}{time}"


def _zone(match: re.Match[str]) -> timezone:
    if match["sign"] is None:
        return UTC
    if int(match["zone_minute"]) > 59:
        raise ValueError("the minutes of a zone go to 59")
    offset = timedelta(hours=int(match["zone_hour"]), minutes=int(match["zone_minute"]))
    if offset > _MAX_ZONE:
        raise ValueError("a zone is at most 14 hours from UTC")
    return timezone(offset if match["sign"] == "+" else -offset)


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "")[:6].ljust(6, "0"))
