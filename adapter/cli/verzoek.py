# SPDX-License-Identifier: EUPL-1.2

"""`verzoek`: where a verzoek is, and what an operator can do about it."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed, looked, note
from adapter.cli.bulk import (
    DryRunOption,
    Manner,
    SinceOption,
    SinkOption,
    UntilOption,
    WithReasonOption,
    YesOption,
    chosen,
    in_words,
    mend,
    require_one,
)
from adapter.cli.evidence_file import EvidenceOption, write_evidence
from adapter.cli.lazy import new_app
from adapter.cli.names import sink_names, verzoeknummers
from adapter.cli.output import (
    WRONG_CONFIGURATION,
    WRONG_USE,
    Column,
    fail,
    report,
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
    NamedAuthorityOption,
    named_authority,
    opened_store,
    read_config,
    when_done,
)
from adapter.config import AuthorityConfig, Config
from adapter.config import Flow as ConfiguredFlow
from adapter.stam import collect_job
from adapter.store import (
    OPEN_DELIVERY,
    AuditEntry,
    DeliveryState,
    Flow,
    JobKind,
    JobState,
    NewDelivery,
    Origin,
    StoredDelivery,
    WaitingJob,
    create_delivery,
    find_deliveries,
    find_messages,
    jobs_for,
    retry_deliveries,
    retry_verzoek,
    skip_deliveries,
    skip_verzoek,
    verzoek_history,
)
from adapter.views.evidence import evidence_of_verzoek
from adapter.views.stored import Description, describe_delivery, describe_file, describe_job, timeline
from adapter.work import utc_now

app = new_app(
    help="""Look into verzoeken, and mend what became of them.

    Example: stam-adapter verzoek list --state parked

    Example: stam-adapter verzoek show 2023073100048
    """,
    no_args_is_help=True,
)

MAX_NUMBER: Final = 100
"""Longest verzoeknummer that is taken, as in a notification."""

NumberArgument = Annotated[
    str, typer.Argument(help="The verzoeknummer.", metavar="NUMMER", autocompletion=verzoeknummers)
]
MaybeNumberArgument = Annotated[
    str | None,
    typer.Argument(
        help="The verzoeknummer; without one, options choose.",
        metavar="NUMMER",
        show_default=False,
        autocompletion=verzoeknummers,
    ),
]
VolgnummerOption = Annotated[
    str | None, typer.Option("--volgnummer", help="Only the message of the verzoek with this volgnummer.")
]
OpenStateOption = Annotated[
    DeliveryState | None,
    typer.Option("--state", help="Only in this state: parked (else meant), ready or collecting."),
]

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
    limit: LimitOption = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List verzoeken, the newest first.

    With other deliveries among them: a message that is delivered as it is has no verzoeknummer.

    Example: stam-adapter verzoek list --state parked
    """
    found = asyncio.run(_find(read_config(config), authority, state, verzoeknummer, project, limit))
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


@app.command("retry")
def retry(
    verzoeknummer: MaybeNumberArgument = None,
    volgnummer: VolgnummerOption = None,
    authority: AuthorityOption = None,
    state: OpenStateOption = None,
    sink: SinkOption = None,
    with_reason: WithReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Try again what waits for an operator.

    The collecting or the delivery of a verzoek, or of all that the options choose, by the moment at which they were
    parked. With `--state ready` or `--state collecting`: what waits for its next attempt gets it now.

    Example: stam-adapter verzoek retry 2023073100048

    Example: stam-adapter verzoek retry --sink archief --since 2d --dry-run
    """
    choosing = (None if verzoeknummer else authority, state, sink, with_reason, since, until)
    require_one("verzoeknummer", verzoeknummer, choosing, (dry_run, yes))
    if verzoeknummer is None and volgnummer is not None:
        fail("--volgnummer is of one verzoek; give its verzoeknummer", WRONG_USE)
    settings = read_config(config)
    if verzoeknummer is not None:
        count = asyncio.run(_retry(settings, verzoeknummer, volgnummer, authority))
        _say_done(verzoeknummer, count, f"tried again{when_done(settings)}", as_json=as_json)
        return
    choice, now = chosen(authority, sink, with_reason, since, until), utc_now()
    repair = retry_deliveries(choice, _open_state(state), now)
    told = changed("verzoek.retry", None, authority, **in_words(choice, state))
    done = f"tried again{when_done(settings)}"
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json, what="sink", done=done)
    asyncio.run(mend(settings, repair, now, manner, told))


@app.command("skip")
def skip(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands on the timeline.")],
    verzoeknummer: MaybeNumberArgument = None,
    volgnummer: VolgnummerOption = None,
    authority: AuthorityOption = None,
    state: OpenStateOption = None,
    sink: SinkOption = None,
    with_reason: WithReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Give up a verzoek on purpose.

    It is not collected or delivered any more: what of it is parked, so that the messages behind that go on, or when
    nothing is, all that is on its way. Without a number: all that the options choose, by the moment at which they got
    their state.

    Example: stam-adapter verzoek skip 2023073100048 --reason "taken over by hand"

    Example: stam-adapter verzoek skip --authority voorbeeldstad --until 2026-03-01 --reason "taken over by hand"
    """
    if not reason.strip():
        fail("say why with --reason; it stands on the timeline", WRONG_USE)
    choosing = (None if verzoeknummer else authority, state, sink, with_reason, since, until)
    require_one("verzoeknummer", verzoeknummer, choosing, (dry_run, yes))
    if verzoeknummer is None and volgnummer is not None:
        fail("--volgnummer is of one verzoek; give its verzoeknummer", WRONG_USE)
    settings = read_config(config)
    if verzoeknummer is not None:
        count = asyncio.run(_skip(settings, verzoeknummer, volgnummer, authority, reason.strip()))
        _say_done(verzoeknummer, count, "skipped", as_json=as_json)
        return
    choice, now = chosen(authority, sink, with_reason, since, until), utc_now()
    repair = skip_deliveries(choice, _open_state(state), reason.strip(), now)
    told = changed("verzoek.skip", None, authority, **in_words(choice, state))
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json, what="sink", done="skipped")
    asyncio.run(mend(settings, repair, now, manner, told))


