# SPDX-License-Identifier: EUPL-1.2

"""`db purge` and `db verify`: removes what was kept long enough, and looks whether what is kept is what was stored."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from adapter.cli.auditing import changed, note
from adapter.cli.output import FAILED, Column, fail, say, show_document, show_table
from adapter.cli.progress import progress
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, JsonOption, opened_store, read_config
from adapter.config import Config
from adapter.daemon import Purger, documents_of, effective_policy
from adapter.store import (
    Database,
    Finding,
    Spool,
    active_agreements,
    find_orphans,
    open_spool,
    verify_contents,
)

_MEGABYTE: Final = 1000 * 1000
_COLUMNS: Final = (
    Column("kind", "what"),
    Column("authority", "authority"),
    Column("of", "of", right=True),
    Column("position", "position", right=True),
    Column("reason", "reason"),
)


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Remove what was kept for as long as [retention] says, and show how much of what.

    The daemon does the same every hour; this can run beside it, or while it is stopped. A dry run counts neither the
    answers and deliveries that go with a message, nor lines of the timeline that only the run itself sets free.

    Example: stam-adapter db purge --dry-run
    """
    counts = asyncio.run(_purge(read_config(config), dry_run=dry_run))
    show_document(counts, as_json=as_json)


def verify(
    rate: Annotated[int, typer.Option("--rate", help="MiB to read per second, at most.", min=1)] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Digest every stored content again, and look in the spool for what belongs to nothing.

    Exit code 1 when a content is missing or damaged, or there is an orphan older than a day. What is missing or damaged
    is never delivered: its delivery is parked when its turn comes.

    Example: stam-adapter db verify --rate 20
    """
    checked, octets, findings = asyncio.run(_verify(read_config(config), rate * 1024 * 1024))
    if as_json:
        show_document({"checked": checked, "octets": octets, "findings": findings}, as_json=True)
    else:
        show_table(_COLUMNS, findings, as_json=False)
    summary = f"{checked} contents of {octets} octets looked at, {len(findings)} findings"
    if findings:
        fail(summary, FAILED)
    say(summary)


async def _purge(config: Config, *, dry_run: bool) -> dict[str, int]:
    now = datetime.now(UTC)
    async with opened_store(config) as db:
        policy, said = effective_policy(config, documents_of(await db.read(active_agreements)))
        for text in said:
            say(text)
        purger = Purger(db, open_spool(config))
        if not dry_run:
            await note(db, changed("db.purge", None))
        with progress("counting what may go" if dry_run else "removing what was kept long enough"):
            counts = await (purger.look(policy, now) if dry_run else purger.run(policy, now))
    return {str(what): count for what, count in counts.items()}


async def _verify(config: Config, rate: int) -> tuple[int, int, list[dict[str, Any]]]:
    async with opened_store(config) as db:
        spool = open_spool(config)
        checked, octets, findings = await _digest(db, spool, rate)
        findings += [
            {
                "kind": "orphan",
                "authority": None,
                "of": None,
                "position": None,
                "reason": f"{one.place}: no row names it",
            }
            async for some in find_orphans(db, spool, datetime.now(UTC))
            for one in some
        ]
    return checked, octets, findings


async def _digest(db: Database, spool: Spool, rate: int) -> tuple[int, int, list[dict[str, Any]]]:
    """How many contents of how many octets there are, and what is wrong with which."""
    checked = octets = 0
    findings: list[dict[str, Any]] = []
    with progress("digesting contents") as course:
        async with contextlib.aclosing(verify_contents(db, spool, rate)) as contents:
            async for one in contents:
                checked, octets = checked + 1, octets + one.size
                course.to(checked)
                course.at(f"digesting contents, {octets / _MEGABYTE:,.0f} MB")
                if one.finding is not None:
                    findings.append(_row(one.finding))
    return checked, octets, findings


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "authority": finding.authority,
        "of": finding.of,
        "position": finding.position,
        "reason": finding.reason,
    }
