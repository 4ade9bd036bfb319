# SPDX-License-Identifier: EUPL-1.2

"""`/audit`: who changed what, and who looked, for those who administer."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from adapter.admin.auth import EVERY_AUTHORITY
from adapter.admin.calls import Audited
from adapter.admin.pages.downloads import send_table
from adapter.admin.pages.filters import authorities_in, choice_in, text_in
from adapter.admin.pages.page import Page, View, Visit
from adapter.admin.pages.places import asked_in, bounded_period, place_in, placed, portions
from adapter.config import Role
from adapter.store import AuditEntry, AuditFilter, AuditKind, AuditOutcome, AuditVia, list_audit
from adapter.views.tables import Column
from adapter.views.texts import detail_line

NAME: Final = "audit"


async def show_audit(visit: Visit) -> View:
    """A page of the audit trail, the newest first."""
    found = await visit.read(list_audit, _wanted(visit), _whose(visit), place_in(visit))
    return View(
        "audit.html.j2",
        {
            "list": placed(visit, found),
            "kinds": AuditKind,
            "doors": AuditVia,
            "outcomes": AuditOutcome,
            "detail_line": detail_line,
            "csv": visit.url("audit.csv", asked_in(visit)),
        },
    )


async def export_audit(visit: Visit) -> web.StreamResponse:
    """The audit trail of a period as CSV."""
    wanted, whose = _wanted(visit), _whose(visit)
    await visit.call.audit(
        visit.call.entry(None, visit.call.query("authority"), asked=urlencode(asked_in(visit)))
    )
    rows = portions(lambda after, limit: visit.read(list_audit, wanted, whose, after, limit))
    return await send_table(visit, NAME, _columns(visit), rows)


def _wanted(visit: Visit) -> AuditFilter:
    since, before = bounded_period(visit)
    return AuditFilter(
        actor=text_in(visit, "actor"),
        via=choice_in(visit, "via", AuditVia),
        kind=choice_in(visit, "kind", AuditKind),
        action=text_in(visit, "action"),
        subject=text_in(visit, "subject"),
        outcome=choice_in(visit, "outcome", AuditOutcome),
        since=since,
        before=before,
    )


def _whose(visit: Visit) -> frozenset[str] | None:
    """The authorities of whose entries the user may know; None for all, and those that are about none.

    A login that failed is of no authority: it is for those who administer all of them.
    """
    administers_all = visit.call.user.roles.get(EVERY_AUTHORITY) is Role.ADMINISTER
    is_whole = visit.scope == frozenset(visit.call.api.authorities().by_name)
    if visit.call.query("authority") is None and administers_all and is_whole:
        return None
    return authorities_in(visit)


def _columns(visit: Visit) -> tuple[Column[AuditEntry], ...]:
    heads, base = visit.words["heads"], visit.base_words
    kinds, doors = visit.words["kinds"], visit.words["doors"]
    return (
        Column(f"{heads['at']} (UTC)", lambda one: one.at),
        Column(heads["actor"], lambda one: one.actor),
        Column(heads["via"], lambda one: doors[one.via]),
        Column(heads["origin"], lambda one: one.origin),
        Column(heads["kind"], lambda one: kinds[one.kind]),
        Column(heads["action"], lambda one: one.action),
        Column(heads["subject"], lambda one: one.subject),
        Column(base["authority"], lambda one: one.authority),
        Column(heads["outcome"], lambda one: base["states"]["outcome"][one.outcome]),
        Column(heads["detail"], lambda one: detail_line(one.detail)),
    )


AUDIT: Final = Page("GET", "/audit", NAME, show_audit, Role.ADMINISTER, in_menu=True)
EXPORT: Final = Page(
    "GET",
    "/audit.csv",
    "audit.csv",
    export_audit,
    Role.ADMINISTER,
    words=NAME,
    audited=Audited(AuditKind.LOOK, "audit.export"),
)

PAGES: Final = (AUDIT, EXPORT)