@app.command("fetch")
def fetch(
    verzoeknummer: NumberArgument,
    authority: NamedAuthorityOption,
    sink: Annotated[
        str | None,
        typer.Option(
            "--sink",
            help="Where to; else the sink of the first route with flow stam.",
            metavar="NAME",
            autocompletion=sink_names,
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Collect a verzoek without a notification.

    From DSO-LV; it is then delivered as any other.

    Example: stam-adapter verzoek fetch 2023073100049 --authority voorbeeldstad
    """
    settings = read_config(config)
    target = _sink(authority, named_authority(settings, authority), sink)
    if not verzoeknummer.strip() or not verzoeknummer.isprintable() or len(verzoeknummer) > MAX_NUMBER:
        fail(f"{verzoeknummer!r} is no verzoeknummer; it is a number such as 2023073100048", WRONG_USE)
    asyncio.run(_fetch(settings, verzoeknummer.strip(), authority, target))
    report(
        f"{verzoeknummer} is collected for {authority} and delivered to {target}{when_done(settings)}",
        {"verzoeknummer": verzoeknummer.strip(), "authority": authority, "sink": target},
        as_json=as_json,
    )


def _sink(name: str, authority: AuthorityConfig, wanted: str | None) -> str:
    """The sink to deliver to; ends with the fix where that is not clear."""
    if authority.dso is None:
        fail(
            f"there is no place to collect from; add [authorities.{name}.dso] with its url",
            WRONG_CONFIGURATION,
        )
    known = ", ".join(sorted(authority.sinks)) or "none"
    if wanted is not None:
        if wanted not in authority.sinks:
            fail(f"authority {name} has no sink {wanted!r}; known: {known}", WRONG_USE)
        return wanted
    routed = next((route.sink for route in authority.routes if route.flow is ConfiguredFlow.STAM), None)
    if routed is None:
        fail(f"authority {name} has no route with flow stam; choose a --sink: {known}", WRONG_USE)
    return routed


def _open_state(state: DeliveryState | None) -> DeliveryState:
    """The state to choose by; ends with exit code 2 for one in which there is nothing to mend."""
    if state is not None and state not in OPEN_DELIVERY:
        fail(f"what is {state} has ended; choose --state parked, ready or collecting", WRONG_USE)
    return state or DeliveryState.PARKED


def _say_done(verzoeknummer: str, count: int, done: str, *, as_json: bool) -> None:
    deliveries = "1 delivery is" if count == 1 else f"{count} deliveries are"
    document = {"verzoeknummer": verzoeknummer, "changed": count, "done": done}
    report(f"{verzoeknummer}: {deliveries} {done}", document, as_json=as_json)


def _not_found(verzoeknummer: str, authority: str | None) -> NoReturn:
    of = f" of authority {authority!r}" if authority is not None else ""
    fail(
        f"there is no verzoek {verzoeknummer!r}{of}; see `stam-adapter verzoek list`, look for its notification with "
        f"`stam-adapter message list --conversation-id {verzoeknummer}`, or collect it with "
        f"`stam-adapter verzoek fetch {verzoeknummer} --authority {authority or 'NAME'}`"
    )


async def _find(
    config: Config,
    authority: str | None,
    state: DeliveryState | None,
    verzoeknummer: str | None,
    project: str | None,
    limit: int,
) -> list[StoredDelivery]:
    async with opened_store(config) as db:
        return await db.read(find_deliveries, authority, state, verzoeknummer, limit, project_id=project)


async def _show(
    config: Config, verzoeknummer: str, authority: str | None, evidence: Path | None, *, as_json: bool
) -> Description:
    async with opened_store(config) as db:
        found = await db.read(_details, verzoeknummer, authority, as_json)
        if found is None:
            _not_found(verzoeknummer, authority)
        for name in sorted({one["authority"] for one in found["deliveries"]}):
            await note(db, looked("verzoek.show", verzoeknummer, name))
        if evidence is not None:
            whose = None if authority is None else (authority,)
            about = await db.read(evidence_of_verzoek, verzoeknummer, whose)
            if about is None:  # retention removed it since
                _not_found(verzoeknummer, authority)
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


async def _retry(config: Config, verzoeknummer: str, volgnummer: str | None, authority: str | None) -> int:
    async with opened_store(config) as db:
        found, count = await change(
            db,
            lambda conn: retry_verzoek(conn, verzoeknummer, volgnummer, authority, utc_now()),
            lambda done: _told("verzoek.retry", verzoeknummer, *done),
        )
        parked = None if found else await db.read(_parked_message, verzoeknummer)
    if parked is not None:
        fail(
            f"the notification of {verzoeknummer} itself is parked, before its verzoek was known; "
            f"use `stam-adapter message retry {parked}`"
        )
    if not found:
        _not_found(verzoeknummer, authority)
    if not count:
        look = f"see `stam-adapter verzoek show {verzoeknummer}`"
        fail(f"nothing of {verzoeknummer} is parked: {_states(found)}; {look}")
    return count


def _parked_message(conn: Connection, conversation_id: str) -> str | None:
    """The MessageId of a notification of this conversation that could not be routed: DSO-LV uses the number for it."""
    for message in find_messages(conn, conversation_id=conversation_id):
        if any(job.state is JobState.PARKED for job in jobs_for(conn, JobKind.ROUTE, message.id)):
            return message.message_id
    return None


async def _skip(
    config: Config, verzoeknummer: str, volgnummer: str | None, authority: str | None, reason: str
) -> int:
    async with opened_store(config) as db:
        found, count = await change(
            db,
            lambda conn: skip_verzoek(conn, verzoeknummer, volgnummer, authority, reason, utc_now()),
            lambda done: _told("verzoek.skip", verzoeknummer, *done),
        )
    if not found:
        _not_found(verzoeknummer, authority)
    if not count and len({one.authority for one in found if one.state in OPEN_DELIVERY}) > 1:
        names = " and ".join(sorted({one.authority for one in found}))
        fail(f"{verzoeknummer} is a verzoek of {names}; choose one with --authority", WRONG_USE)
    if not count:
        fail(f"{verzoeknummer} is not on its way any more: {_states(found)}; there is nothing to skip")
    return count


async def _fetch(config: Config, verzoeknummer: str, authority: str, sink: str) -> None:
    async with opened_store(config) as db:
        waiting = await change(
            db,
            lambda conn: _create(conn, verzoeknummer, authority, sink, utc_now()),
            lambda waiting: (
                changed("verzoek.fetch", verzoeknummer, authority, sink=sink) if waiting is None else None
            ),
        )
    if waiting is None:
        return
    retry_it = f"use `stam-adapter verzoek retry {verzoeknummer}`"
    instead = retry_it if waiting.state is DeliveryState.PARKED else "wait for it"
    fail(f"{verzoeknummer} is on its way to {sink} already ({waiting.state}); {instead}")


def _create(
    conn: Connection, verzoeknummer: str, authority: str, sink: str, now: datetime
) -> StoredDelivery | None:
    """Make a delivery to be collected, unless one is on its way; that one."""
    for one in find_deliveries(conn, authority, verzoeknummer=verzoeknummer, sink=sink):
        if one.state in OPEN_DELIVERY:
            return one
    new = NewDelivery(
        authority=authority,
        sink=sink,
        flow=Flow.STAM,
        origin=Origin.OPERATOR,
        verzoeknummer=verzoeknummer,
    )
    create_delivery(conn, new, collect_job(authority, sink, verzoeknummer), now)
    return None


def _told(action: str, verzoeknummer: str, found: list[StoredDelivery], count: int) -> AuditEntry | None:
    """What the audit trail is to say of a change to deliveries; nothing where none was changed."""
    if not count:
        return None
    names = sorted({one.authority for one in found})
    return changed(action, verzoeknummer, names[0] if len(names) == 1 else None, deliveries=count)


def _states(found: list[StoredDelivery]) -> str:
    return ", ".join(f"{one.name or one.sink} is {one.state}" for one in found)
