# SPDX-License-Identifier: EUPL-1.2

"""`ping`: a Ping to the partner of an agreement, and the wait for its Pong."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from adapter.cli.agreements import known_agreement
from adapter.cli.auditing import change, changed
from adapter.cli.names import cpa_ids
from adapter.cli.output import WRONG_USE, fail, say, show_json
from adapter.cli.progress import progress
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    daemon_runs,
    opened_store,
    read_config,
)
from adapter.config import Config, parse_duration
from adapter.msh import await_answer, new_ping, send_job
from adapter.store import MessageState, StoredMessage, insert_message

_SLACK = timedelta(seconds=2)


def ping(
    cpa_id: Annotated[
        str, typer.Argument(help="The CPAId of the agreement.", metavar="CPA_ID", autocompletion=cpa_ids)
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    wait: Annotated[
        str,
        typer.Option("--wait", help="How long to wait for the Pong, as 30s or 2m.", metavar="DURATION"),
    ] = "30s",
    as_json: JsonOption = False,
) -> None:
    """Send a Ping under an agreement and wait for the Pong.

    The running daemon sends it, so that agreement, addresses, certificates and routing are tested both ways.

    Example: stam-adapter ping Verzoeknotificatie_00000004000000001000_00000001001100415000_1
    """
    try:
        patience = parse_duration(f"{wait}s" if wait.isdecimal() else wait)
    except ValueError as problem:
        fail(f"--wait {wait!r} {problem}", WRONG_USE)
    settings = read_config(config)
    if not daemon_runs(settings):
        fail(
            f"no daemon runs on {settings.state}; start it with `stam-adapter run`, since the Pong comes to it"
        )
    message = asyncio.run(_ping(settings, cpa_id, patience))
    _report(message, as_json)


async def _ping(config: Config, cpa_id: str, wait: timedelta) -> StoredMessage:
    async with opened_store(config) as db:
        known = await known_agreement(db, config, cpa_id)
        now = datetime.now(UTC)
        message = new_ping(known, now, life=wait)
        row_id = await change(
            db,
            lambda conn: insert_message(conn, message, send_job(known), now),
            lambda _: changed("ping", cpa_id, known.authority),
        )
        with progress("waiting for the Pong"):
            return await await_answer(db, row_id, wait + _SLACK)


def _report(message: StoredMessage, as_json: bool) -> None:
    answered = message.state is MessageState.ANSWERED
    took = (message.updated_at - message.created_at).total_seconds()
    if as_json:
        show_json(
            {
                "cpaId": message.cpa_id,
                "messageId": message.message_id,
                "state": message.state,
                "answered": answered,
                "seconds": round(took, 3) if answered else None,
                "reason": message.reason,
            }
        )
    elif answered:
        typer.echo(f"Pong from {message.to_party} in {took:.2f} s")
    if not answered:
        if message.state is MessageState.SENT:
            say(
                f"the partner took the Ping, but no Pong came: ask {message.to_party} whether they answer pings"
            )
        fail(f"no Pong: {message.reason or f'the Ping is {message.state}'}")
