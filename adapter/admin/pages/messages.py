# SPDX-License-Identifier: EUPL-1.2

"""`/messages`: what was received and sent, to be looked through, and as a table for a spreadsheet."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from adapter.admin.calls import Audited
from adapter.admin.pages.downloads import send_table
from adapter.admin.pages.filters import authorities_in, choice_in, text_in
from adapter.admin.pages.page import Page, View, Visit
from adapter.admin.pages.places import asked_in, bounded_period, place_in, placed, portions
from adapter.store import (
    AuditKind,
    Direction,
    ListedMessage,
    MessageChoice,
    MessageKind,
    MessageState,
    list_messages,
)
from adapter.views.cpas import party_id_text
from adapter.views.tables import Column

NAME: Final = "messages"


async def show_messages(visit: Visit) -> View:
    """A page of messages, the newest first."""
    found = await visit.read(list_messages, _wanted(visit), place_in(visit))
    return View(
        "messages.html.j2",
        {
            "list": placed(visit, found),
            "directions": Direction,
            "kinds": MessageKind,
            "states": MessageState,
            "names": _names(visit),
            "csv": visit.url("messages.csv", asked_in(visit)),
        },
    )


async def export_messages(visit: Visit) -> web.StreamResponse:
    """The messages of a period as CSV."""
    wanted = _wanted(visit)
    rows = portions(lambda after, limit: visit.read(list_messages, wanted, after, limit))
    for authority in sorted(wanted.authorities):
        await visit.call.audit(visit.call.entry(None, authority, asked=urlencode(asked_in(visit))))
    return await send_table(visit, NAME, _columns(visit), rows)


def _names(visit: Visit) -> dict[str, str]:
    """What the partners of the user's authorities are called, by their PartyIds."""
    known = visit.call.api.authorities().agreements()
    return {
        party_id_text(party_id): one.agreement.them.name
        for one in known
        if one.authority in visit.scope
        for party_id in one.agreement.them.ids
    }


def _wanted(visit: Visit) -> MessageChoice:
    since, until = bounded_period(visit)
    return MessageChoice(
        authorities=authorities_in(visit),
        since=since,
        until=until,
        direction=choice_in(visit, "direction", Direction),
        kind=choice_in(visit, "kind", MessageKind),
        state=choice_in(visit, "state", MessageState),
        partner=text_in(visit, "partner"),
        cpa_id=text_in(visit, "cpa_id"),
        message_id=_bare(text_in(visit, "message_id")),
        conversation_id=text_in(visit, "conversation_id"),
    )


def _bare(message_id: str | None) -> str | None:
    """People copy a MessageId with its angle brackets."""
    return message_id and message_id.removeprefix("<").removesuffix(">")


def _columns(visit: Visit) -> tuple[Column[ListedMessage], ...]:
    heads, base = visit.words["heads"], visit.base_words
    kinds, ways = base["message_kinds"], base["directions"]
    return (
        Column(f"{heads['stored']} (UTC)", lambda one: one.created_at),
        Column(base["authority"], lambda one: one.authority),
        Column(heads["direction"], lambda one: ways[one.direction]),
        Column(heads["kind"], lambda one: kinds[one.kind]),
        Column(heads["action"], lambda one: one.action),
        Column(heads["sender"], lambda one: one.from_party),
        Column(heads["receiver"], lambda one: one.to_party),
        Column(base["state"], lambda one: base["states"]["message"][one.state]),
        Column(base["reason"], lambda one: one.reason),
        Column("MessageId", lambda one: one.message_id),
        Column("ConversationId", lambda one: one.conversation_id),
        Column("RefToMessageId", lambda one: one.ref_to_message_id),
        Column("CPAId", lambda one: one.cpa_id),
        Column(heads["attempts"], lambda one: one.attempts),
    )


MESSAGES: Final = Page("GET", "/messages", NAME, show_messages, in_menu=True)
EXPORT: Final = Page(
    "GET",
    "/messages.csv",
    "messages.csv",
    export_messages,
    words=NAME,
    audited=Audited(AuditKind.LOOK, "messages.export"),
)

PAGES: Final = (MESSAGES, EXPORT)
