# SPDX-License-Identifier: EUPL-1.2

"""`/verzoeken`: verzoeken by number, authority, state and period, and as a table for a spreadsheet."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from adapter.admin.calls import Audited
from adapter.admin.pages.downloads import send_table
from adapter.admin.pages.filters import authorities_in, choice_in, text_in
from adapter.admin.pages.page import Page, View, Visit
from adapter.admin.pages.places import asked_in, bounded_period, place_in, placed, portions
from adapter.store import AuditKind, DeliveryState, StoredDelivery, VerzoekChoice, list_verzoeken
from adapter.views.tables import Column

NAME: Final = "verzoeken"


async def show_verzoeken(visit: Visit) -> View:
    """A page of verzoeken, the newest first."""
    wanted = _wanted(visit)
    found = await visit.read(list_verzoeken, wanted, place_in(visit))
    return View(
        "verzoeken.html.j2",
        {
            "list": placed(visit, found),
            "states": [(state, visit.base_words["states"]["delivery"][state]) for state in DeliveryState],
            "since": wanted.since,
            "has_period": wanted.verzoeknummer is None and wanted.project_id is None,
            "csv": visit.url("verzoeken.csv", asked_in(visit)),
        },
    )


async def export_verzoeken(visit: Visit) -> web.StreamResponse:
    """The verzoeken of a period as CSV."""
    wanted = _wanted(visit)
    for authority in sorted(wanted.authorities):
        await visit.call.audit(visit.call.entry(None, authority, asked=urlencode(asked_in(visit))))
    rows = portions(lambda after, limit: visit.read(list_verzoeken, wanted, after, limit))
    return await send_table(visit, NAME, _columns(visit), rows)


def _wanted(visit: Visit) -> VerzoekChoice:
    since, until = bounded_period(visit)
    return VerzoekChoice(
        authorities=authorities_in(visit),
        since=since,
        until=until,
        state=choice_in(visit, "state", DeliveryState),
        verzoeknummer=text_in(visit, "verzoeknummer"),
        project_id=text_in(visit, "project"),
    )


def _columns(visit: Visit) -> tuple[Column[StoredDelivery], ...]:
    words, base = visit.words, visit.base_words
    return (
        Column(f"{words['came']} (UTC)", lambda one: one.created_at),
        Column(base["authority"], lambda one: one.authority),
        Column(words["number"], lambda one: one.verzoeknummer),
        Column(words["volgnummer"], lambda one: one.volgnummer or one.announced),
        Column(words["revision"], lambda one: one.revision),
        Column(words["kind"], lambda one: one.type),
        Column(words["goal"], lambda one: one.doel),
        Column(words["sink"], lambda one: one.sink),
        Column(base["state"], lambda one: base["states"]["delivery"][one.state]),
        Column(base["reason"], lambda one: one.reason),
        Column(f"{words['changed']} (UTC)", lambda one: one.updated_at),
        Column("MessageId", lambda one: one.message_id),
        Column(words["project"], lambda one: one.project_id),
    )


VERZOEKEN: Final = Page("GET", "/verzoeken", NAME, show_verzoeken, in_menu=True)
EXPORT: Final = Page(
    "GET",
    "/verzoeken.csv",
    "verzoeken.csv",
    export_verzoeken,
    words=NAME,
    audited=Audited(AuditKind.LOOK, "verzoeken.export"),
)

PAGES: Final = (VERZOEKEN, EXPORT)
