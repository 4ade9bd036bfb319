# SPDX-License-Identifier: EUPL-1.2

"""`/verzoeken/<authority>/<verzoeknummer>`: one verzoek, from its notification to its sink; to be tried again, or given
up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from aiohttp import web

from adapter.admin.calls import Audited, Refused, bad_request, not_found
from adapter.admin.pages.badges import Look, look_of_event
from adapter.admin.pages.page import Link, Page, View, Visit
from adapter.config import Role
from adapter.rendering import VERZOEK_PATH, counted
from adapter.store import (
    OPEN_DELIVERY,
    AuditEntry,
    AuditKind,
    DeliveryState,
    Event,
    StoredDelivery,
    VerzoekHistory,
    retry_verzoek,
    skip_verzoek,
    verzoek_history,
)

MAX_REASON: Final = 1000
"""Characters of a reason to give a verzoek up."""

_FETCHED: Final = "verzoek.file_fetched"
_DETAILS: Final = ("origin", "sink", "files", "volgnummer", "revision", "reference", "step", "attempts")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the timeline: what happened, its details, and how long after the line before it."""

    at: datetime
    look: Look
    text: str
    details: Sequence[tuple[str, str]]
    reason: str | None
    files: Sequence[Event]
    after: timedelta | None


async def show_verzoek(visit: Visit) -> View:
    """Everything that is known of a verzoek. Raises Refused."""
    authority, number = visit.authority(), visit.variable("verzoeknummer")
    found = await visit.read(verzoek_history, number, authority)
    if found is None:
        raise not_found(f"there is no verzoek {number}")
    deliveries = [one.delivery for one in found.deliveries]
    return View(
        "verzoek.html.j2",
        {
            "title": f"{visit.words['title']} {number}",
            "number": number,
            "authority": authority,
            "found": found,
            "latest": deliveries[0],
            "parked": [one for one in deliveries if one.state is DeliveryState.PARKED],
            "is_open": any(one.state in OPEN_DELIVERY for one in deliveries),
            "may_repair": visit.may(Role.REPAIR, authority),
            "lines": _lines(visit, found),
            "other_numbers": [one for one in found.same_project if one is not None],
        },
        trail=_trail(visit),
        looked=((number, authority),),
        topic=number,
    )


async def ask_skip(visit: Visit) -> View:
    """Asks whether a verzoek is to be given up, and why. Raises Refused."""
    authority, number = visit.authority(), visit.variable("verzoeknummer")
    found = await visit.read(verzoek_history, number, authority)
    if found is None:
        raise not_found(f"there is no verzoek {number}")
    deliveries = [one.delivery for one in found.deliveries]
    parked = [one for one in deliveries if one.state is DeliveryState.PARKED]
    meant = parked or [one for one in deliveries if one.state in OPEN_DELIVERY]
    if not meant:
        raise Refused(409, _states(deliveries))
    title = f"{visit.words['title']} {number}"
    here = Link(title, visit.url("verzoek", authority=authority, verzoeknummer=number))
    return View(
        "verzoek_skip.html.j2",
        {
            "title": visit.words["skip_title"],
            "number": number,
            "authority": authority,
            "meant": meant,
            "max_reason": MAX_REASON,
        },
        trail=(*_trail(visit), here),
        looked=((number, authority),),
    )


async def retry(visit: Visit) -> web.Response:
    """Try again what is parked of a verzoek. Raises Refused."""
    authority, number = visit.authority(), visit.variable("verzoeknummer")
    await visit.form()
    found, count = await visit.call.change(
        lambda conn: retry_verzoek(conn, number, None, authority, visit.now),
        lambda done: _told(visit, number, authority, done),
    )
    if not found:
        raise not_found(f"there is no verzoek {number}")
    to = visit.url("verzoek", authority=authority, verzoeknummer=number)
    return visit.done("retried" if count else "nothing_parked", to, count)


async def skip(visit: Visit) -> web.Response:
    """Give a verzoek up, for a reason. Raises Refused."""
    authority, number = visit.authority(), visit.variable("verzoeknummer")
    reason = (await visit.form()).get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        raise bad_request(str(visit.words["reason_needed"]))
    found, count = await visit.call.change(
        lambda conn: skip_verzoek(conn, number, None, authority, reason, visit.now),
        lambda done: _told(visit, number, authority, done),
    )
    if not found:
        raise not_found(f"there is no verzoek {number}")
    to = visit.url("verzoek", authority=authority, verzoeknummer=number)
    return visit.done("skipped" if count else "nothing_open", to, count)


def _trail(visit: Visit) -> tuple[Link, ...]:
    page = visit.pages["verzoeken"]
    return (Link(page.menu_label(visit.language), visit.url(page.name)),)


def _told(
    visit: Visit, number: str, authority: str, done: tuple[Sequence[StoredDelivery], int]
) -> AuditEntry | None:
    """What the audit trail is to say of a change; nothing where nothing was changed."""
    return visit.call.entry(number, authority, deliveries=done[1]) if done[1] else None


def _states(found: Sequence[StoredDelivery]) -> str:
    return ", ".join(f"{one.name or one.sink}: {one.state}" for one in found)


def _lines(visit: Visit, found: VerzoekHistory) -> list[Line]:
    """The timeline; files that were fetched one after the other are one line."""
    shown: list[tuple[Event, ...]] = []
    for are_files, group in groupby(found.events, lambda event: event.action == _FETCHED):
        events = tuple(group)
        shown += [events] if are_files else [(event,) for event in events]
    moments = [events[-1].at for events in shown]
    waits = [None, *(after - before for before, after in pairwise(moments))]
    return [_line(visit, events, after) for events, after in zip(shown, waits, strict=False)]


def _line(visit: Visit, events: tuple[Event, ...], after: timedelta | None) -> Line:
    words: Mapping[str, Any] = visit.words
    event = events[-1]
    files = events if event.action == _FETCHED else ()
    text = words["actions"].get(event.action, event.action)
    job = event.detail.get("kind")
    if event.action.startswith("job.") and job is not None:
        text = f"{words['jobs'].get(job, job)}: {text}"
    if files:
        text = counted(words["files_fetched"], len(files))
    given = {name: event.detail[name] for name in _DETAILS if event.detail.get(name) is not None}
    if "origin" in given:
        given["origin"] = words["origins"].get(given["origin"], given["origin"])
    details = [(words["details"][name], str(value)) for name, value in given.items()]
    reason = event.detail.get("reason")
    return Line(
        event.at, look_of_event(event.action), text, details, str(reason) if reason else None, files, after
    )


PAGES: Final = (
    Page("GET", VERZOEK_PATH, "verzoek", show_verzoek, audited=Audited(AuditKind.LOOK, "verzoek.show")),
    Page(
        "POST",
        f"{VERZOEK_PATH}/retry",
        "verzoek.retry",
        retry,
        Role.REPAIR,
        Audited(AuditKind.CHANGE, "verzoek.retry"),
        words="verzoek",
    ),
    Page(
        "GET",
        f"{VERZOEK_PATH}/skip",
        "verzoek.ask_skip",
        ask_skip,
        Role.REPAIR,
        Audited(AuditKind.LOOK, "verzoek.show"),
        words="verzoek",
    ),
    Page(
        "POST",
        f"{VERZOEK_PATH}/skip",
        "verzoek.skip",
        skip,
        Role.REPAIR,
        Audited(AuditKind.CHANGE, "verzoek.skip"),
        words="verzoek",
    ),
)
