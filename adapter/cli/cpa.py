# SPDX-License-Identifier: EUPL-1.2

"""`cpa`: reads CPA documents, and manages the agreements in the store."""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed
from adapter.cli.check_cpas import Candidate, check_cpa
from adapter.cli.check_line import Line, Result
from adapter.cli.lazy import LazyCommand, LazyGroup, new_app
from adapter.cli.names import cpa_ids
from adapter.cli.output import FAILED, Column, fail, say, show_document, show_table
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NamedAuthorityOption,
    named_authority,
    opened_store,
    read_config,
)
from adapter.config import AuthorityConfig, Config
from adapter.pki import KeyPair, KeyProblem
from adapter.store import (
    AgreementRow,
    AgreementSource,
    AgreementState,
    active_agreements,
    agreement_history,
    put_agreement,
    withdraw_agreement,
)
from adapter.views.cpas import describe_cpa, describe_finding
from adapter.work import utc_now
from cpa import (
    CollaborationProtocolAgreement,
    CpaError,
    NotAParty,
    Severity,
    agreement_for,
    lint,
    parse_cpa,
)


class _Commands(LazyGroup):
    """The command that needs much more than the others do."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {
        "publish": LazyCommand("adapter.cli.cpa_publish", "publish", "Load a CPA into DSO-LV.")
    }


app = new_app(
    cls=_Commands,
    help="""Read and manage CPA documents.

    Example: stam-adapter cpa check cpa/voorbeeldstad.xml
    """,
    no_args_is_help=True,
)

FileArgument = Annotated[
    Path,
    typer.Argument(help="A file with a CPA.", metavar="FILE", exists=True, dir_okay=False, readable=True),
]

_FINDING_COLUMNS: Final = (
    Column("severity", "severity"),
    Column("rule", "rule"),
    Column("where", "where"),
    Column("message", "message"),
)
_LIST_COLUMNS: Final = (
    Column("authority", "authority"),
    Column("cpaId", "cpa id"),
    Column("partner", "partner"),
    Column("status", "status"),
    Column("start", "start"),
    Column("end", "end"),
    Column("inForce", "in force"),
    Column("source", "source"),
    Column("since", "since"),
)


@app.command("check")
def check(
    file: FileArgument,
    production: Annotated[
        bool, typer.Option("--production", help="Refuse what only test environments allow.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a CPA against the rules of Digikoppeling.

    Exit code 1: it has errors.

    Example: stam-adapter cpa check cpa/voorbeeldstad.xml --production
    """
    document = _parse(file, file.read_bytes())
    findings = lint(document, production=production, now=utc_now())
    rows = [describe_finding(finding) for finding in findings]
    if as_json:
        show_document({"cpaId": document.cpa_id, "production": production, "findings": rows}, as_json=True)
    elif rows:
        show_table(_FINDING_COLUMNS, rows, as_json=False)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if errors:
        fail(f"{document.cpa_id}: {errors} errors; ask whoever made the CPA to correct it")
    say(f"{document.cpa_id}: no errors")


@app.command("show")
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show what is in a CPA.

    Parties, roles, channels, certificates, and of each action what was agreed: profile, endpoint, retries.

    Example: stam-adapter cpa show cpa/voorbeeldstad.xml
    """
    document = _parse(file, file.read_bytes())
    show_document(describe_cpa(document, utc_now()), as_json=as_json)


@app.command("list")
def list_agreements(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the agreements in use.

    Example: stam-adapter cpa list
    """
    settings = read_config(config)
    rows = asyncio.run(_active(settings))
    now = utc_now()
    show_table(_LIST_COLUMNS, [_listed(settings, row, now) for row in rows], as_json=as_json)
    if not rows:
        say(
            "no agreement is in use; start the daemon with `cpas` in the configuration, or `stam-adapter cpa add`"
        )


