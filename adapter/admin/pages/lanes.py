# SPDX-License-Identifier: EUPL-1.2

"""`/lanes`: what goes to each partner, DSO connection and sink; it can be paused, and delays no other."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from adapter.admin.calls import Audited, Refused, bad_request, not_found
from adapter.admin.pages.filters import authorities_in
from adapter.admin.pages.page import Link, Page, Shown, View, Visit
from adapter.config import Role
from adapter.delivery import sink_lane
from adapter.stam import dso_lane
from adapter.store import (
    AuditKind,
    JobState,
    LaneBacklog,
    lane_authority,
    lane_backlogs,
    lanes,
    partner_lane,
    pause_lane,
    resume_lane,
)

NAME: Final = "lanes"
MAX_REASON: Final = 200

WITH_IDLE: Final = 20
"""Of how many authorities, at the most, lanes without work are in the list too."""


@dataclass(frozen=True, slots=True)
class Row:
    """A lane with its backlog, as the page shows it; `place` is what it leads to."""

    lane: LaneBacklog
    kind: str
    authority: str
    place: str
    may_change: bool

    def jobs(self, state: JobState) -> int:
        """How many jobs are in this state."""
        return self.lane.jobs.get(state, 0)


async def show_lanes(visit: Visit) -> View:
    """The lanes that have work or were paused once; of a few authorities also the idle ones."""
    scope = authorities_in(visit)
    idle = scope if len(scope) <= WITH_IDLE else frozenset()
    found = [one for one in await _lanes(visit, idle) if lane_authority(one.name) in scope]
    rows = sorted((_row(visit, one) for one in found), key=lambda row: (not row.lane.paused, row.lane.name))
    return View("lanes.html.j2", {"rows": rows, "states": JobState, "idle": bool(idle)})


async def ask_to_pause(visit: Visit) -> Shown:
    """Asks why a lane is to be paused; one that is paused already is in the list. Raises Refused (403, 404)."""
    row = await _lane(visit)
    if row.lane.paused:
        return visit.done("paused", visit.url(NAME))
    link = Link(visit.pages[NAME].menu_label(visit.language), visit.url(NAME))
    return View("lane_pause.html.j2", {"row": row, "longest": MAX_REASON}, trail=[link])


async def pause(visit: Visit) -> web.StreamResponse:
    """Start no new work in a lane. Raises Refused (400, 403, 404, 409)."""
    name = (await _lane(visit)).lane.name
    reason = " ".join((await visit.form()).get("reason", "").split())
    if not reason or len(reason) > MAX_REASON:
        raise bad_request(f"say why, in at most {MAX_REASON} characters")
    changed = await visit.call.change(
        lambda conn: _pause_open(conn, name, reason),
        lambda done: visit.call.entry(name, lane_authority(name), reason=reason) if done else None,
    )
    if not changed:
        raise Refused(409, "it is paused already")
    return visit.done("paused", visit.url(NAME))


async def resume(visit: Visit) -> web.StreamResponse:
    """Start the work in a lane again. Raises Refused (403, 404, 409)."""
    name = (await _lane(visit)).lane.name
    changed = await visit.call.change(
        lambda conn: _resume_paused(conn, name),
        lambda done: visit.call.entry(name, lane_authority(name)) if done else None,
    )
    if not changed:
        raise Refused(409, "it is not paused")
    return visit.done("resumed", visit.url(NAME))


async def _lane(visit: Visit) -> Row:
    """The lane in the path. Raises Refused: 404 where it is not there for this user, 403 for another role."""
    name = visit.variable("lane")
    authority = lane_authority(name)
    known = await _lanes(visit, visit.call.visible & {authority})
    found = next((one for one in known if one.name == name), None)
    if found is None or authority not in visit.call.visible:
        raise not_found(f"there is no lane {name}")
    if authority not in visit.scope:
        raise visit.call.denied(authority)
    return _row(visit, found)


async def _lanes(visit: Visit, idle: Collection[str]) -> list[LaneBacklog]:
    """The lanes that have work or were paused once, and those of authorities where all is idle."""
    busy = await visit.read(lane_backlogs)
    named = {one.name for one in busy}
    return [*busy, *(LaneBacklog(name, False, None, {}) for name in _lanes_of(visit, idle) - named)]


def _lanes_of(visit: Visit, authorities: Collection[str]) -> set[str]:
    """The lanes that the work of authorities goes by: one for each partner, DSO connection and sink."""
    api = visit.call.api
    known, configured = api.authorities().by_name, api.config().authorities
    names = {
        partner_lane(name, one.agreement.cpa_id)
        for name in authorities
        if name in known
        for one in known[name].agreements
    }
    for name in authorities:
        if (config := configured.get(name)) is None:
            continue
        names |= {sink_lane(name, sink) for sink in config.sinks}
        if config.dso is not None:
            names.add(dso_lane(name))
    return names


def _row(visit: Visit, lane: LaneBacklog) -> Row:
    kind, _, rest = lane.name.partition(":")
    authority, _, place = rest.partition("/")
    known = visit.call.api.authorities().find_agreement(place) if kind == "partner" else None
    if known is not None:
        place = known.agreement.them.name
    return Row(lane, kind, authority, place, visit.may(Role.REPAIR, authority))


def _pause_open(conn: Connection, name: str, reason: str) -> bool:
    if _is_paused(conn, name):
        return False
    pause_lane(conn, name, reason)
    return True


def _resume_paused(conn: Connection, name: str) -> bool:
    if not _is_paused(conn, name):
        return False
    resume_lane(conn, name)
    return True


def _is_paused(conn: Connection, name: str) -> bool:
    return any(one.name == name and one.paused for one in lanes(conn))


LANES: Final = Page("GET", "/lanes", NAME, show_lanes, in_menu=True)
ASK_TO_PAUSE: Final = Page(
    "GET", "/lanes/{lane}/pause", "lane.ask_to_pause", ask_to_pause, Role.REPAIR, words="lane_pause"
)
PAUSE: Final = Page(
    "POST",
    "/lanes/{lane}/pause",
    "lane.pause",
    pause,
    Role.REPAIR,
    words=NAME,
    audited=Audited(AuditKind.CHANGE, "lane.pause"),
)
RESUME: Final = Page(
    "POST",
    "/lanes/{lane}/resume",
    "lane.resume",
    resume,
    Role.REPAIR,
    words=NAME,
    audited=Audited(AuditKind.CHANGE, "lane.resume"),
)

PAGES: Final = (LANES, ASK_TO_PAUSE, PAUSE, RESUME)
