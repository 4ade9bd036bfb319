# SPDX-License-Identifier: EUPL-1.2

"""`/`: what needs somebody, what is on its way, what went through, and what ends soon."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from adapter.admin.endings import WARNING
from adapter.admin.pages.charts import Bars, Column, bars
from adapter.admin.pages.page import Page, View, Visit
from adapter.authorities import Authority
from adapter.rendering import DUTCH_TIME
from adapter.store import (
    DeliveryState,
    LaneBacklog,
    Traffic,
    count_by_authority,
    count_by_hour,
    count_open,
    count_parked,
    lane_authority,
    lane_backlogs,
    oldest_on_its_way,
    partner_traffic,
)

MOST: Final = 50
"""Authorities, partners and endings that are shown: those that need somebody first."""

_DAY: Final = timedelta(days=1)
_HOURS: Final = 24
_DAYS: Final = 14
_ON_ITS_WAY: Final = (DeliveryState.COLLECTING, DeliveryState.READY)
_THROUGH: Final = (DeliveryState.DELIVERED, DeliveryState.SKIPPED, DeliveryState.REPEATED)

Counts = Mapping[DeliveryState, int]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is on its way or waits for somebody, at this moment."""

    open: Mapping[str, Counts]
    parked: Mapping[str, int]
    oldest: datetime | None
    paused: Sequence[LaneBacklog]


@dataclass(frozen=True, slots=True)
class Trend:
    """What came and what passed, lately."""

    hours: Mapping[datetime, Counts]
    today: Mapping[str, Counts]
    traffic: Mapping[tuple[str, str], Traffic]


@dataclass(frozen=True, slots=True)
class AuthorityLine:
    """An authority as the overview shows it; `state` is one of health."""

    name: str
    oin: str
    agreements: int
    on_its_way: int
    parked: int
    came: int
    state: str


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """A partner under an agreement; `state` is one of health."""

    authority: str
    cpa_id: str
    name: str
    traffic: Traffic
    state: str


async def show_overview(visit: Visit) -> View:
    """The page that everything begins with."""
    report = await visit.status.health.look()
    backlog = await visit.read(_read_backlog, visit.scope)
    trend = await visit.status.kept.get(
        ("overview", visit.scope), visit.now, lambda: visit.read(_read_trend, visit.scope, visit.now)
    )
    endings = [one for one in visit.status.endings() if one.authority in visit.scope or not one.authority]
    authorities = _authorities(visit, backlog, trend)
    partners = _partners(visit, trend)
    words = visit.words
    return View(
        "overview.html.j2",
        {
            "reasons": report.reasons(),
            "parked": {name: counts.get(DeliveryState.PARKED, 0) for name, counts in backlog.open.items()},
            "parked_messages": backlog.parked.get("send", 0) + backlog.parked.get("route", 0),
            "paused": backlog.paused,
            "ending": [one for one in endings if one.end <= visit.now + WARNING],
            "endings": endings[:MOST],
            "lost": [one for one in partners if one.traffic.lost],
            "without": [one.name for one in authorities if not one.agreements],
            "on_its_way": _sum(backlog.open.values(), _ON_ITS_WAY),
            "oldest": None if backlog.oldest is None else visit.now - backlog.oldest,
            "parked_count": _sum(backlog.open.values(), (DeliveryState.PARKED,)),
            "came": _sum(trend.today.values(), tuple(DeliveryState)),
            "delivered": _sum(trend.today.values(), (DeliveryState.DELIVERED,)),
            "authorities": authorities[:MOST],
            "authority_count": len(authorities),
            "partners": partners[:MOST],
            "partner_count": len(partners),
            "charts": (
                (_by_hour(trend, visit.now, words["series"]), words["per_hour"], words["hour"]),
                (_by_day(trend, visit.now, words["series"]), words["per_day"], words["day"]),
            ),
        },
    )


