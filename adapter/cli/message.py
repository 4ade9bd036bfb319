# SPDX-License-Identifier: EUPL-1.2

"""`message`: looks into the messages in the store, and mends what became of them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed, looked, note
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
from adapter.cli.evidence_file import EvidenceOption, write_evidence
from adapter.cli.lazy import new_app
from adapter.cli.names import message_ids
from adapter.cli.output import Column, fail, report, say, show_document, show_table
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    LimitOption,
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
    events_for,
    find_deliveries,
    find_messages,
    jobs_for,
    message_payloads,
    partner_lane,
    resend_response,
    resend_signals,
    retry_messages,
    unpark_jobs,
)
from adapter.views.evidence import Evidence, evidence_of_messages
from adapter.views.stored import (
    Description,
    describe_delivery,
    describe_job,
    describe_message,
    describe_payload,
    timeline,
)
from adapter.work import utc_now

app = new_app(
    help="""Look into messages, and mend what became of them.

    Example: stam-adapter message list --state refused

    Example: stam-adapter message show 20230731-0001@dso.example
    """,
    no_args_is_help=True,
)

MessageIdArgument = Annotated[
    str,
    typer.Argument(
        help="The MessageId, without angle brackets.", metavar="MESSAGE_ID", autocompletion=message_ids
    ),
]

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

_COLUMNS: Final = (
    Column("stored", "stored"),
    Column("authority", "authority"),
    Column("direction", "way"),
    Column("action", "action"),
    Column("state", "state"),
    Column("messageId", "message id"),
    Column("conversationId", "conversation id"),
    Column("reason", "reason"),
)
_OF_MESSAGES: Final = (JobKind.SEND, JobKind.ROUTE)
_OF_DELIVERIES: Final = (JobKind.COLLECT, JobKind.DELIVER)


@app.command("list")
def list_messages(
    authority: AuthorityOption = None,
    state: StateOption = None,
    message_id: Annotated[str | None, typer.Option("--message-id", help="Only with this MessageId.")] = None,
    conversation_id: Annotated[
        str | None, typer.Option("--conversation-id", help="Only of this conversation.")
    ] = None,
    limit: LimitOption = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List messages, the newest first.

    Example: stam-adapter message list --state refused
    """
    found = asyncio.run(
        _find(
            read_config(config),
            authority=authority,
            state=state,
            message_id=_bare(message_id) if message_id is not None else None,
            conversation_id=conversation_id,
            limit=limit,
        )
    )
    show_table(_COLUMNS, map(describe_message, found), as_json=as_json)
    if not found:
        say("no messages found")


@app.command("show")
def show(
    message_id: MessageIdArgument,
    evidence: EvidenceOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of a message.

    Payloads, answers, what follows from it, work to be done, and what happened. With --evidence also all of it in a
    ZIP: headers, SOAP and parts as they were received and sent, the CPA that was in force, and digests.

    Example: stam-adapter message show 20230731-0001@dso.example

    Example: stam-adapter message show 20230731-0001@dso.example --evidence message.zip
    """
    found = asyncio.run(_show(read_config(config), _bare(message_id), evidence, as_json=as_json))
    show_document(found, as_json=as_json)


@app.command("resend")
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
        message = asyncio.run(_resend(settings, _bare(message_id)))
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


@app.command("retry")
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
        count = asyncio.run(_retry(settings, _bare(message_id)))
        report(
            f"{count} parked {'job is' if count == 1 else 'jobs are'} tried again{when_done(settings)}",
            {"messageId": _bare(message_id), "changed": count},
            as_json=as_json,
        )
        return
    choice, now = chosen(authority, None, with_reason, since, until), utc_now()
    done = f"tried again{when_done(settings)}"
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json, what="action", done=done)
    told = changed("message.retry", None, authority, **in_words(choice, state))
    asyncio.run(mend(settings, retry_messages(choice, state, now), now, manner, told))


def _bare(message_id: str) -> str:
    """A MessageId as the store has it: people copy it with its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")


def _not_found(message_id: str) -> NoReturn:
    fail(
        f"there is no message {message_id!r}; look for it with `stam-adapter message list --limit 200`, or by its "
        "conversation with `stam-adapter message list --conversation-id ID`; a verzoeknummer goes to "
        "`stam-adapter verzoek show`"
    )


async def _find(config: Config, **wanted: Any) -> list[StoredMessage]:
    async with opened_store(config) as db:
        return await db.read(find_messages, **wanted)


async def _show(config: Config, message_id: str, evidence: Path | None, *, as_json: bool) -> Description:
    async with opened_store(config) as db:
        found = await db.read(_details, message_id, as_json)
        if not found["messages"]:
            _not_found(message_id)
        for authority in sorted({one["authority"] for one in found["messages"]}):
            await note(db, looked("message.show", message_id, authority))
        if evidence is not None:
            await write_evidence(db, config, await db.read(_evidence, message_id), evidence)
    return found


def _evidence(conn: Connection, message_id: str) -> Evidence:
    return evidence_of_messages(conn, find_messages(conn, message_id=message_id))


def _details(conn: Connection, message_id: str, as_json: bool) -> Description:
    messages = find_messages(conn, message_id=message_id)
    return {
        "messageId": message_id,
        "messages": [_one(conn, message) for message in messages],
        "timeline": timeline(events_for(conn, message_id=message_id), as_json=as_json),
    }


def _one(conn: Connection, message: StoredMessage) -> Description:
    answers = find_messages(conn, ref_to_message_id=message.message_id, authority=message.authority)
    return {
        **describe_message(message),
        "payloads": [describe_payload(payload) for payload in message_payloads(conn, message.id)],
        "jobs": [describe_job(job) for kind in _OF_MESSAGES for job in jobs_for(conn, kind, message.id)],
        "answers": [
            {"action": a.action, "messageId": a.message_id, "state": a.state, "reason": a.reason}
            for a in answers
            if a.cpa_id == message.cpa_id
        ],
        "deliveries": [describe_delivery(one) for one in find_deliveries(conn, message=message.id)],
    }


async def _resend(config: Config, message_id: str) -> StoredMessage:
    async with opened_store(config) as db:
        found = await db.read(find_messages, message_id=message_id)
        if not found:
            _not_found(message_id)
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
            _not_found(message_id)
        if not count:
            fail(f"nothing of {message_id} is parked; see `stam-adapter message show {message_id}`")
        return count


def _unpark(conn: Connection, message_id: str, now: datetime) -> int | None:
    """Make the parked jobs about a message and its deliveries due; how many, None where there is no such message."""
    messages = [message.id for message in find_messages(conn, message_id=message_id)]
    if not messages:
        return None
    deliveries = [one.id for message in messages for one in find_deliveries(conn, message=message)]
    return _unparked(conn, _OF_MESSAGES, messages, now) + _unparked(conn, _OF_DELIVERIES, deliveries, now)


def _unparked(conn: Connection, kinds: Sequence[str], subjects: list[int], now: datetime) -> int:
    return unpark_jobs(conn, kinds, subjects, now) if subjects else 0
