# SPDX-License-Identifier: EUPL-1.2

"""`/partners`: with whom we have agreements, when they were last heard, and a Ping to see whether they answer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from adapter.admin.calls import Audited, not_found
from adapter.admin.pages.filters import authorities_in, says, text_in
from adapter.admin.pages.page import Page, View, Visit
from adapter.admin.pages.places import USUAL
from adapter.authorities import KnownAgreement
from adapter.config import Role
from adapter.msh import await_answer, new_ping, send_job
from adapter.store import AuditKind, MessageState, Traffic, insert_message, partner_traffic
from adapter.views.cpas import party_id_text

NAME: Final = "partners"
PATIENCE: Final = timedelta(seconds=20)
"""How long the Pong is awaited before the browser gets its page; a later one is on that page too."""

MOST: Final = 200
"""The most partners that one list shows; more are found by searching."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The other party of an agreement, and what passed in the last month."""

    known: KnownAgreement
    ids: tuple[str, ...]
    traffic: Traffic
    may_ping: bool


async def show_partners(visit: Visit) -> View:
    """The other parties of the agreements in use."""
    scope = authorities_in(visit)
    passed = await visit.read(partner_traffic, scope, visit.now - USUAL, visit.now + timedelta(days=1))
    text = text_in(visit, "q")
    partners = [
        _partner(visit, known, passed.get((known.authority, known.cpa_id), Traffic()))
        for known in visit.call.api.authorities().agreements()
        if known.authority in scope
    ]
    rows = [one for one in partners if says(text, one.known.agreement.them.name, one.known.cpa_id, *one.ids)]
    rows.sort(key=lambda one: (one.known.agreement.them.name.casefold(), one.known.cpa_id))
    context = {
        "rows": rows[:MOST],
        "left": max(0, len(rows) - MOST),
        "days": USUAL.days,
        "pinged": _pinged(visit, rows),
        "answered": MessageState.ANSWERED,
    }
    return View("partners.html.j2", context)


async def ping(visit: Visit) -> web.StreamResponse:
    """Send a Ping, wait a while for the Pong, and go to what became of it. Raises Refused (403, 404)."""
    known = _known(visit)
    now = visit.now
    entry = visit.call.entry(known.cpa_id, known.authority)
    new = new_ping(known, now, life=PATIENCE)
    row_id = await visit.call.change(
        lambda conn: insert_message(conn, new, send_job(known), now), lambda _: entry
    )
    await await_answer(visit.call.api.db, row_id, PATIENCE)
    place = visit.url(NAME, {"pinged": known.cpa_id}) + "#pinged"
    return web.Response(status=303, headers={"Location": place})


def _known(visit: Visit) -> KnownAgreement:
    """The agreement in the path. Raises Refused: 404 where it is not there for this user, 403 for another role."""
    cpa_id = visit.variable("cpaId")
    known = visit.call.api.authorities().find_agreement(cpa_id)
    if known is None or known.authority not in visit.call.visible:
        raise not_found(f"there is no agreement {cpa_id} in use")
    if known.authority not in visit.scope:
        raise visit.call.denied(known.authority)
    return known


def _partner(visit: Visit, known: KnownAgreement, traffic: Traffic) -> Partner:
    ids = tuple(party_id_text(one) for one in known.agreement.them.ids)
    return Partner(known, ids, traffic, visit.may(Role.REPAIR, known.authority))


def _pinged(visit: Visit, rows: list[Partner]) -> Partner | None:
    """The partner that was pinged just now."""
    cpa_id = visit.call.query("pinged")
    return next((one for one in rows if one.known.cpa_id == cpa_id and one.traffic.ping is not None), None)


PARTNERS: Final = Page("GET", "/partners", NAME, show_partners, in_menu=True)
PING: Final = Page(
    "POST",
    "/partners/{cpaId}/ping",
    "partner.ping",
    ping,
    Role.REPAIR,
    words=NAME,
    audited=Audited(AuditKind.CHANGE, "ping"),
)

PAGES: Final = (PARTNERS, PING)
