# SPDX-License-Identifier: EUPL-1.2

"""`verzoek`: where a verzoek is, and what an operator can do about it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import looked, note
from adapter.cli.bulk import SinceOption, UntilOption, moment
from adapter.cli.evidence_file import EvidenceOption, write_evidence
from adapter.cli.lazy import new_app
from adapter.cli.output import (
    Column,
    say,
    show_document,
    show_table,
)
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    LimitOption,
    opened_store,
    read_config,
)
from adapter.cli.verzoek_fetch import fetch
from adapter.cli.verzoek_mend import retry, skip
from adapter.cli.verzoek_number import NumberArgument, no_such_verzoek
from adapter.config import Config
from adapter.store import (
    DeliveryState,
    StoredDelivery,
    WaitingJob,
    find_deliveries,
    verzoek_history,
)
from adapter.views.evidence import evidence_of_verzoek
from adapter.views.stored import Description, describe_delivery, describe_file, describe_job, timeline

app = new_app(
    help="""Look into verzoeken, and mend what became of them.

    Example: stam-adapter verzoek list --state parked

    Example: stam-adapter verzoek show 2023073100048
    """,
    no_args_is_help=True,
)

_COLUMNS: Final = (
    Column("changed", "changed"),
    Column("authority", "authority"),
    Column("verzoeknummer", "verzoek"),
    Column("name", "name"),
    Column("type", "type"),
    Column("sink", "sink"),
    Column("state", "state"),
    Column("reason", "reason"),
)


@app.command("list")
def list_verzoeken(
    authority: AuthorityOption = None,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Only in this state.")] = None,
    verzoeknummer: Annotated[
        str | None, typer.Option("--verzoeknummer", help="Only with this verzoeknummer.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only of this projectId.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List verzoeken, the newest first; by the moment at which they got their state.

    With other deliveries among them: a message that is delivered as it is has no verzoeknummer.

    Example: stam-adapter verzoek list --state parked

    Example: stam-adapter verzoek list --authority voorbeeldstad --since 2d
    """
    wanted = {
        "authority": authority,
        "state": state,
        "verzoeknummer": verzoeknummer,
        "project_id": project,
        "since": moment("--since", since),
        "until": moment("--until", until),
    }
    found = asyncio.run(_find(read_config(config), limit, wanted))
    show_table(_COLUMNS, map(describe_delivery, found), as_json=as_json)
    if not found:
        say("no verzoeken found")


@app.command("show")
def show(
    verzoeknummer: NumberArgument,
    authority: AuthorityOption = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show where a verzoek is.

    Its deliveries with their files, the work to be done, and what happened. With --evidence also all of it in a ZIP:
    its messages as they were received and answered, its files, and digests.

    Example: stam-adapter verzoek show 2023073100048

    Example: stam-adapter verzoek show 2023073100048 --evidence verzoek.zip
    """
    found = asyncio.run(_show(read_config(config), verzoeknummer, authority, evidence, as_json=as_json))
    show_document(found, as_json=as_json)


async def _find(config: Config, limit: int, wanted: Mapping[str, Any]) -> list[StoredDelivery]:
    async with opened_store(config) as db:
        return await db.read(find_deliveries, limit=limit, **wanted)


async def _show(
    config: Config, verzoeknummer: str, authority: str | None, evidence: Path | None, *, as_json: bool
) -> Description:
    async with opened_store(config) as db:
        found = await db.read(_details, verzoeknummer, authority, as_json)
        if found is None:
            no_such_verzoek(verzoeknummer, authority)
        for name in sorted({one["authority"] for one in found["deliveries"]}):
            await note(db, looked("verzoek.show", verzoeknummer, name))
        if evidence is not None:
            whose = None if authority is None else (authority,)
            about = await db.read(evidence_of_verzoek, verzoeknummer, whose)
            if about is None:  # retention removed it since
                no_such_verzoek(verzoeknummer, authority)
            await write_evidence(db, config, about, evidence)
    return found


def _details(
    conn: Connection, verzoeknummer: str, authority: str | None, as_json: bool
) -> Description | None:
    found = verzoek_history(conn, verzoeknummer, authority)
    if found is None:
        return None
    return {
        "verzoeknummer": verzoeknummer,
        "sameProject": list(found.same_project),
        "deliveries": [
            {
                **describe_delivery(one.delivery),
                "files": [describe_file(file) for file in one.files],
                "jobs": [
                    {**describe_job(waiting.job), "waitsFor": _waits_for(waiting)} for waiting in one.jobs
                ],
            }
            for one in found.deliveries
        ],
        "timeline": timeline(list(found.events), as_json=as_json),
    }


def _waits_for(waiting: WaitingJob) -> str | None:
    """The message of the same verzoek that must go before this one, and what becomes of it."""
    before = waiting.waits_for
    if before is None:
        return None
    name = before.name or f"volgnummer {before.announced or 'unknown'}"
    return f"{name}, which is {before.state}"


app.command("retry")(retry)
app.command("skip")(skip)
app.command("fetch")(fetch)
