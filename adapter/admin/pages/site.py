# SPDX-License-Identifier: EUPL-1.2

"""The status page, put together: its pages behind the guard, its errors, its files."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from adapter.admin.answers import ErrorForm, error_as_json
from adapter.admin.calls import ApplicationApi, Call
from adapter.admin.guard import Gate, guarded, identify
from adapter.admin.logins import is_cross_site_action
from adapter.admin.pages import (
    cpas,
    events,
    evidence,
    lanes,
    message,
    messages,
    overview,
    parked,
    partners,
    trail,
    verzoek,
    verzoeken,
)
from adapter.admin.pages.page import Page, StatusPage, View
from adapter.admin.pages.show import Site
from adapter.admin.pages.theme import add_assets, assets

PAGES: Final[tuple[Page, ...]] = (
    overview.OVERVIEW,
    *verzoeken.PAGES,
    *verzoek.PAGES,
    evidence.EVIDENCE,
    *messages.PAGES,
    *message.PAGES,
    *parked.PAGES,
    *partners.PAGES,
    *cpas.PAGES,
    *lanes.PAGES,
    *trail.PAGES,
    events.EVENTS,
)
"""Every page, those of the menu in its order."""

_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_BY_NAME: Final[Mapping[str, Page]] = {page.name: page for page in PAGES}


def make_site(api: ApplicationApi, status: StatusPage) -> Site:
    """What every page is rendered with."""
    return Site(api, status, _BY_NAME, assets(status.theme))


def add_pages(app: web.Application, site: Site, gate: Gate) -> None:
    """Serve the status page: its pages for the users of the configuration, its files for all."""
    add_assets(app, site.assets)
    admit = identify(site.api, gate, site.error, is_cross_site_action)
    for page in PAGES:
        handler = guarded(page.role, page.audited, partial(_answer, site, page), site.error)
        app.router.add_route(
            page.method, _VARIABLE.sub(r"{\1:[^/]+}", page.path), partial(admit, handler=handler)
        )


def error_for_people(site: Site) -> ErrorForm:
    """Errors of the listener as a page for who asks for one, else as JSON."""

    def answer(request: web.Request, code: int, headers: Mapping[str, str]) -> web.Response:
        if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
            return error_as_json(request, code, headers)
        response = site.error(request, code, "")
        response.headers.update(headers)
        return response

    return answer


async def _answer(site: Site, page: Page, call: Call) -> web.StreamResponse:
    visit = site.visit(page, call)
    shown = await page.answer(visit)
    if not isinstance(shown, View):
        return shown
    for subject, authority in shown.looked:
        await call.audit(call.entry(subject, authority))
    return site.page(visit, shown)
