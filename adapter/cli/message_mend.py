# SPDX-License-Identifier: EUPL-1.2

"""`message resend` and `message retry`: sends again, or tries again what waits for an operator; one, or many."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed
from adapter.cli.bulk import (
    DryRunOption,
    Manner,
    SinceOption,
    UntilOption,
    WithReasonOption,
    YesOption,
    chosen,
    in_words,
    mend,
    require_one,
)
from adapter.cli.message_id import bare, no_such_message
from adapter.cli.names import message_ids
from adapter.cli.output import fail, report, say
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    opened_store,
    read_config,
    when_done,
)
from adapter.config import Config
from adapter.store import (
    RESENDABLE,
    Choice,
    Database,
    Direction,
    JobKind,
    MessageKind,
    MessageState,
    NewJob,
    StoredMessage,
    active_agreements,
    count_unsendable,
    find_deliveries,
    find_messages,
    partner_lane,
    resend_response,
    resend_signals,
    retry_messages,
    unpark_jobs,
)
from adapter.work import utc_now

MaybeMessageIdArgument = Annotated[
    str | None,
    typer.Argument(
        help="The MessageId, without angle brackets; without one, options choose.",
        metavar="MESSAGE_ID",
        autocompletion=message_ids,
        show_default=False,
    ),
]

StateOption = Annotated[MessageState | None, typer.Option("--state", help="Only in this state.")]

OF_MESSAGES: Final = (JobKind.SEND, JobKind.ROUTE)
"""The kinds of work about a message itself."""

_OF_DELIVERIES: Final = (JobKind.COLLECT, JobKind.DELIVER)


def resend(
    message_id: MaybeMessageIdArgument = None,
    authority: AuthorityOption = None,
    state: StateOption = None,
    with_reason: WithReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Send an acknowledgment of ours again.

    Or another signal (an error, a Pong), with the same octets as before. Without a MessageId: all that the options
    choose, by the moment at which they were made, as far as the partner can still use them.

    Example: stam-adapter message resend 6f1c0a52@adapter.example

    Example: stam-adapter message resend --authority voorbeeldstad --since 2026-03-01T08:00 --until 2026-03-01T10:00
    """
    require_one("MessageId", message_id, (authority, state, with_reason, since, until), (dry_run, yes))
    settings = read_config(config)
    if message_id is not None:
        message = asyncio.run(_resend(settings, bare(message_id)))
        document = {"messageId": message.message_id, "action": message.action, "changed": 1}
        report(
            f"{message.action} {message.message_id} is sent again{when_done(settings)}",
            document,
            as_json=as_json,
        )
        return
    choice, now = chosen(authority, None, with_reason, since, until), utc_now()
    asyncio.run(_say_what_is_left(settings, choice, state, now))
    done = f"sent again{when_done(settings)}"
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json, what="action", done=done)
    told = changed("message.resend", None, authority, **in_words(choice, state))
    asyncio.run(mend(settings, resend_signals(choice, state, now), now, manner, told))


def retry(
    message_id: MaybeMessageIdArgument = None,
    authority: AuthorityOption = None,
    state: StateOption = None,
    with_reason: WithReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Try again what waits for an operator.

    The routing of a message, or the delivery of its payloads. Without a MessageId: the routing and sending of all
    messages that the options choose, by the moment at which they were stored; parked deliveries are for
    `verzoek retry`.

    Example: stam-adapter message retry 20230731-0001@dso.example

    Example: stam-adapter message retry --with-reason "no route" --dry-run
    """
    require_one("MessageId", message_id, (authority, state, with_reason, since, until), (dry_run, yes))
    settings = read_config(config)
    if message_id is not None:
        count = asyncio.run(_retry(settings, bare(message_id)))
        report(
            f"{count} parked {'job is' if count == 1 else 'jobs are'} tried again{when_done(settings)}",
            {"messageId": bare(message_id), "changed": count},
            as_json=as_json,
        )
        return
    choice, now = chosen(authority, None, with_reason, since, until), utc_now()
    done = f"tried again{when_done(settings)}"
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json, what="action", done=done)
    told = changed("message.retry", None, authority, **in_words(choice, state))
    asyncio.run(mend(settings, retry_messages(choice, state, now), now, manner, told))


async def _resend(config: Config, message_id: str) -> StoredMessage:
    async with opened_store(config) as db:
        found = await db.read(find_messages, message_id=message_id)
        if not found:
            no_such_message(message_id)
        outgoing = [message for message in found if message.direction is Direction.OUT]
        if not outgoing:
            await _say_what_instead(db, found[0])
        message = outgoing[0]
        await _check_resendable(db, message)
        job = NewJob(JobKind.SEND, partner_lane(message.authority, message.cpa_id))
        await change(
            db,
            lambda conn: resend_response(conn, message.id, job, utc_now()),
            lambda _: changed("message.resend", message.message_id, message.authority),
        )
        return message


async def _say_what_is_left(
    config: Config, choice: Choice, state: MessageState | None, now: datetime
) -> None:
    async with opened_store(config) as db:
        left = await db.read(count_unsendable, choice, state, now)
    for why, count in left.items():
        say(f"{count} left alone: {why}")


async def _say_what_instead(db: Database, message: StoredMessage) -> NoReturn:
    """An incoming message is the partner's to send again; its answer is ours."""
    answers = await db.read(find_messages, ref_to_message_id=message.message_id, direction=Direction.OUT)
    resend_it = (
        f"send our answer again with `stam-adapter message resend {answers[0].message_id}`; "
        if answers
        else ""
    )
    fail(
        f"{message.message_id} was received, not sent: {resend_it}"
        f"to try again what follows from it, use `stam-adapter message retry {message.message_id}`"
    )


async def _check_resendable(db: Database, message: StoredMessage) -> None:
    if message.kind not in RESENDABLE:
        instead = f"; use `stam-adapter ping {message.cpa_id}`" if message.kind is MessageKind.PING else ""
        fail(f"{message.message_id} is a {message.kind}, which is not sent again{instead}")
    if message.expires_at is not None and message.expires_at <= utc_now():
        fail(
            f"{message.message_id} was of use until {message.expires_at:%Y-%m-%d %H:%M}Z: the partner waits for it no "
            "longer; ask the partner to send the message again"
        )
    if message.cpa_id not in {row.cpa_id for row in await db.read(active_agreements)}:
        fail(
            f"agreement {message.cpa_id} is not in use; add its CPA with `stam-adapter cpa add`, then resend"
        )


async def _retry(config: Config, message_id: str) -> int:
    async with opened_store(config) as db:
        count = await change(
            db,
            lambda conn: _unpark(conn, message_id, utc_now()),
            lambda count: changed("message.retry", message_id, jobs=count) if count else None,
        )
        if count is None:
            no_such_message(message_id)
        if not count:
            fail(f"nothing of {message_id} is parked; see `stam-adapter message show {message_id}`")
        return count


def _unpark(conn: Connection, message_id: str, now: datetime) -> int | None:
    """Make the parked jobs about a message and its deliveries due; how many, None where there is no such message."""
    messages = [message.id for message in find_messages(conn, message_id=message_id)]
    if not messages:
        return None
    deliveries = [one.id for message in messages for one in find_deliveries(conn, message=message)]
    return _unparked(conn, OF_MESSAGES, messages, now) + _unparked(conn, _OF_DELIVERIES, deliveries, now)


def _unparked(conn: Connection, kinds: Sequence[str], subjects: list[int], now: datetime) -> int:
    return unpark_jobs(conn, kinds, subjects, now) if subjects else 0
