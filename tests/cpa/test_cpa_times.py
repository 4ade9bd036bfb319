# SPDX-License-Identifier: EUPL-1.2

"""Moments and durations of XML Schema."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpa import format_datetime, format_duration, parse_datetime, parse_duration

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.timedeltas(timedelta(days=-36525), timedelta(days=36525)))
def test_a_duration_survives_writing_and_reading(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES))
def test_a_moment_survives_writing_and_reading(moment: datetime) -> None:
    assert parse_datetime(format_datetime(moment)) == moment
    assert parse_datetime(moment.isoformat()) == moment


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_datetime):
        try:
            parse(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT3H", timedelta(hours=3)),
        ("P2D", timedelta(days=2)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("PT0S", timedelta()),
        ("-P1D", timedelta(days=-1)),
        ("P1Y2M", timedelta(days=365 + 60)),
        ("PT0.123456789S", timedelta(microseconds=123456)),
        (" \nP5D\n", timedelta(days=5)),
    ],
)
def test_durations_are_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "3H", "P1H", "P-1D", "PT1.S", "P1.5D", "P999999999Y"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-01T00:00:00Z", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T00:00:00", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T01:00:00+01:00", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-01-31T24:00:00", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-01-31T24:00:00.000Z", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T00:00:00.1234567Z", datetime(2026, 2, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2026-02-01T00:00:00.123456789Z", datetime(2026, 2, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("\n 2026-02-01T00:00:00Z ", datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_utc(text: str, moment: datetime) -> None:
    assert parse_datetime(text) == moment
    assert parse_datetime(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-01",
        "2026-02-30T00:00:00Z",
        "2026-02-01T24:00:01Z",
        "2026-02-01T25:00:00Z",
        "2026-02-01T00:00:00+15:00",
        "2026-02-01T00:00:00+01:60",
        "2026-02-01T00:00:00.Z",
        "9999-12-31T24:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-02-01T00:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"xs:dateTime|moment|hour 24"):
        parse_datetime(text)


def test_a_moment_without_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_datetime(datetime(2026, 2, 1))


@pytest.mark.parametrize(("microsecond", "text"), [(0, "00Z"), (120000, "00.120Z"), (123456, "00.123456Z")])
def test_a_moment_is_written_with_as_few_digits_as_it_needs(microsecond: int, text: str) -> None:
    moment = datetime(2026, 2, 1, microsecond=microsecond, tzinfo=UTC)
    assert format_datetime(moment) == f"2026-02-01T00:00:{text}"
