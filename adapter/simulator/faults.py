# SPDX-License-Identifier: EUPL-1.2

"""What the simulated DSO-LV can be told to do wrong: a small mutable object that tests and `simulate` set."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Final

from adapter.config import parse_duration, parse_size

EVERY: Final = "*"
"""In a set of documents: all of them."""


@dataclass(slots=True)
class Faults:
    """Faults still to be made; each number counts down as it happens.

    Those of the API:

    - `unavailable`: so many next requests get 503, with Retry-After when `retry_after` is set.
    - `too_many`: so many next requests get 429, with the same Retry-After.
    - `latency`: how long each request waits for its answer.
    - `bytes_per_second`: how fast files come; None is as fast as they can.
    - `no_ranges`: files have no ETag and no ranges, so that a download cannot be continued.
    - `expire_tokens`: so many next requests find that their access token holds no more.

    And those of single documents, by documentId, or `xml` and `pdf`; "*" is all of them:

    - `cut`: whose next download breaks off half way, each once.
    - `lose_documents`: which the references do not name (yet).
    - `corrupt_content`: served with other octets of the same size.
    - `changing`: have another ETag at every request, as if they were replaced time after time.
    - `wrong_size`, `wrong_digest`: of which the links announce a size or digest that is not theirs.
    - `truncate`, `extend`: served with half their octets, or with more, as if that were all.

    The rest is for the message side: `duplicate_notification` sends so many next
    notifications twice, with the same MessageId; `late_acknowledgment` makes it ignore so many
    acknowledgments; `break_signature` damages so many next messages; `cut_message` breaks the connection half
    way through so many next ones; `lose_notifications` never sends so many next notifications, though their
    verzoeken are there; `hold_notifications` keeps so many next ones back, until they are released in the other order;
    `silence` leaves so many next messages and Pings of the adapter unanswered.
    """

    unavailable: int = 0
    too_many: int = 0
    retry_after: timedelta | None = None
    latency: timedelta = timedelta()
    bytes_per_second: int | None = None
    no_ranges: bool = False
    expire_tokens: int = 0
    cut: set[str] = field(default_factory=set)
    lose_documents: set[str] = field(default_factory=set)
    corrupt_content: set[str] = field(default_factory=set)
    changing: set[str] = field(default_factory=set)
    wrong_size: set[str] = field(default_factory=set)
    wrong_digest: set[str] = field(default_factory=set)
    truncate: set[str] = field(default_factory=set)
    extend: set[str] = field(default_factory=set)
    duplicate_notification: int = 0
    late_acknowledgment: int = 0
    break_signature: int = 0
    cut_message: int = 0
    lose_notifications: int = 0
    hold_notifications: int = 0
    silence: int = 0
    _was_cut: set[str] = field(default_factory=set)
    _changes: Counter[str] = field(default_factory=Counter)

    def concerns(self, fault: str, document_id: str) -> bool:
        """Whether a fault of single documents is for this one."""
        named: set[str] = getattr(self, fault)
        return document_id in named or EVERY in named

    def count_change(self, document_id: str) -> int:
        """How often this document was replaced by now, which is once more where it is `changing`."""
        self._changes[document_id] += self.concerns("changing", document_id)
        return self._changes[document_id]

    def take_too_many(self) -> bool:
        """Whether this request is one too many; counts it."""
        return self._take("too_many")

    def take_expire_tokens(self) -> bool:
        """Whether the token of this request ended just now; counts it."""
        return self._take("expire_tokens")

    def take_hold_notifications(self) -> bool:
        """Whether the next notification is kept back; counts it."""
        return self._take("hold_notifications")

    def take_unavailable(self) -> bool:
        """Whether this request fails; counts it."""
        return self._take("unavailable")

    def take_cut(self, document_id: str) -> bool:
        """Whether this download breaks off; each document does so once."""
        if document_id in self.cut:
            self.cut.discard(document_id)
            return True
        is_new = EVERY in self.cut and document_id not in self._was_cut
        self._was_cut.add(document_id)
        return is_new

    def take_duplicate_notification(self) -> bool:
        """Whether the next notification goes out twice; counts it."""
        return self._take("duplicate_notification")

    def take_late_acknowledgment(self) -> bool:
        """Whether the next acknowledgment is ignored; counts it."""
        return self._take("late_acknowledgment")

    def take_break_signature(self) -> bool:
        """Whether the next message is damaged; counts it."""
        return self._take("break_signature")

    def take_cut_message(self) -> bool:
        """Whether the connection breaks half way through the next message; counts it."""
        return self._take("cut_message")

    def take_lose_notifications(self) -> bool:
        """Whether the next notification is never sent; counts it."""
        return self._take("lose_notifications")

    def take_silence(self) -> bool:
        """Whether the next message of the adapter is not acknowledged; counts it."""
        return self._take("silence")

    def _take(self, name: str) -> bool:
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True


def parse_faults(texts: Iterable[str]) -> Faults:
    """The faults that are written as ``name=value``: a number, a duration, a size, or a document; or ``name`` alone.

    Raises:
        ValueError: there is no such fault, or its value is none; with what would be.

    """
    faults = Faults()
    known = sorted(each.name for each in fields(Faults) if not each.name.startswith("_"))
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is no fault; known are {', '.join(known)}")
        try:
            setattr(faults, name, _value(name, getattr(faults, name), value if equals else None))
        except ValueError as problem:
            raise ValueError(f"{text}: {problem}") from problem
    return faults


def _value(name: str, now: object, text: str | None) -> object:
    """The value of a fault that was `now` until here."""
    if isinstance(now, set):
        return {*now, text or EVERY}
    if isinstance(now, bool):
        if text is not None:
            raise ValueError("takes no value; leave it out")
        return True
    if name == "bytes_per_second":
        return parse_size(text)
    if name in {"latency", "retry_after"}:
        return parse_duration(text)
    if text is None or not text.isascii() or not text.isdigit():
        raise ValueError("write a number of times behind it, as =3")
    return int(text)
