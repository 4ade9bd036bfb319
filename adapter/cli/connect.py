# SPDX-License-Identifier: EUPL-1.2

"""`connect`: walks an authority through connecting to DSO-LV, and writes the evidence that DSO-beheer asks for."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapter.cli.agreements import known_agreement
from adapter.cli.auditing import changed, note
from adapter.cli.check_cpas import read_cpa_files
from adapter.cli.grounds import (
    EvidenceOption,
    LanguageOption,
    Manner,
    evidence_folder,
    read_agreement,
    standing,
    steps_told,
)
from adapter.cli.names import cpa_ids
from adapter.cli.output import WRONG_USE, Column, fail, say, show_json, show_table
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NamedAuthorityOption,
    named_authority,
    opened_store,
    read_config,
)
from adapter.config import Config, parse_duration
from adapter.connecting import (
    Folder,
    FolderProblem,
    Ground,
    Step,
    Walked,
    advice,
    missing_before_production,
    step_title,
    walk,
)
from adapter.rendering import Language
from adapter.store import AgreementRow, Database, active_agreements
from cpa import CpaError, parse_cpa

_COLUMNS: Final = (
    Column("number", "step"),
    Column("title", "what"),
    Column("progress", "state"),
    Column("when", "when"),
    Column("verzoeknummer", "verzoek"),
    Column("evidence", "evidence"),
)


def connect(
    authority: NamedAuthorityOption,
    step: Annotated[
        list[Step] | None,
        typer.Option("--step", help="Only this step; may be given more than once."),
    ] = None,
    skip: Annotated[
        list[Step] | None,
        typer.Option("--skip", help="Go on without this step, as when it was done in another way."),
    ] = None,
    cpa_id: Annotated[
        str | None,
        typer.Option(
            "--cpa-id",
            "--cpa",
            help="The CPAId; needed where the authority has several.",
            metavar="CPA_ID",
            autocompletion=cpa_ids,
        ),
    ] = None,
    wait: Annotated[
        str,
        typer.Option("--wait", help="How long each step may wait, as 30s, 10m or 1h.", metavar="DURATION"),
    ] = "10m",
    again: Annotated[
        bool, typer.Option("--again", help="Do the steps again, also those that are done.")
    ] = False,
    their_ping: Annotated[
        bool, typer.Option("--their-ping", help="In step ping, wait for a Ping of the partner too.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on though the checks of the CPA find errors.")
    ] = False,
    evidence: EvidenceOption = None,
    language: LanguageOption = Language.NL,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Walk an authority through connecting to DSO-LV.

    To the environment of the configuration: the CPA is checked and published, the partner pinged, the first
    verzoeknotificatie awaited, and its verzoek followed into the sink. Each step leaves a page of evidence. What is
    done stays done: after a failure, give the command again. A daemon must run from step ping on.

    Exit code 0: every step holds; 1: one does not, and what to do was said.

    Example: stam-adapter connect --authority voorbeeldstad --wait 30m
    """
    settings = read_config(config)
    named_authority(settings, authority)
    try:
        manner = Manner(parse_duration(wait), fresh=again, force=force, needs_their_ping=their_ping)
    except ValueError as problem:
        fail(f"--wait {wait!r} {problem}", WRONG_USE)
    folder = evidence_folder(settings, evidence, language)
    steps = tuple(step) if step else tuple(Step)
    asyncio.run(
        _connect(settings, authority, cpa_id, manner, folder, steps, tuple(skip or ()), as_json=as_json)
    )


async def _connect(
    config: Config,
    authority: str,
    cpa_id: str | None,
    manner: Manner,
    folder: Folder,
    steps: Sequence[Step],
    skip: Sequence[Step],
    *,
    as_json: bool,
) -> None:
    async with opened_store(config) as db, steps_told() as report:
        document, row = await _agreement(db, config, authority, cpa_id)
        agreement = read_agreement(config, authority, "the CPA", document)
        known = await known_agreement(db, config, row.cpa_id) if row is not None else None
        async with standing(
            db, config, authority, agreement, document, manner, report, known=known, row=row
        ) as ground:
            try:
                _warn_before_production(folder, ground)
                await note(db, changed("connect", agreement.cpa_id, authority))
                walked = await walk(ground, folder, steps, skip)
            except FolderProblem as problem:
                fail(str(problem))
    _report(ground, folder, walked, as_json=as_json)


async def _agreement(
    db: Database, config: Config, authority: str, cpa_id: str | None
) -> tuple[bytes, AgreementRow | None]:
    """The CPA to connect with, and its row where it is in use: from the store, else from the files to be imported."""
    rows = {row.cpa_id: row for row in await db.read(active_agreements) if row.authority == authority}
    found = _from_files(config, authority) | {name: row.document for name, row in rows.items()}
    if cpa_id is None and len(found) == 1:
        cpa_id = next(iter(found))
    if not found:
        fail(f"{authority} has no CPA; name its file in `cpas`, or add it with `stam-adapter cpa add`")
    if cpa_id is None:
        fail(f"{authority} has several CPAs; choose one with --cpa-id: {', '.join(sorted(found))}", WRONG_USE)
    if cpa_id not in found:
        fail(f"{authority} has no CPA {cpa_id!r}; it has {', '.join(sorted(found))}", WRONG_USE)
    return found[cpa_id], rows.get(cpa_id)


def _from_files(config: Config, authority: str) -> dict[str, bytes]:
    """The CPA files of an authority in the configuration, by CPAId; one that cannot be read is said to be so."""
    found: dict[str, bytes] = {}
    candidates, lines = read_cpa_files(config)
    for line in lines:
        say(line.detail)
    for candidate in candidates:
        if candidate.authority == authority:
            try:
                found[parse_cpa(candidate.document).cpa_id] = candidate.document
            except CpaError as problem:
                say(f"{candidate.place}: {problem}; ask for a correct CPA")
    return found


def _warn_before_production(folder: Folder, ground: Ground) -> None:
    missing = [str(step) for step in missing_before_production(folder, ground.subject)]
    if missing:
        say(
            "connect to pre-production first: there is no evidence of it in "
            f"{folder.directory} for {', '.join(missing)}"
        )


def _report(ground: Ground, folder: Folder, walked: Sequence[Walked], *, as_json: bool) -> None:
    rows = [_row(one) for one in walked]
    complete = all(one.holds for one in walked)
    if as_json:
        subject = ground.subject
        show_json(
            {
                "environment": subject.environment,
                "authority": subject.authority,
                "oin": subject.oin,
                "cpaId": subject.cpa_id,
                "evidence": folder.directory,
                "complete": complete,
                "steps": rows,
            }
        )
    else:
        show_table(_COLUMNS, rows, as_json=False)
    for one in walked:
        result = one.evidence.result if one.evidence is not None else None
        if result is not None and result.trouble is not None:
            fail(f"{one.step}: {result.reason}\n{advice(result.trouble, Language.EN)}")
    say(f"every step holds; the evidence is in {folder.directory / 'index.html'}")


def _row(one: Walked) -> dict[str, Any]:
    evidence = one.evidence
    row: dict[str, Any] = {
        "number": one.step.number,
        "step": one.step,
        "title": step_title(one.step, Language.EN),
        "progress": one.progress,
    }
    if evidence is None:
        return row
    result = evidence.result
    page: Path | None = one.page
    return {
        **row,
        "when": result.at or evidence.ended,
        "verzoeknummer": result.verzoeknummer,
        "reason": result.reason,
        "trouble": result.trouble,
        "advice": advice(result.trouble, Language.EN) if result.trouble is not None else None,
        "evidence": page,
    }
