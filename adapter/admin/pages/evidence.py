# SPDX-License-Identifier: EUPL-1.2

"""Everything about a verzoek, as a ZIP that is made while it is sent."""

from typing import Final

from aiohttp import web

from adapter.admin.calls import Audited, not_found
from adapter.admin.pages.downloads import ZIP, kept, send
from adapter.admin.pages.page import BASE_WORDS, Page, Visit
from adapter.store import AuditKind
from adapter.views.evidence import evidence_archive, evidence_of_verzoek


async def send_evidence(visit: Visit) -> web.StreamResponse:
    """The evidence of a verzoek of an authority. Raises Refused (404)."""
    authority, number = visit.authority(), visit.variable("verzoeknummer")
    evidence = await visit.read(evidence_of_verzoek, number, (authority,))
    if evidence is None:
        raise not_found(f"there is no verzoek {number}")
    await visit.call.audit(visit.call.entry(number, authority))
    api = visit.call.api
    pieces = evidence_archive(api.db, api.spool, evidence, visit.now)
    return await send(visit, kept(evidence.file_name, ZIP), pieces)


EVIDENCE: Final = Page(
    "GET",
    "/evidence/{authority}/{verzoeknummer}",
    "verzoek.evidence",
    send_evidence,
    words=BASE_WORDS,
    audited=Audited(AuditKind.LOOK, "verzoek.evidence"),
)
