# SPDX-License-Identifier: EUPL-1.2

"""Signals that an application sends to a partner and waits for the answer to: Ping, and StatusRequest."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from adapter.admin.calls import Call, Refused, bad_request
from adapter.admin.rest.lookup import find_message
from adapter.admin.rest.states import REMOTE_STATUS, instant, party_text
from adapter.authorities import KnownAgreement
from adapter.msh import await_answer, new_ping, new_status_request, send_job
from adapter.observe import get_logger
from adapter.store import AuditEntry, Direction, MessageState, NewMessage, StoredMessage, insert_message

log = get_logger(__name__)

PATIENCE: Final = timedelta(seconds=25)
"""How long an answer is awaited: clients commonly give up after 30 seconds, and are to hear why."""


async def ping(call: Call) -> web.StreamResponse:
    """Send a Ping, and answer 204 when the Pong came."""
    known = call.agreement(call.path("cpaId"))
    agreement = known.agreement
    if call.path("fromPartyId") not in {party_text(one) for one in agreement.us.ids}:
        raise bad_request(f"the from party is not ours under {known.cpa_id}")
    if call.path("toPartyId") not in {party_text(one) for one in agreement.them.ids}:
        raise bad_request(f"the to party is not the partner of {known.cpa_id}")
    entry = call.entry(known.cpa_id, known.authority)
    await _ask(call, known, new_ping(known, call.api.clock(), life=PATIENCE), entry)
    return web.Response(status=204)


async def message_status(call: Call) -> web.StreamResponse:
    """What the partner says became of a message that we sent; of one that we received we know it ourselves."""
    found = await find_message(call)
    message = found.message
    if message.direction is Direction.IN:
        return web.json_response({"timestamp": instant(message.created_at), "status": found.status()})
    known = call.agreement(message.cpa_id)
    entry = call.entry(message.message_id, known.authority)
    request = new_status_request(known, message.message_id, call.api.clock(), life=PATIENCE)
    answer = await _ask(call, known, request, entry)
    remote = REMOTE_STATUS.get(answer.reason or "")
    if remote is None:
        raise Refused(
            500, f"the partner's answer has no status that is known; see message {answer.message_id}"
        )
    return web.json_response({"status": remote})


async def _ask(call: Call, known: KnownAgreement, signal: NewMessage, entry: AuditEntry) -> StoredMessage:
    """Send a signal, and return it once it was answered. Raises Refused (500)."""
    db, now = call.api.db, call.api.clock()
    row_id = await call.change(
        lambda conn: insert_message(conn, signal, send_job(known), now), lambda _: entry
    )
    message = await await_answer(db, row_id, PATIENCE)
    if message.state is MessageState.ANSWERED:
        return message
    log.warning(
        "a signal was not answered",
        action=f"{message.kind}.unanswered",
        authority=message.authority,
        cpa_id=message.cpa_id,
        message_id=message.message_id,
        state=message.state,
        reason=message.reason,
    )
    came = "It could not be sent!" if message.state is MessageState.FAILED else "No response received!"
    raise Refused(500, f"{came} See message {message.message_id}")
