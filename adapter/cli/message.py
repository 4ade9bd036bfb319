# SPDX-License-Identifier: EUPL-1.2

"""`message`: looks into the messages in the store, and mends what became of them."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import looked, note
from adapter.cli.bulk import SinceOption, UntilOption, moment
from adapter.cli.evidence_file import EvidenceOption, write_evidence
from adapter.cli.lazy import new_app
from adapter.cli.message_id import MessageIdArgument, bare, no_such_message
from adapter.cli.message_mend import OF_MESSAGES, StateOption, resend, retry
from adapter.cli.output import Column, say, show_document, show_table
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    LimitOption,
    opened_store,
    read_config,
)
from adapter.config import Config
from adapter.store import (
    StoredMessage,
    events_for,
    find_deliveries,
    find_messages,
    jobs_for,
    message_payloads,
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

app = new_app(
    help="""Look into messages, and mend what became of them.

    Example: stam-adapter message list --state refused

    Example: stam-adapter message show 20230731-0001@dso.example
    """,
    no_args_is_help=True,
)

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


@app.command("list")
def list_messages(
    authority: AuthorityOption = None,
    state: StateOption = None,
    message_id: Annotated[str | None, typer.Option("--message-id", help="Only with this MessageId.")] = None,
    conversation_id: Annotated[
        str | None, typer.Option("--conversation-id", help="Only of this conversation.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List messages, the newest first; by the moment at which they were stored.

    Example: stam-adapter message list --state refused --since 2d
    """
    found = asyncio.run(
        _find(
            read_config(config),
            authority=authority,
            state=state,
            message_id=bare(message_id) if message_id is not None else None,
            conversation_id=conversation_id,
            since=moment("--since", since),
            until=moment("--until", until),
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
    found = asyncio.run(_show(read_config(config), bare(message_id), evidence, as_json=as_json))
    show_document(found, as_json=as_json)


async def _find(config: Config, **wanted: Any) -> list[StoredMessage]:
    async with opened_store(config) as db:
        return await db.read(find_messages, **wanted)


async def _show(config: Config, message_id: str, evidence: Path | None, *, as_json: bool) -> Description:
    async with opened_store(config) as db:
        found = await db.read(_details, message_id, as_json)
        if not found["messages"]:
            no_such_message(message_id)
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
        "jobs": [describe_job(job) for kind in OF_MESSAGES for job in jobs_for(conn, kind, message.id)],
        "answers": [
            {"action": a.action, "messageId": a.message_id, "state": a.state, "reason": a.reason}
            for a in answers
            if a.cpa_id == message.cpa_id
        ],
        "deliveries": [describe_delivery(one) for one in find_deliveries(conn, message=message.id)],
    }


app.command("resend")(resend)
app.command("retry")(retry)
