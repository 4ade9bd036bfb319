# SPDX-License-Identifier: EUPL-1.2

"""`/cpas`: the agreements, each as people read it, with what the checks say of it, and its history."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from adapter.admin.calls import Audited, not_found
from adapter.admin.pages.downloads import XML, kept
from adapter.admin.pages.filters import authorities_in, choice_in, says, text_in
from adapter.admin.pages.page import Link, Page, View, Visit
from adapter.config import Environment
from adapter.store import (
    AgreementState,
    AgreementVersion,
    AuditKind,
    agreement_versions,
    get_agreement,
)
from adapter.views.cpas import describe_cpa, describe_finding
from cpa import CpaError, lint, parse_cpa

NAME: Final = "cpas"
MOST: Final = 200
"""The most agreements that one list shows; more are found by searching."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An agreement in the list: its newest version, and what is known of it while it is in use."""

    version: AgreementVersion
    partner: str | None
    start: datetime | None
    end: datetime | None
    in_force: bool
    versions: int


async def show_cpas(visit: Visit) -> View:
    """The agreements, those in use first."""
    found = await visit.read(agreement_versions, authorities_in(visit))
    state, text = choice_in(visit, "state", AgreementState), text_in(visit, "q")
    listed = [
        one
        for one in _newest(visit, found)
        if state in {None, one.version.state} and says(text, one.version.cpa_id, one.partner)
    ]
    listed.sort(key=lambda one: (one.version.state is not AgreementState.ACTIVE, one.version.cpa_id))
    context = {"rows": listed[:MOST], "left": max(0, len(listed) - MOST), "states": AgreementState}
    return View("cpas.html.j2", context)


async def show_cpa(visit: Visit) -> View:
    """An agreement as it is now, or one of its versions. Raises Refused (404)."""
    versions = await visit.read(agreement_versions, visit.scope, visit.variable("cpaId"))
    if not versions:
        raise _none(visit)
    version = _chosen(visit, versions)
    row = await visit.read(get_agreement, version.id)
    production = visit.environment is Environment.PROD
    described, findings = await asyncio.to_thread(_read, row.document, visit.now, production)
    return View(
        "cpa.html.j2",
        {
            "shown": version,
            "versions": versions,
            "cpa": described,
            "findings": findings,
            "size": len(row.document),
        },
        trail=[Link(visit.pages[NAME].menu_label(visit.language), visit.url(NAME))],
        looked=[(version.cpa_id, version.authority)],
    )


async def send_cpa(visit: Visit) -> web.StreamResponse:
    """A version of an agreement, octet for octet as it was put to use. Raises Refused (404)."""
    versions = await visit.read(agreement_versions, visit.scope, visit.variable("cpaId"))
    wanted = visit.variable("version")
    version = next((one for one in versions if str(one.id) == wanted), None)
    if version is None:
        raise _none(visit)
    await visit.call.audit(visit.call.entry(version.cpa_id, version.authority, sha256=version.digest))
    row = await visit.read(get_agreement, version.id)
    headers = kept(f"{version.cpa_id}-{version.digest[:12]}.xml", XML, len(row.document))
    return web.Response(body=row.document, headers=headers)


def _newest(visit: Visit, found: Sequence[AgreementVersion]) -> list[Listed]:
    """The newest version of each agreement of each authority."""
    count: dict[tuple[str, str], int] = {}
    newest: dict[tuple[str, str], AgreementVersion] = {}
    for version in found:
        key = (version.authority, version.cpa_id)
        count[key] = count.get(key, 0) + 1
        newest.setdefault(key, version)
    return [_listed(visit, version, count[key]) for key, version in newest.items()]


def _listed(visit: Visit, version: AgreementVersion, versions: int) -> Listed:
    known = visit.call.api.authorities().find_agreement(version.cpa_id)
    if version.state is not AgreementState.ACTIVE or known is None or known.authority != version.authority:
        return Listed(version, None, None, None, False, versions)
    agreed = known.agreement
    in_force = agreed.is_active_at(visit.now)
    return Listed(version, agreed.them.name, agreed.start, agreed.end, in_force, versions)


def _chosen(visit: Visit, versions: Sequence[AgreementVersion]) -> AgreementVersion:
    """The version that the query names, else the newest. Raises Refused (404)."""
    wanted = visit.call.query("version")
    for version in versions:
        if wanted in {None, str(version.id)}:
            return version
    raise _none(visit)


def _none(visit: Visit) -> Exception:
    return not_found(f"there is no such agreement {visit.variable('cpaId')}")


def _read(document: bytes, now: datetime, production: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A CPA as people read it, and what the checks say of it; only the problem where it cannot be read."""
    try:
        parsed = parse_cpa(document)
    except CpaError as problem:
        return {"problem": str(problem)}, []
    return describe_cpa(parsed, now), [
        describe_finding(finding) for finding in lint(parsed, production=production, now=now)
    ]


CPAS: Final = Page("GET", "/cpas", NAME, show_cpas, in_menu=True)
CPA: Final = Page("GET", "/cpas/{cpaId}", "cpa", show_cpa, audited=Audited(AuditKind.LOOK, "cpa.show"))
DOCUMENT: Final = Page(
    "GET",
    "/cpas/{cpaId}/versions/{version}",
    "cpa.document",
    send_cpa,
    words="cpa",
    audited=Audited(AuditKind.LOOK, "cpa.fetch"),
)

PAGES: Final = (CPAS, CPA, DOCUMENT)
