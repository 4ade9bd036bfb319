# SPDX-License-Identifier: EUPL-1.2

"""`/verzoeken`: verzoeken by number, authority, state and period."""

from typing import Final

from adapter.admin.pages.filters import authorities_in, choice_in, text_in
from adapter.admin.pages.page import Page, View, Visit
from adapter.admin.pages.places import bounded_period, place_in, placed
from adapter.store import DeliveryState, VerzoekChoice, list_verzoeken


async def show_verzoeken(visit: Visit) -> View:
    """A page of verzoeken, the newest first."""
    since, until = bounded_period(visit)
    wanted = VerzoekChoice(
        authorities=authorities_in(visit),
        since=since,
        until=until,
        state=choice_in(visit, "state", DeliveryState),
        verzoeknummer=text_in(visit, "verzoeknummer"),
        project_id=text_in(visit, "project"),
    )
    found = await visit.read(list_verzoeken, wanted, place_in(visit))
    return View(
        "verzoeken.html.j2",
        {
            "list": placed(visit, found),
            "states": [(state, visit.base_words["states"]["delivery"][state]) for state in DeliveryState],
            "since": since,
            "has_period": wanted.verzoeknummer is None and wanted.project_id is None,
        },
    )


VERZOEKEN: Final = Page("GET", "/verzoeken", "verzoeken", show_verzoeken, in_menu=True)
