"""`ping`: a Ping to the partner of an agreement, and the wait for its Pong."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from adapter.authorities import AgreementDocument, KnownAgreement, build_authorities
from adapter.cli.output import fail, say, show_json
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    daemon_runs,
    fail_configuration,
    opened_store,
    read_config,
)
from adapter.config import Config, ConfigProblem
from adapter.daemon import load_keys
from adapter.msh import new_ping, send_job
from adapter.store import (
    Database,
    MessageState,
    StoredMessage,
    active_agreements,
    get_message,
    insert_message,
)

_OPEN = {MessageState.CREATED, MessageState.SENT}
_SLACK = timedelta(seconds=2)


def ping(
    cpa_id: Annotated[str, typer.Argument(help="The CPAId of the agreement.", metavar="CPA_ID")],
    config: ConfigOption = DEFAULT_CONFIG,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the Pong.", min=1)] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Send a Ping under an agreement and wait for the Pong.

    The running daemon sends it, so that agreement, addresses, certificates and routing are tested both ways.

    Example: stam-adapter ping Verzoeknotificatie_0000..._0000..._1
    """
    settings = read_config(config)
    if not daemon_runs(settings):
        fail(
            f"no daemon runs on {settings.state}; start it with `stam-adapter run`, since the Pong comes to it"
        )
    message = asyncio.run(_ping(settings, cpa_id, timedelta(seconds=wait)))
    _report(message, as_json)


async def _ping(config: Config, cpa_id: str, wait: timedelta) -> StoredMessage:
    async with opened_store(config) as db:
        known = await _agreement(db, config, cpa_id)
        now = datetime.now(UTC)
        message = new_ping(known, now, life=wait)
        row_id = await db.write(insert_message, message, send_job(known), now)
        return await _answer(db, row_id, wait + _SLACK)


async def _agreement(db: Database, config: Config, cpa_id: str) -> KnownAgreement:
    rows = await db.read(active_agreements)
    documents = [AgreementDocument(row.authority, row.cpa_id, row.document) for row in rows]
    try:
        authorities, problems = build_authorities(config.authorities, load_keys(config), documents, "")
    except ConfigProblem as problem:
        fail_configuration(problem)
    known = authorities.find_agreement(cpa_id)
    if known is None:
        listed = ", ".join(sorted(one.cpa_id for one in authorities.agreements())) or "none"
        fail("\n".join([*problems, f"there is no agreement {cpa_id!r} in use; in use: {listed}"]))
    return known


async def _answer(db: Database, row_id: int, wait: timedelta) -> StoredMessage:
    loop = asyncio.get_running_loop()
    until = loop.time() + wait.total_seconds()
    while True:
        seen = db.changes.count
        message = await db.read(get_message, row_id)
        left = until - loop.time()
        if message.state not in _OPEN or left <= 0:
            return message
        await db.wait_for_change(left, since=seen)


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
