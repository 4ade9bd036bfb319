# SPDX-License-Identifier: EUPL-1.2

"""What the steps of connecting stand on: whom it is about, the store, and the ways to act."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from adapter.authorities import KnownAgreement
from adapter.config import Environment, PublishConfig
from adapter.connecting.evidence import Happened, MessageFacts, Remark, Subject
from adapter.net import HttpClient
from adapter.pki import KeyPair
from adapter.store import Database, Event, StoredMessage
from cpa import Agreement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Publisher:
    """How a CPA is published: the settings, the keys that the request is made with, and the client that has them."""

    settings: PublishConfig
    keys: KeyPair
    http: HttpClient
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Everything that a step needs.

    `document` is the CPA and `agreement` what is in it; `known` is the same as it is in use, None where it is not.
    `since` is when it came in use: what happened before that shows nothing of it. `judge` says what is to be remarked
    on the CPA. `wait` is how long a step may wait, and `report` is told what it waits for. `fresh`: what the store has
    from before does not count. `force`: errors in the CPA do not matter. `needs_their_ping`: a Ping of the partner must
    have been answered too.
    """

    environment: Environment
    subject: Subject
    document: bytes
    agreement: Agreement
    known: KnownAgreement | None
    since: datetime
    db: Database
    publisher: Publisher | None
    judge: Callable[[], tuple[Remark, ...]]
    daemon_runs: Callable[[], bool]
    clock: Callable[[], datetime]
    wait: timedelta
    report: Callable[[str], None]
    fresh: bool = False
    force: bool = False
    needs_their_ping: bool = False

    async def until(self, look: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool], what: str) -> T:
        """Look until it is enough, after each change in the store; return the last look when the wait is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.wait.total_seconds()
        is_told = False
        while True:
            seen = self.db.changes.count
            found = await look()
            left = end - loop.time()
            if is_enough(found) or left <= 0:
                return found
            if not is_told:
                self.report(f"{what}, at most {format_span(self.wait)}")
                is_told = True
            await self.db.wait_for_change(left, since=seen)


def format_span(span: timedelta) -> str:
    """A wait as people write it."""
    seconds = round(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def message_facts(message: StoredMessage) -> MessageFacts:
    """What evidence has of a message."""
    return MessageFacts(
        kind=message.kind,
        direction=message.direction,
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        state=message.state,
        at=message.created_at,
    )


def happened(events: list[Event]) -> tuple[Happened, ...]:
    """What evidence has of a timeline."""
    return tuple(Happened(event.at, event.action) for event in events)
