# SPDX-License-Identifier: EUPL-1.2

"""`reconcile`: asks Verzoek afhandelen now for verzoeken that were never announced, and has them collected."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from adapter.cli.auditing import changed, note
from adapter.cli.output import (
    FAILED,
    WRONG_CONFIGURATION,
    WRONG_USE,
    Column,
    fail,
    say,
    show_json,
    show_table,
)
from adapter.cli.progress import progress
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    daemon_runs,
    fail_configuration,
    named_authority,
    opened_store,
    read_config,
)
from adapter.config import Config, ConfigProblem
from adapter.daemon import CrlFetcher, Sources, load_keys, load_revocation, load_trust, reconcile_plans
from adapter.observe import Metrics
from adapter.stam import FetchProblem, Finding, Plan, Reconciler, Reconciliation, Verdict
from adapter.work import utc_now

_COLUMNS: Final = (
    Column("authority", "authority"),
    Column("verzoeknummer", "verzoek"),
    Column("volgnummer", "volgnummer"),
    Column("doel", "doel"),
    Column("bevoegdGezag", "bevoegd gezag"),
    Column("behandeldienst", "behandeldienst"),
    Column("outcome", "outcome"),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What asking for one authority gave: what was found, or why that failed."""

    authority: str
    found: Reconciliation | None = None
    problem: str | None = None


def reconcile(
    authority: AuthorityOption = None,
    days: Annotated[
        int | None, typer.Option("--days", help="How many days back; else as configured.", min=1, max=366)
    ] = None,
    verzoeknummer: Annotated[
        str | None, typer.Option("--verzoeknummer", help="Search for this one, instead of in the area.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be fetched.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Ask DSO-LV for verzoeken of which the notification never arrived.

    What the store does not have is collected by the daemon and delivered as any other. Each verzoek that is found
    is shown with its outcome: fetched (missing in a dry run), known, or waiting because it is on its way or parked.
    Those of other organisations are left alone and not shown.

    Example: stam-adapter reconcile --authority voorbeeldstad --days 14 --dry-run
    """
    settings = read_config(config)
    _require_plans(settings, authority)
    _require_memory(settings, authority, days)
    asked = asyncio.run(_reconcile(settings, authority, days, verzoeknummer, dry_run=dry_run))
    if as_json:
        show_json({"dryRun": dry_run, "authorities": [_describe(one) for one in asked]})
    else:
        rows = (row for one in asked for row in _rows(one))
        show_table(_COLUMNS, rows, as_json=False)
    _conclude(settings, asked)


def _require_plans(config: Config, authority: str | None) -> None:
    """End with the fix where there is nothing to ask."""
    if authority is not None and named_authority(config, authority).reconcile is None:
        fail(
            f"authority {authority} has no area to ask about; add [authorities.{authority}.reconcile] with its area",
            WRONG_CONFIGURATION,
        )
    if all(one.reconcile is None for one in config.authorities.values()):
        fail(
            "no authority has an area to ask about; add [authorities.<name>.reconcile] with its area",
            WRONG_CONFIGURATION,
        )


def _require_memory(config: Config, authority: str | None, days: int | None) -> None:
    """End where what was delivered may be forgotten already: it would be collected and delivered again."""
    for name, settings in config.authorities.items():
        if days is None or settings.reconcile is None or authority not in {None, name}:
            continue
        kept = config.retention_of(name).messages
        if kept <= timedelta(days=days + 1):
            fail(
                f"{name}: --days {days} goes back further than messages are kept ({kept.days} days), so that known "
                "verzoeken would be collected again; choose less, or make retention.messages longer",
                WRONG_USE,
            )


async def _reconcile(
    config: Config, authority: str | None, days: int | None, verzoeknummer: str | None, *, dry_run: bool
) -> list[_Asked]:
    try:
        trust, revocation = load_trust(config), await load_revocation(config, utc_now)
        sources = Sources(config, load_keys(config), trust, utc_now, revocation)
    except ConfigProblem as problem:
        fail_configuration(problem)
    if revocation.is_on:
        CrlFetcher(revocation, trust, config.trust.revocation, config.outgoing, Metrics())
    try:
        plans = reconcile_plans(config, sources)
        async with opened_store(config) as db:
            reconciler = Reconciler(db, lambda: plans, Metrics(), utc_now)
            for name in () if dry_run else sorted(plans):
                if authority in {None, name}:
                    await note(db, changed("reconcile", verzoeknummer, name))
            wanted = [plan for name, plan in plans.items() if authority in {None, name}]
            asked: list[_Asked] = []
            with progress("asking DSO-LV") as course:
                for plan in wanted:
                    course.at(f"asking DSO-LV for {plan.authority}")
                    asked.append(await _ask(reconciler, plan, days, verzoeknummer, dry_run=dry_run))
                    course.to(len(asked), len(wanted))
            return asked
    finally:
        await sources.close()


async def _ask(
    reconciler: Reconciler, plan: Plan, days: int | None, verzoeknummer: str | None, *, dry_run: bool
) -> _Asked:
    try:
        found = await reconciler.reconcile(plan, days=days, verzoeknummer=verzoeknummer, dry_run=dry_run)
    except FetchProblem as problem:
        return _Asked(plan.authority, problem=problem.reason)
    return _Asked(plan.authority, found)


def _conclude(config: Config, asked: list[_Asked]) -> None:
    found = [one.found for one in asked if one.found is not None]
    fetched = sum(one.fetched for one in found)
    foreign = sum(one.result.foreign for one in found)
    if fetched and not daemon_runs(config):
        say("they are collected as soon as the daemon runs")
    if foreign:
        say(f"{foreign} of other organisations left alone")
    if not any(one.findings for one in found):
        say("no verzoeken of ours found")
    for one in asked:
        if one.found is not None and not one.found.result.complete:
            say(f"{one.authority}: there are more than are read; make the area smaller, or --days")
    if problems := [f"{one.authority}: {one.problem}" for one in asked if one.problem is not None]:
        fail("\n".join(problems), FAILED)


def _rows(asked: _Asked) -> list[Mapping[str, Any]]:
    findings = asked.found.findings if asked.found is not None else ()
    return [{"authority": asked.authority, **_finding(finding)} for finding in findings]


def _finding(finding: Finding) -> dict[str, Any]:
    hit = finding.hit
    return {
        "verzoeknummer": hit.verzoeknummer,
        "volgnummer": hit.volgnummer,
        "doel": hit.doel,
        "bevoegdGezag": hit.bevoegd_gezag,
        "behandeldienst": hit.behandeldienst,
        "outcome": finding.verdict if finding.delivery is None else "fetched",
        "delivery": finding.delivery,
    }


def _describe(asked: _Asked) -> dict[str, Any]:
    found = asked.found
    if found is None:
        return {"authority": asked.authority, "problem": asked.problem, "hits": []}
    return {
        "authority": asked.authority,
        "problem": None,
        "found": len(found.findings),
        "fetched": found.fetched,
        "missing": found.count(Verdict.MISSING) - found.fetched,
        "known": found.count(Verdict.KNOWN),
        "waiting": found.count(Verdict.WAITING),
        "foreign": found.result.foreign,
        "unusable": found.result.unusable,
        "complete": found.result.complete,
        "hits": [_finding(finding) for finding in found.findings],
    }
