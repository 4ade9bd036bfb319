# SPDX-License-Identifier: EUPL-1.2

"""The third step: the partner answers our Ping, and we theirs (EB 8).

The Ping goes through the outbox of the daemon and its Pong comes back to the daemon, so that addresses, certificates
and agreement are proven in both directions.
"""

from datetime import timedelta
from typing import Final

from adapter.authorities import KnownAgreement
from adapter.connecting.evidence import MessageFacts, Outcome, Result, Trouble, failed
from adapter.connecting.ground import Ground, format_span, happened, message_facts
from adapter.msh import PING_LIFE, await_answer, new_ping, send_job
from adapter.store import (
    Direction,
    Event,
    MessageKind,
    MessageState,
    StoredMessage,
    events_for,
    find_messages,
    get_message,
    insert_message,
)

_PONGS: Final = ("pong.stored", "pong.returned")
_THEIRS: Final = "partner_ping"
_ANSWERED: Final = "answered"
_SLACK: Final = timedelta(seconds=2)


async def ping_partner(ground: Ground) -> Result:
    """A Ping of ours was answered; and one of theirs, where that is asked for."""
    ours = None if ground.fresh else await _answered_before(ground)
    if ours is None:
        if ground.known is None:
            return failed(
                Trouble.NO_DAEMON, f"the CPA {ground.subject.cpa_id} is not in use in the store yet"
            )
        if not ground.daemon_runs():
            return failed(Trouble.NO_DAEMON, "no daemon runs on this store")
        ours = await _ping(ground, ground.known)
    is_awaited = ground.needs_their_ping and ours.state is MessageState.ANSWERED
    theirs = await ground.until(
        lambda: _their_last(ground),
        lambda found: found is not None or not is_awaited,
        "waiting for a Ping of the partner",
    )
    return await _result(ground, ours, theirs)


async def _answered_before(ground: Ground) -> StoredMessage | None:
    subject = ground.subject
    found = await ground.db.read(
        find_messages,
        authority=subject.authority,
        direction=Direction.OUT,
        kind=MessageKind.PING,
        state=MessageState.ANSWERED,
        cpa_id=subject.cpa_id,
        limit=1,
    )
    return found[0] if found and found[0].created_at >= ground.since else None


def shows_their_ping(result: Result) -> bool:
    """Whether a Ping of the partner was answered too."""
    return result.facts.get(_THEIRS) == _ANSWERED


async def _ping(ground: Ground, known: KnownAgreement) -> StoredMessage:
    """Send a Ping, and return it as it is when it was answered or the wait was over."""
    life = min(ground.wait, PING_LIFE)
    now = ground.clock()
    ground.report(f"waiting for the Pong of {ground.subject.partner}, at most {format_span(life)}")
    message = new_ping(known, now, life=life)
    row_id = await ground.db.write(insert_message, message, send_job(known), now)
    return await await_answer(ground.db, row_id, life + _SLACK)


async def _their_last(ground: Ground) -> Event | None:
    """The last Pong that we gave."""
    subject = ground.subject
    found = await ground.db.read(
        events_for, authority=subject.authority, cpa_id=subject.cpa_id, actions=_PONGS, limit=1
    )
    return found[0] if found and found[0].at >= ground.since else None


async def _result(ground: Ground, ours: StoredMessage, theirs: Event | None) -> Result:
    events = await ground.db.read(events_for, message_id=ours.message_id)
    messages = [message_facts(ours)]
    facts: dict[str, str | int] = {_THEIRS: "none_seen" if theirs is None else _ANSWERED}
    if theirs is not None:
        messages.append(await _pong_facts(ground, theirs))
    shown = Result(
        outcome=Outcome.DONE,
        at=ours.updated_at,
        messages=tuple(messages),
        facts=facts,
        timeline=happened(events),
    )
    match ours.state:
        case MessageState.ANSWERED:
            facts["answered_in"] = f"{(ours.updated_at - ours.created_at).total_seconds():.2f}"
        case MessageState.SENT | MessageState.TRANSMITTED:
            return failed(
                Trouble.NO_PONG, ours.reason or "the partner took the Ping, but no Pong came", shown
            )
        case _:
            taken = any(event.action == "ping.sent" for event in events)
            trouble = Trouble.NO_PONG if taken else Trouble.NOT_SENT
            return failed(trouble, ours.reason or f"the Ping is {ours.state}", shown)
    if theirs is None and ground.needs_their_ping:
        return failed(Trouble.NO_PING, "no Ping of the partner came", shown)
    return shown


async def _pong_facts(ground: Ground, given: Event) -> MessageFacts:
    """The Pong that we gave: as it is in the store, or, where it went in the response, as the timeline names it."""
    if given.message is not None:
        return message_facts(await ground.db.read(get_message, given.message))
    return MessageFacts(
        kind=MessageKind.PONG,
        direction=Direction.OUT,
        message_id=given.message_id or "",
        conversation_id=given.conversation_id or "",
        state=MessageState.TRANSMITTED,
        at=given.at,
    )
