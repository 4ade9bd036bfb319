# SPDX-License-Identifier: EUPL-1.2

"""`/parked`: what waits for somebody, to be tried again or given up, one by one or several at once."""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from adapter.admin.calls import Audited, Refused, bad_request, log_audited
from adapter.admin.pages.downloads import send_table
from adapter.admin.pages.filters import authorities_in, choice_in, text_in
from adapter.admin.pages.page import Link, Page, Shown, View, Visit
from adapter.admin.pages.places import place_in, placed, portions
from adapter.config import Role
from adapter.store import (
    AuditEntry,
    AuditKind,
    ParkedItem,
    ParkedKind,
    add_audit,
    count_parked,
    find_parked,
    list_parked,
    retry_parked,
    skip_parked,
)
from adapter.views.tables import Column

NAME: Final = "parked"
MOST: Final = 100
"""The most items that one form changes: one transaction does it."""

MAX_REASON: Final = 200

_ITEM: Final = "item-"
_ONLY: Final = "only"
_MOST_DIGITS: Final = 18

Change = Callable[[Connection], tuple[ParkedItem, ...]]


async def show_parked(visit: Visit) -> View:
    """A page of what is parked, with a form to choose from it."""
    kind = choice_in(visit, "kind", ParkedKind)
    scope = authorities_in(visit)
    found = await visit.read(
        list_parked, scope, kind=kind, reason=text_in(visit, "reason"), after=place_in(visit)
    )
    allowed = {item.authority for item in found.rows if visit.may(Role.REPAIR, item.authority)}
    return View(
        "parked.html.j2",
        {
            "list": placed(visit, found),
            "kinds": ParkedKind,
            "counts": await visit.read(count_parked, scope),
            "allowed": allowed,
            "csv": visit.url("parked.csv", {"authority": visit.call.query("authority")}),
        },
    )


async def export_parked(visit: Visit) -> web.StreamResponse:
    """What is parked as CSV."""
    scope = authorities_in(visit)
    for authority in sorted(scope):
        await visit.call.audit(visit.call.entry(None, authority))
    rows = portions(lambda after, limit: visit.read(list_parked, scope, after=after, limit=limit))
    return await send_table(visit, NAME, _columns(visit), rows)


async def retry(visit: Visit) -> web.StreamResponse:
    """Try what was chosen again. Raises Refused (400, 403, 409)."""
    form = await visit.form()
    if not _is_chosen(form):
        return _nothing_chosen(visit)
    ids = [one.id for one in await _chosen(visit, form)]
    return await _change(visit, "retried", lambda conn: retry_parked(conn, ids, visit.scope, visit.now))


async def ask_to_skip(visit: Visit) -> Shown:
    """Asks why what was chosen is to be given up. Raises Refused (400, 403, 409)."""
    query = visit.call.request.query
    if not _is_chosen(query):
        return _nothing_chosen(visit)
    chosen = await _chosen(visit, query)
    context = {"rows": chosen, "longest": MAX_REASON}
    return View("parked_skip.html.j2", context, trail=[_trail(visit)])


async def skip(visit: Visit) -> web.StreamResponse:
    """Give up what was chosen, for a reason. Raises Refused (400, 403, 409)."""
    form = await visit.form()
    reason = " ".join(form.get("reason", "").split())
    if not reason or len(reason) > MAX_REASON:
        raise bad_request(f"say why, in at most {MAX_REASON} characters")
    ids = [one.id for one in await _chosen(visit, form)]
    return await _change(
        visit,
        "skipped",
        lambda conn: skip_parked(conn, ids, visit.scope, reason, visit.now),
        reason=reason,
    )


def _is_chosen(fields: Mapping[str, str]) -> bool:
    return any(name == _ONLY or name.startswith(_ITEM) for name in fields)


def _nothing_chosen(visit: Visit) -> web.Response:
    """Back to the list, which says so."""
    return visit.done("nothing_chosen", visit.url(NAME))


async def _chosen(visit: Visit, fields: Mapping[str, str]) -> tuple[ParkedItem, ...]:
    """The items of a form: the one whose own button was pressed, else those that were ticked.

    Raises Refused: 400 for too many, or what is no item; 403 for one that the user may only look at; 409 where none is
    parked.
    """
    only = fields.get(_ONLY)
    texts = [only] if only else [name.removeprefix(_ITEM) for name in fields if name.startswith(_ITEM)]
    ids = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS]
    if not ids or len(ids) != len(texts):
        raise bad_request("choose at least one item")
    if len(ids) > MOST:
        raise bad_request(f"choose at most {MOST} items")
    found = await visit.read(find_parked, ids, visit.call.visible)
    for item in found:
        if item.authority not in visit.scope:
            raise visit.call.denied(item.authority)
    if not found:
        raise Refused(409, "nothing of it is parked any more")
    return found


async def _change(visit: Visit, what: str, change: Change, reason: str | None = None) -> web.StreamResponse:
    """Change what was chosen, with an entry in the audit trail for each. Raises Refused (409) where nothing was."""

    def work(conn: Connection) -> list[AuditEntry]:
        entries = [_told(visit, item, reason) for item in change(conn)]
        for entry in entries:
            add_audit(conn, entry)
        return entries

    entries = await visit.call.api.db.write(work)
    if not entries:
        raise Refused(409, "nothing of it is parked any more, or can be given up")
    for entry in entries:
        log_audited(entry)
    return visit.done(what, visit.url(NAME), len(entries))


def _told(visit: Visit, item: ParkedItem, reason: str | None) -> AuditEntry:
    return visit.call.entry(item.subject, item.authority, work=item.kind, reason=reason)


def _trail(visit: Visit) -> Link:
    return Link(visit.pages[NAME].menu_label(visit.language), visit.url(NAME))


def _columns(visit: Visit) -> tuple[Column[ParkedItem], ...]:
    heads, base = visit.words["heads"], visit.base_words
    kinds = base["work"]
    return (
        Column(f"{heads['since']} (UTC)", lambda one: one.created_at),
        Column(base["authority"], lambda one: one.authority),
        Column(heads["work"], lambda one: kinds[one.kind]),
        Column("verzoeknummer", lambda one: one.verzoeknummer),
        Column("MessageId", lambda one: one.message_id),
        Column(heads["place"], lambda one: one.lane),
        Column(heads["attempts"], lambda one: one.attempts),
        Column(base["reason"], lambda one: one.reason),
    )


PARKED: Final = Page("GET", "/parked", NAME, show_parked, in_menu=True)
EXPORT: Final = Page(
    "GET",
    "/parked.csv",
    "parked.csv",
    export_parked,
    words=NAME,
    audited=Audited(AuditKind.LOOK, "parked.export"),
)
RETRY: Final = Page(
    "POST",
    "/parked/retry",
    "parked.retry",
    retry,
    Role.REPAIR,
    words=NAME,
    audited=Audited(AuditKind.CHANGE, "parked.retry"),
)
ASK_TO_SKIP: Final = Page(
    "GET", "/parked/skip", "parked.ask_to_skip", ask_to_skip, Role.REPAIR, words="parked_skip"
)
SKIP: Final = Page(
    "POST",
    "/parked/skip",
    "parked.skip",
    skip,
    Role.REPAIR,
    words=NAME,
    audited=Audited(AuditKind.CHANGE, "parked.skip"),
)

PAGES: Final = (PARKED, EXPORT, RETRY, ASK_TO_SKIP, SKIP)
