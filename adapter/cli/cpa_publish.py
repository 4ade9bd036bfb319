# SPDX-License-Identifier: EUPL-1.2

"""`cpa publish`: loads a CPA into DSO-LV through its REST API, and keeps the answer as evidence."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapter.cli.auditing import changed, note
from adapter.cli.grounds import (
    EvidenceOption,
    LanguageOption,
    Manner,
    evidence_folder,
    read_agreement,
    standing,
    steps_told,
)
from adapter.cli.output import WRONG_CONFIGURATION, fail, say, show_document
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NamedAuthorityOption,
    named_authority,
    opened_store,
    read_config,
)
from adapter.config import Config
from adapter.connecting import (
    Folder,
    FolderProblem,
    Ground,
    Outcome,
    Result,
    Step,
    Trouble,
    Walked,
    advice,
    check_cpa,
    publication_of,
    take_step,
)
from adapter.rendering import Language
from adapter.store import Database, active_agreements

_LARGEST: Final = 10 * 1024 * 1024


def publish(
    source: Annotated[
        str, typer.Argument(help="A file with a CPA, or the CPAId of one in use.", metavar="FILE|CPA_ID")
    ],
    authority: NamedAuthorityOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the CPA, and show what would be sent.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Publish it though the checks find errors.")] = False,
    evidence: EvidenceOption = None,
    language: LanguageOption = Language.NL,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Load a CPA into DSO-LV.

    This is done on behalf of an authority, through the REST API CPA aanbieden. The CPA is checked first, as `cpa check`
    does. What DSO-LV answers is kept as a page of evidence, and on the timeline. It may be done again: a CPA that is
    there already is said to be there.

    Example: stam-adapter cpa publish cpa/voorbeeldstad.xml --authority voorbeeldstad
    """
    settings = read_config(config)
    if named_authority(settings, authority).publish is None:
        fail(
            f"the configuration does not say how {authority} publishes; add [authorities.{authority}.publish]",
            WRONG_CONFIGURATION,
        )
    folder = evidence_folder(settings, evidence, language)
    asyncio.run(_publish(settings, authority, source, folder, force=force, dry_run=dry_run, as_json=as_json))


async def _publish(
    config: Config,
    authority: str,
    source: str,
    folder: Folder,
    *,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    async with opened_store(config) as db, steps_told() as report:
        document = await _document(db, authority, source)
        agreement = read_agreement(config, authority, source, document)
        manner = Manner(fresh=True, force=force)
        async with standing(db, config, authority, agreement, document, manner, report) as ground:
            if dry_run:
                await _show_request(ground, as_json=as_json)
                return
            await note(db, changed("cpa.publish", agreement.cpa_id, authority))
            walked = await _take(ground, folder)
    _report(walked, as_json=as_json)


async def _document(db: Database, authority: str, source: str) -> bytes:
    """The document of a file, else of the agreement in use that is named; ends the command where it is neither."""
    from_file = _read(Path(source))
    if from_file is not None:
        return from_file
    rows = [row for row in await db.read(active_agreements) if row.authority == authority]
    found = next((row.document for row in rows if row.cpa_id == source), None)
    if found is None:
        listed = ", ".join(row.cpa_id for row in rows) or "none"
        fail(f"{source} is no file, and no agreement of {authority} in use; in use: {listed}")
    return found


def _read(path: Path) -> bytes | None:
    """A file, None where there is none; ends the command where it cannot be a CPA."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            document = file.read(_LARGEST + 1)
    except OSError as error:
        fail(f"{path} cannot be read ({error.strerror}); check its rights")
    if len(document) > _LARGEST:
        fail(f"{path} is larger than {_LARGEST} bytes; this is no CPA")
    return document


async def _show_request(ground: Ground, *, as_json: bool) -> None:
    """What would be sent, and what stands in its way."""
    checked = await check_cpa(ground)
    for remark in checked.remarks:
        say(f"{remark.severity}: {remark.text}")
    if ground.publisher is not None:
        publication = await publication_of(ground, ground.publisher)
        document: dict[str, Any] = {"dryRun": True, "cpaId": publication.cpa_id, **publication.describe()}
        show_document(document, as_json=as_json)
    _refuse(checked)
    say("nothing was sent")


async def _take(ground: Ground, folder: Folder) -> Walked:
    try:
        folder.prepare()
        walked = await take_step(ground, folder, Step.PUBLISH)
        folder.write_index(ground.clock())
    except FolderProblem as problem:
        fail(str(problem))
    return walked


def _report(walked: Walked, *, as_json: bool) -> None:
    if walked.evidence is None:
        return
    result, subject = walked.evidence.result, walked.evidence.subject
    for remark in result.remarks:
        say(f"{remark.severity}: {remark.text}")
    reception = result.facts.get("publish_reception")
    if as_json:
        show_document(
            {
                "cpaId": subject.cpa_id,
                "authority": subject.authority,
                "environment": subject.environment,
                "reception": reception or "not sent",
                "status": result.facts.get("publish_status"),
                "reason": result.reason,
                "evidence": str(walked.page),
            },
            as_json=True,
        )
    elif result.outcome is Outcome.DONE:
        said = "is there already" if reception == "present" else "is published"
        typer.echo(f"{subject.cpa_id} of {subject.authority} {said}; evidence in {walked.page}")
    _refuse(result)


def _refuse(result: Result) -> None:
    """End the command where a step failed, with what to do."""
    trouble = result.trouble
    if trouble is None:
        return
    forced = " Or publish it all the same with --force." if trouble is Trouble.CPA_WRONG else ""
    fail(f"not published: {result.reason}\n{advice(trouble, Language.EN)}{forced}")
