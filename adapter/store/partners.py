# SPDX-License-Identifier: EUPL-1.2

"""What went to and came from each partner in a period, and what became of the last Ping."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, case, func, select

from adapter.store.pages import within
from adapter.store.schema import message
from adapter.store.states import Direction, MessageKind, MessageState

_LOST: Final = (MessageState.FAILED, MessageState.EXPIRED)


@dataclass(frozen=True, slots=True)
class LastPing:
    """The last Ping that we sent: when, and what became of it; `reason` where it was not answered."""

    message: int
    at: datetime
    changed_at: datetime
    state: MessageState
    reason: str | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What passed under an agreement in a period: how many messages each way, when the last, how many were lost.

    Lost is what we sent and the partner refused or did not take in time. Moments are None where there was nothing.
    """

    received: int = 0
    sent: int = 0
    lost: int = 0
    last_received: datetime | None = None
    last_sent: datetime | None = None
    ping: LastPing | None = None


_INCOMING: Final = message.c.direction == Direction.IN
_OUTGOING: Final = message.c.direction == Direction.OUT
_OWN_PING: Final = and_(_OUTGOING, message.c.kind == MessageKind.PING)


def partner_traffic(
    conn: Connection, authorities: Collection[str], since: datetime, until: datetime
) -> dict[tuple[str, str], Traffic]:
    """What passed in a period, by authority and CPAId; what had nothing is left out."""
    at = message.c.created_at
    query = (
        select(
            message.c.authority,
            message.c.cpa_id,
            func.count(case((_INCOMING, 1))).label("received"),
            func.count(case((_OUTGOING, 1))).label("sent"),
            func.count(case((and_(_OUTGOING, message.c.state.in_(_LOST)), 1))).label("lost"),
            func.max(case((_INCOMING, at))).label("last_received"),
            func.max(case((_OUTGOING, at))).label("last_sent"),
            func.max(case((_OWN_PING, message.c.id))).label("ping"),
        )
        .where(message.c.authority.in_(sorted(authorities)), *within(at, since, until))
        .group_by(message.c.authority, message.c.cpa_id)
    )
    rows = conn.execute(query).all()
    pings = _pings(conn, [row.ping for row in rows if row.ping is not None])
    return {
        (row.authority, row.cpa_id): Traffic(
            row.received, row.sent, row.lost, row.last_received, row.last_sent, pings.get(row.ping)
        )
        for row in rows
    }


def _pings(conn: Connection, row_ids: Collection[int]) -> dict[int, LastPing]:
    columns = (
        message.c.id,
        message.c.created_at,
        message.c.updated_at,
        message.c.state,
        message.c.reason,
    )
    rows = conn.execute(select(*columns).where(message.c.id.in_(row_ids)))
    return {row.id: LastPing(*row) for row in rows}
