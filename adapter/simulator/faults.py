"""What the simulated DSO-LV can be told to do wrong: a small mutable object that tests and `simulate` set."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Faults:
    """Faults still to be made; each counts down as it happens.

    `unavailable`: so many next requests get 503, with Retry-After when `retry_after` is set. `cut`:
    documents (by documentId) whose next download breaks off half way. `lose_documents`: documentIds the
    references do not name (yet). `corrupt_content`: documentIds served with other octets of the same size.
    The fields below that are for the message side: `duplicate_notification` sends so many next
    notifications twice, with the same MessageId; `late_acknowledgment` makes it ignore so many
    acknowledgments; `break_signature` damages so many next messages; `cut_message` breaks the connection half
    way through so many next ones; `lose_notifications` never sends so many next notifications, though their
    verzoeken are there; `silence` leaves so many next messages of the adapter unacknowledged.
    """

    unavailable: int = 0
    retry_after: timedelta | None = None
    cut: set[str] = field(default_factory=set)
    lose_documents: set[str] = field(default_factory=set)
    corrupt_content: set[str] = field(default_factory=set)
    duplicate_notification: int = 0
    late_acknowledgment: int = 0
    break_signature: int = 0
    cut_message: int = 0
    lose_notifications: int = 0
    silence: int = 0

    def take_unavailable(self) -> bool:
        """Whether this request fails; counts it."""
        return self._take("unavailable")

    def take_cut(self, document_id: str) -> bool:
        """Whether this download breaks off; each document does so once."""
        if document_id not in self.cut:
            return False
        self.cut.discard(document_id)
        return True

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
