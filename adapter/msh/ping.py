# SPDX-License-Identifier: EUPL-1.2

"""Pings that we send: the test of agreement, addresses, TLS and routing in one (EB 8, 2.5).

A Ping is stored and sent by the daemon's outbox; the Pong comes back in the response or to the daemon's endpoint.
Whoever asked for the Ping, in this process or another, watches its state in the store.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from adapter.authorities import KnownAgreement
from adapter.ebms import SignalAction, build_signal, serialize
from adapter.msh.reply import IdMaker, message_row, new_message_id, own_host, request_header
from adapter.msh.signals import AWAITING
from adapter.store import (
    Database,
    Direction,
    MessageKind,
    NewMessage,
    StoredMessage,
    get_message,
)

PING_LIFE: Final = timedelta(seconds=60)
"""How long an answer to a Ping is awaited by default."""


def new_ping(
    known: KnownAgreement,
    now: datetime,
    *,
    life: timedelta = PING_LIFE,
    make_id: IdMaker = new_message_id,
) -> NewMessage:
    """A Ping to the partner of an agreement, to be stored with `reply.send_job` (PNG-02)."""
    header = request_header(known, SignalAction.PING, message_id=make_id(own_host(known)), now=now)
    return message_row(
        known,
        header,
        serialize(build_signal(header)),
        direction=Direction.OUT,
        kind=MessageKind.PING,
        expires_at=now + life,
    )


async def await_answer(db: Database, row_id: int, wait: timedelta) -> StoredMessage:
    """Return a Ping or other request of ours once it was answered or given up; as it is when the wait is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait.total_seconds()
    while True:
        seen = db.changes.count
        message = await db.read(get_message, row_id)
        left = until - loop.time()
        if message.state not in AWAITING or left <= 0:
            return message
        await db.wait_for_change(left, since=seen)