def _read_backlog(conn: Connection, scope: Collection[str]) -> Backlog:
    paused = [one for one in lane_backlogs(conn) if one.paused and lane_authority(one.name) in scope]
    return Backlog(count_open(conn, scope), count_parked(conn, scope), oldest_on_its_way(conn, scope), paused)


def _read_trend(conn: Connection, scope: Collection[str], now: datetime) -> Trend:
    first = _midnight(now) - (_DAYS - 1) * _DAY
    return Trend(
        count_by_hour(conn, scope, first - timedelta(hours=1)),  # where a day has 25 hours
        count_by_authority(conn, scope, now - _DAY),
        partner_traffic(conn, scope, now - _DAY, now + _DAY),
    )


def _authorities(visit: Visit, backlog: Backlog, trend: Trend) -> list[AuthorityLine]:
    """Those of the user, what needs somebody first."""
    known = visit.call.api.authorities().by_name
    lines = [_authority(known[name], backlog, trend) for name in visit.scope]
    return sorted(lines, key=lambda line: (line.state != "bad", line.state != "attention", line.name))


def _authority(one: Authority, backlog: Backlog, trend: Trend) -> AuthorityLine:
    waits = backlog.open.get(one.name, {})
    parked = waits.get(DeliveryState.PARKED, 0)
    on_its_way = sum(waits.get(state, 0) for state in _ON_ITS_WAY)
    paused = any(lane_authority(lane.name) == one.name for lane in backlog.paused)
    state = "bad" if parked or not one.agreements else "attention" if paused else "good"
    came = sum(trend.today.get(one.name, {}).values())
    return AuthorityLine(one.name, one.config.oin, len(one.agreements), on_its_way, parked, came, state)


def _partners(visit: Visit, trend: Trend) -> list[PartnerLine]:
    """The partners of the user's authorities, what needs somebody first."""
    lines: list[PartnerLine] = []
    for known in visit.call.api.authorities().agreements():
        if known.authority in visit.scope:
            traffic = trend.traffic.get((known.authority, known.cpa_id), Traffic())
            state = "attention" if traffic.lost else "good"
            lines.append(
                PartnerLine(known.authority, known.cpa_id, known.agreement.them.name, traffic, state)
            )
    return sorted(lines, key=lambda line: (line.state == "good", line.authority, line.cpa_id))


def _by_hour(trend: Trend, now: datetime, series: Mapping[str, str]) -> Bars:
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=back) for back in reversed(range(_HOURS))]
    columns = [
        Column(f"{hour.astimezone(DUTCH_TIME):%H:%M}", _values([trend.hours.get(hour, {})])) for hour in hours
    ]
    return bars("hours", tuple(series.values()), columns)


def _by_day(trend: Trend, now: datetime, series: Mapping[str, str]) -> Bars:
    today = _midnight(now)
    days = [(today - back * _DAY).date() for back in reversed(range(_DAYS))]
    of_day: dict[object, list[Counts]] = {}
    for hour, counts in trend.hours.items():
        of_day.setdefault(hour.astimezone(DUTCH_TIME).date(), []).append(counts)
    columns = [Column(f"{day:%d-%m}", _values(of_day.get(day, []))) for day in days]
    return bars("days", tuple(series.values()), columns)


def _values(counted: Sequence[Counts]) -> tuple[int, ...]:
    """What came through, what is on its way, what is parked: the series of the charts."""
    return (
        _sum(counted, _THROUGH),
        _sum(counted, _ON_ITS_WAY),
        _sum(counted, (DeliveryState.PARKED,)),
    )


def _sum(counted: Collection[Counts], states: Collection[DeliveryState]) -> int:
    return sum(counts.get(state, 0) for counts in counted for state in states)


def _midnight(now: datetime) -> datetime:
    return now.astimezone(DUTCH_TIME).replace(hour=0, minute=0, second=0, microsecond=0)


OVERVIEW: Final = Page("GET", "/", "overview", show_overview, in_menu=True)
