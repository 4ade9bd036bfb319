# SPDX-License-Identifier: EUPL-1.2

"""CPAs: upload, check, list, fetch and withdraw agreements."""

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from adapter.admin.calls import Call, bad_request, not_found
from adapter.admin.rest.bodies import read_text
from adapter.authorities import Authority
from adapter.config import Environment
from adapter.store import (
    AgreementRow,
    AgreementSource,
    CpaOwnedByOther,
    active_agreements,
    agreements_version,
    put_agreement,
    withdraw_agreement,
)
from cpa import (
    CollaborationProtocolAgreement,
    CpaError,
    NotAParty,
    Severity,
    agreement_for,
    lint,
    parse_cpa,
    parse_xml,
)

_SETTLE: Final = 5.0
"""Seconds that an answer waits for a change of agreements to be in use; commonly it takes one."""


async def list_cpas(call: Call) -> web.StreamResponse:
    """The CPAIds of the agreements in use."""
    rows = await call.api.db.read(active_agreements)
    return web.json_response([row.cpa_id for row in rows if row.authority in call.scope])


async def get_cpa(call: Call) -> web.StreamResponse:
    """An agreement in use, octet for octet as it was imported."""
    row = await call.api.db.read(_active, call.path("cpaId"), call.scope)
    if row is None:
        raise _no_cpa(call)
    charset = await asyncio.to_thread(_encoding, row.document)
    return web.Response(body=row.document, content_type="text/plain", charset=charset)


async def validate_cpa(call: Call) -> web.StreamResponse:
    """204 for a sound CPA, else 400 with what is wrong."""
    await _sound(call, await read_text(call.request))
    return web.Response(status=204)


async def put_cpa(call: Call) -> web.StreamResponse:
    """Put a CPA to use; the answer is its CPAId, and comes when messages are judged by it."""
    overwrite = call.flag("overwrite")
    octets = await read_text(call.request)
    document = await _sound(call, octets)
    owner = _owner(call, document)
    try:
        await call.change(
            lambda conn: _put(
                conn, owner.name, document.cpa_id, octets, call.api.clock(), overwrite=overwrite
            ),
            lambda _: call.entry(document.cpa_id, owner.name, overwrite=overwrite),
        )
    except CpaOwnedByOther as problem:  # its text names an authority that this user need not know of
        raise bad_request(f"CPA {document.cpa_id} cannot be used: another authority has it") from problem
    await _settle(call)
    return web.Response(text=document.cpa_id)


async def delete_cpa(call: Call) -> web.StreamResponse:
    """Withdraw an agreement; its history stays."""
    row = await call.change(
        lambda conn: _withdraw(conn, call.path("cpaId"), call.scope, call.api.clock()),
        lambda row: call.entry(row.cpa_id, row.authority) if row is not None else None,
    )
    if row is None:
        seen = await call.api.db.read(_active, call.path("cpaId"), call.visible)
        raise call.denied(seen.authority) if seen is not None else _no_cpa(call)
    await _settle(call)
    return web.Response(status=204)


async def clear_cache(_call: Call) -> web.StreamResponse:
    """Nothing to do: there is no cache that can be out of date."""
    return web.Response(status=204)


async def _sound(call: Call, octets: bytes) -> CollaborationProtocolAgreement:
    """The document. Raises Refused (400) with everything that is wrong with it."""
    production = call.api.config().environment is Environment.PROD
    try:
        document = await asyncio.to_thread(parse_cpa, octets)
    except CpaError as problem:
        raise bad_request(f"this is no CPA: {problem}") from problem
    findings = await asyncio.to_thread(lint, document, production=production, now=call.api.clock())
    errors = [str(finding) for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise bad_request("\n".join([f"CPA {document.cpa_id} has errors", *errors]))
    return document


def _owner(call: Call, document: CollaborationProtocolAgreement) -> Authority:
    """The one authority of this user that is a party to the agreement. Raises Refused (400)."""
    known = call.api.authorities().by_name
    owners = [known[name] for name in sorted(call.visible) if _is_party(document, known[name])]
    allowed = [owner for owner in owners if owner.name in call.scope]
    if owners and not allowed:
        raise call.denied(owners[0].name)
    if len(owners) == 1:
        return owners[0]
    if owners:
        names = ", ".join(owner.name for owner in owners)
        raise bad_request(
            f"CPA {document.cpa_id} is ambiguous: {names} are both parties to it; upload it as a user of one of them"
        )
    raise bad_request(
        f"CPA {document.cpa_id} is of no authority of yours: none of {', '.join(sorted(call.visible)) or 'them'} "
        "is a party to it"
    )


def _is_party(document: CollaborationProtocolAgreement, authority: Authority) -> bool:
    try:
        agreement_for(document, authority.config.party_id)
    except NotAParty:
        return False
    return True


async def _settle(call: Call) -> None:
    """Wait until the agreements in use are those of the store, so that the next call finds them so."""
    api = call.api
    loop = asyncio.get_running_loop()
    until = loop.time() + _SETTLE
    # the snapshot is swapped by another task, which announces it to nobody
    while (  # noqa: ASYNC110
        api.authorities().version != await api.db.read(agreements_version) and loop.time() < until
    ):
        await asyncio.sleep(0.05)


def _no_cpa(call: Call) -> Exception:
    return not_found(f"there is no CPA {call.path('cpaId')} in use")


def _encoding(document: bytes) -> str:
    """The encoding of an XML document, as its declaration has it."""
    return parse_xml(document).getroottree().docinfo.encoding or "UTF-8"


def _active(conn: Connection, cpa_id: str, scope: Collection[str]) -> AgreementRow | None:
    rows = (row for row in active_agreements(conn) if row.authority in scope)
    return next((row for row in rows if row.cpa_id == cpa_id), None)


def _put(
    conn: Connection, authority: str, cpa_id: str, octets: bytes, now: datetime, *, overwrite: bool
) -> None:
    active = _active(conn, cpa_id, {authority})
    if active is not None and not overwrite:
        raise bad_request(f"CPA {cpa_id} exists already; set overwrite=true to replace it")
    if active is None or active.document != octets:
        put_agreement(conn, authority, cpa_id, octets, AgreementSource.UPLOAD, now)


def _withdraw(conn: Connection, cpa_id: str, scope: Collection[str], now: datetime) -> AgreementRow | None:
    active = _active(conn, cpa_id, scope)
    if active is not None:
        withdraw_agreement(conn, cpa_id, now)
    return active
