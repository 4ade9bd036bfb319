# SPDX-License-Identifier: EUPL-1.2

"""A notification: what people are told at one time by one channel, ready to be written as a mail or posted.

Nothing in it is personal: numbers, names of authorities, moments and links, and no text of a sink or a partner.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapter.config import NotificationEvent
from adapter.rendering import Language
from adapter.store import Turn


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is told: a sentence for people, the link that leads to it, and its facts for software."""

    text: str
    link: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Items of one kind under a heading; `more` are not shown. A test is of no event."""

    event: NotificationEvent | None
    turn: Turn
    title: str
    items: tuple[Item, ...]
    more: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.items) + self.more


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told; `id` is the same when it is sent again because nobody knows whether it arrived."""

    id: str
    channel: str
    environment: str
    language: Language
    at: datetime
    subject: str
    groups: tuple[Group, ...]
    footer: str
    link: str | None
    is_test: bool = False

    @property
    def count(self) -> int:
        """How many things it tells."""
        return sum(group.count for group in self.groups)

    def lines(self) -> Iterator[str]:
        """The notification as plain text."""
        for group in self.groups:
            yield group.title
            for item in group.items:
                yield f"- {item.text}"
                if item.link is not None:
                    yield f"  {item.link}"
            if group.more:
                yield f"- … (+{group.more})"
            yield ""
        yield self.footer
        if self.link is not None:
            yield self.link

    def text(self) -> str:
        """The notification as one plain text."""
        return "\n".join(self.lines())
