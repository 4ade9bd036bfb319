# SPDX-License-Identifier: EUPL-1.2

"""`verzoek retry` and `verzoek skip`: goes on with what waits for an operator, or gives it up; one, or many at once."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed
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
from adapter.cli.names import verzoeknummers
from adapter.cli.output import (
    WRONG_USE,
    fail,
    report,
)
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    opened_store,
    read_config,
    when_done,
)
from adapter.cli.verzoek_number import no_such_verzoek
from adapter.config import Config
from adapter.store import (
    OPEN_DELIVERY,
    AuditEntry,
    DeliveryState,
    JobKind,
    JobState,
    StoredDelivery,
    find_messages,
    jobs_for,
    retry_deliveries,
    retry_verzoek,
    skip_deliveries,
    skip_verzoek,
)
from adapter.work import utc_now

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


def _open_state(state: DeliveryState | None) -> DeliveryState:
    """The state to choose by; ends with exit code 2 for one in which there is nothing to mend."""
    if state is not None and state not in OPEN_DELIVERY:
        fail(f"what is {state} has ended; choose --state parked, ready or collecting", WRONG_USE)
    return state or DeliveryState.PARKED


def _say_done(verzoeknummer: str, count: int, done: str, *, as_json: bool) -> None:
    deliveries = "1 delivery is" if count == 1 else f"{count} deliveries are"
    document = {"verzoeknummer": verzoeknummer, "changed": count, "done": done}
    report(f"{verzoeknummer}: {deliveries} {done}", document, as_json=as_json)


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
        no_such_verzoek(verzoeknummer, authority)
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
        no_such_verzoek(verzoeknummer, authority)
    if not count and len({one.authority for one in found if one.state in OPEN_DELIVERY}) > 1:
        names = " and ".join(sorted({one.authority for one in found}))
        fail(f"{verzoeknummer} is a verzoek of {names}; choose one with --authority", WRONG_USE)
    if not count:
        fail(f"{verzoeknummer} is not on its way any more: {_states(found)}; there is nothing to skip")
    return count


def _told(action: str, verzoeknummer: str, found: list[StoredDelivery], count: int) -> AuditEntry | None:
    """What the audit trail is to say of a change to deliveries; nothing where none was changed."""
    if not count:
        return None
    names = sorted({one.authority for one in found})
    return changed(action, verzoeknummer, names[0] if len(names) == 1 else None, deliveries=count)


def _states(found: list[StoredDelivery]) -> str:
    return ", ".join(f"{one.name or one.sink} is {one.state}" for one in found)
