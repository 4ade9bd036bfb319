# SPDX-License-Identifier: EUPL-1.2

"""Composing a notification from what there is to tell, in the language of those who read it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapter.config import NotificationEvent
from adapter.notify.links import Links
from adapter.notify.notification import Group, Item, Notification
from adapter.rendering import DUTCH_TIME, Language, Words, read_words
from adapter.store import StoredAlert, Turn, Untold

SHOWN: Final = 20
"""Items of one kind that are shown; of more there is a number."""

_ORDER: Final = (Turn.NEW, Turn.LASTING, Turn.OVER)
_ENDING: Final = frozenset({NotificationEvent.CERTIFICATE, NotificationEvent.CPA})


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes notifications for one channel."""

    channel: str
    environment: str
    language: Language
    links: Links

    def compose(self, told: Sequence[Untold], now: datetime) -> Notification:
        """The notification of these alerts."""
        sorts: defaultdict[tuple[Turn, NotificationEvent], list[Untold]] = defaultdict(list)
        for one in told:
            sorts[one.turn, one.alert.event].append(one)
        events = tuple(NotificationEvent)
        groups = tuple(
            self._group(turn, event, sorts[turn, event], now)
            for turn in _ORDER
            for event in events
            if (turn, event) in sorts
        )
        return self._notification(_id_of(self.channel, told), groups, now)

    def test(self, now: datetime) -> Notification:
        """A notification that tells nothing but that notifications arrive."""
        page = self._words["page"]
        item = Item(page["test"].format(channel=self.channel), self.links.home(), {})
        group = Group(None, Turn.NEW, page["test_title"], (item,))
        test_id = hashlib.sha256(f"test {self.channel} {now.isoformat()}".encode()).hexdigest()[:32]
        return self._notification(test_id, (group,), now, is_test=True)

    @property
    def _words(self) -> Words:
        return read_words(__package__, "words", self.language)

    def _notification(
        self, notification_id: str, groups: tuple[Group, ...], now: datetime, *, is_test: bool = False
    ) -> Notification:
        return Notification(
            id=notification_id,
            channel=self.channel,
            environment=self.environment,
            language=self.language,
            at=now,
            subject=f"[stam-adapter {self.environment}] {self._subject(groups, is_test=is_test)}",
            groups=groups,
            footer=self._words["page"]["footer"].format(environment=self.environment),
            link=self.links.home(),
            is_test=is_test,
        )

    def _subject(self, groups: Sequence[Group], *, is_test: bool) -> str:
        words = self._words["subject"]
        if is_test:
            return str(words["test"])
        parts = [f"{group.title} ({group.count})" for group in groups[:2]]
        if len(groups) > len(parts):
            parts.append(words["and_more"])
        return ", ".join(parts)

    def _group(self, turn: Turn, event: NotificationEvent, told: Sequence[Untold], now: datetime) -> Group:
        items = tuple(self._item(one.alert, now) for one in told[:SHOWN])
        title = self._words["titles"][turn][event]
        return Group(event, turn, title, items, len(told) - len(items))

    def _item(self, alert: StoredAlert, now: datetime) -> Item:
        facts = {
            "authority": alert.authority or None,
            "what": alert.what,
            "since": alert.changed_at.isoformat(),
            **{name: value for name, value in alert.detail.items() if value is not None},
        }
        return Item(self._sentence(alert, now), self.links.of(alert), facts)

    def _sentence(self, alert: StoredAlert, now: datetime) -> str:
        words, detail = self._words, alert.detail
        values: dict[str, Any] = {
            "jobs": 0,
            "minutes": 0,
            "partner": "",
            **detail,
            "authority": alert.authority or words["page"]["for_all"],
            "what": alert.what,
            "since": f"{alert.changed_at.astimezone(DUTCH_TIME):%d-%m-%Y %H:%M}",
        }
        if alert.event is NotificationEvent.PARKED:
            work = words["work"].get(detail.get("work"), words["work"]["other"])
            values["work"] = work.format(sink=detail.get("sink") or "?")
        if alert.event in _ENDING:
            kind = str(detail.get("kind", ""))
            certificate = words["certificates"].get(kind, words["certificates"]["other"])
            values["certificate"] = certificate.format(kind=kind)
            values["when"] = self._when(alert, now)
        return _one_line(str(words["items"][alert.event]).format(**values))

    def _when(self, alert: StoredAlert, now: datetime) -> str:
        words, end = self._words["when"], datetime.fromisoformat(alert.detail["end"])
        if alert.ended_at is not None:
            return str(words["over"])
        days = (end - now).days
        word = words["ended"] if end <= now else words["days"] if days > 0 else words["day"]
        return str(word.format(days=days, end=f"{end.astimezone(DUTCH_TIME):%d-%m-%Y}"))


def _one_line(text: str) -> str:
    """What comes from outside, such as a MessageId, must not look like a line of ours."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _id_of(channel: str, told: Iterable[Untold]) -> str:
    """The same for the same things to tell."""
    parts = [channel, *(f"{one.alert.id} {one.turn} {one.alert.level} {one.since}" for one in told)]
    parts += [str(one.told_at) for one in told if one.turn is Turn.LASTING]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