@app.command("add")
def add(
    file: FileArgument,
    authority: NamedAuthorityOption,
    force: Annotated[bool, typer.Option("--force", help="Add it though the checks find errors.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Put a CPA to use.

    It takes the place of the one with the same CPAId. A running daemon notices within seconds.

    Example: stam-adapter cpa add nieuw.xml --authority voorbeeldstad
    """
    settings = read_config(config)
    owner = named_authority(settings, authority)
    data = file.read_bytes()
    document = _parse(file, data)
    try:
        agreement = agreement_for(document, owner.party_id)
    except NotAParty as problem:
        fail(f"{problem}; give the --authority that is a party, or correct its `party` in the configuration")
    candidate = Candidate(authority, file.name, data)
    _judge(check_cpa(settings, _keys(owner), candidate, agreement, utc_now()), force=force)
    changed = asyncio.run(_put(settings, authority, document.cpa_id, data, file.absolute()))
    _report(
        as_json,
        document.cpa_id,
        authority,
        changed,
        "in use" if changed else "in use already; nothing changed",
    )


@app.command("withdraw")
def withdraw(
    cpa_id: Annotated[
        str, typer.Argument(help="The CPAId of the agreement.", metavar="CPA_ID", autocompletion=cpa_ids)
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """End an agreement.

    No message is received under it any more. A running daemon notices within seconds.

    Example: stam-adapter cpa withdraw Verzoeknotificatie_00000004000000001000_00000001001100415000_1
    """
    settings = read_config(config)
    authority = asyncio.run(_withdraw(settings, cpa_id))
    _report(
        as_json,
        cpa_id,
        authority,
        True,
        "withdrawn; a CPA file of the configuration brings it back when it changes",
    )


def _parse(file: Path, data: bytes) -> CollaborationProtocolAgreement:
    try:
        return parse_cpa(data)
    except CpaError as problem:
        fail(f"{file}: {problem}; ask for a correct CPA")


def _keys(authority: AuthorityConfig) -> KeyPair | None:
    try:
        return authority.load(strict=False)
    except KeyProblem as problem:
        say(f"whether the CPA has our certificate is not checked: {problem}")
        return None


def _judge(lines: list[Line], *, force: bool) -> None:
    """Say what is wrong with a CPA, and end here when it has errors, unless that is wanted."""
    for line in lines:
        if line.result is not Result.OK:
            say(f"{line.result}: {line.detail}")
    errors = sum(line.result is Result.ERROR for line in lines)
    if errors and not force:
        fail(
            f"not added: {errors} errors; ask for a corrected CPA, or add it all the same with --force",
            FAILED,
        )


def _report(as_json: bool, cpa_id: str, authority: str, changed: bool, outcome: str) -> None:
    if as_json:
        show_document({"cpaId": cpa_id, "authority": authority, "changed": changed}, as_json=True)
    else:
        typer.echo(f"{cpa_id} of {authority}: {outcome}")


def _listed(config: Config, row: AgreementRow, now: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "authority": row.authority,
        "cpaId": row.cpa_id,
        "source": row.source,
        "since": row.active_from,
        "sha256": row.digest,
    }
    owner = config.authorities.get(row.authority)
    if owner is None:
        return {**shown, "status": "of no authority in the configuration", "inForce": False}
    try:
        agreement = agreement_for(parse_cpa(row.document), owner.party_id)
    except (CpaError, NotAParty) as problem:
        return {**shown, "status": f"cannot be used: {problem}", "inForce": False}
    return {
        **shown,
        "partner": agreement.them.name,
        "status": agreement.status,
        "start": agreement.start,
        "end": agreement.end,
        "inForce": agreement.is_active_at(now),
    }


async def _active(config: Config) -> tuple[AgreementRow, ...]:
    async with opened_store(config) as db:
        return await db.read(active_agreements)


async def _put(config: Config, authority: str, cpa_id: str, data: bytes, path: Path) -> bool:
    async with opened_store(config) as db:
        return await change(
            db,
            lambda conn: _put_once(conn, authority, cpa_id, data, path),
            lambda put: changed("cpa.put", cpa_id, authority) if put else None,
        )


def _put_once(conn: Connection, authority: str, cpa_id: str, data: bytes, path: Path) -> bool:
    """Put a document to use unless exactly it is in use; whether that changed anything."""
    digest = hashlib.sha256(data).hexdigest()
    for row in agreement_history(conn, cpa_id):
        if (row.authority, row.digest, row.state) == (authority, digest, AgreementState.ACTIVE):
            return False
    put_agreement(conn, authority, cpa_id, data, AgreementSource.UPLOAD, utc_now(), path)
    return True


async def _withdraw(config: Config, cpa_id: str) -> str:
    """End an agreement; whose it was."""
    async with opened_store(config) as db:
        active = {row.cpa_id: row.authority for row in await db.read(active_agreements)}
        if cpa_id not in active:
            fail(f"there is no agreement {cpa_id!r} in use; in use: {', '.join(sorted(active)) or 'none'}")
        await change(
            db,
            lambda conn: withdraw_agreement(conn, cpa_id, utc_now()),
            lambda _: changed("cpa.withdraw", cpa_id, active[cpa_id]),
        )
        return active[cpa_id]
