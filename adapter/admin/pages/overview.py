# SPDX-License-Identifier: EUPL-1.2

"""The overview: what needs somebody, what waits, what went through, and what ends soon."""

from typing import Final

from adapter.admin.pages.page import Page, View, Visit


async def show_overview(visit: Visit) -> View:
    """The page that everything begins with."""
    return View("overview.html.j2", {"reasons": await visit.status.health.reasons()})


OVERVIEW: Final = Page("GET", "/", "overview", show_overview, in_menu=True)
