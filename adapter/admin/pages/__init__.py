# SPDX-License-Identifier: EUPL-1.2

"""The status page: pages for operators, rendered here, that work without JavaScript and are better with a little.

A page is one module beside this one, one template and two files of words; nothing else knows it but the table in
`site.py`. To add the page `lanes`:

1. `lanes.py` with a handler, `async def show_lanes(visit: Visit) -> View`. It reads with one store function,
   `await visit.read(function, …)`, only what is of `visit.scope`: the authorities for which the user has the role that
   the page needs. For what is not there, or is of another authority, it raises `not_found`; `visit.authority()` does so
   for the one in the path. It returns a `View`: the template and what that shows. `View.looked` names what personal it
   shows: that is in the audit trail before the first octet (the page has `audited=Audited(AuditKind.LOOK, …)`). A
   handler may return any other answer in the place of a `View`, such as a file to download
   (`adapter.admin.streams.streaming`); then it says by itself what the audit trail is to have (`visit.call.audit`).
   Helpers: `filters.py` (texts, choices, periods), `places.py` (paging of a list), `charts.py`, `badges.py` (states).
2. `templates/lanes.html.j2`, which begins with `{% extends "base.html.j2" %}` and fills the block `main`; macros for
   tables, forms, badges, moments and so on are there as `m` (`macros.html.j2`). There is no style and no script in it:
   those of all pages are in `static/`. Everything is escaped, and what is undefined is an error.
3. `words/lanes.nl.toml` and `words/lanes.en.toml`: `title` (of the document, and of the menu where there is no `menu`),
   and all that the template says: in it these are `w`, and the words of all pages `b`. A test holds that both have the
   same names. A name that a dictionary has as a method (items, keys, values, get, copy, pop) cannot be one.
4. `LANES = Page("GET", "/lanes", "lanes", show_lanes, in_menu=True)` there, and in the table `PAGES` in `site.py`, in
   the order of the menu.

A change is a page too: `Page("POST", "/lanes/{lane}/pause", "lanes.pause", pause, Role.REPAIR, words="lanes",
audited=Audited(AuditKind.CHANGE, "lane.pause"))`. Its handler reads `await visit.form()`, changes and says so to the
audit trail in one transaction (`visit.call.change`), and ends with `visit.done("paused", to=visit.url("lanes"))`: the
browser is sent to that page, which shows the text of that name in the table `done` of its words. What cannot be undone
has a page of its own that asks first (as `verzoek.skip`). Links are made by `visit.url(name, query, **variables)`, in
templates `url(…)`, so that they keep the language that the user chose.
"""

from adapter.admin.pages.live import Live
from adapter.admin.pages.page import StatusPage
from adapter.admin.pages.site import add_pages, error_for_people, make_site
from adapter.admin.pages.theme import read_theme

__all__ = ["Live", "StatusPage", "add_pages", "error_for_people", "make_site", "read_theme"]
