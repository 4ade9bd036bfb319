# SPDX-License-Identifier: EUPL-1.2

"""The mailbox sink: messages stay in the store until an application fetched them through the application API.

There is no other side to hand over to: the store is the mailbox. So a delivery succeeds at once, with the mark
that the message is to be kept; until an application says that it processed the message, the message counts as
received and not as processed. A verzoek has no place in it: it is more than the message that announced it.
"""

from adapter.config import Config
from adapter.delivery import Checkpoint, Delivered, Handover, Outcome, Permanent, SinkOptions, SinkType
from adapter.store import Flow, Mailbox


class MailboxOptions(SinkOptions):
    """A mailbox has no options of its own."""


class MailboxSink:
    """Keeps messages for an application to fetch."""

    def __init__(self, options: MailboxOptions) -> None:
        self._options = options

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:  # noqa: ARG002
        """Delivered at once, to be kept; Permanent for a verzoek."""
        if handover.flow != Flow.MESSAGE:
            return Permanent(
                f"sink {handover.sink!r} is a mailbox, which takes messages and no verzoeken: give it another type, "
                "then retry"
            )
        return Delivered(keep=True)

    async def probe(self) -> None:
        """Succeeds: the store is looked at by itself."""

    async def close(self) -> None:
        """Holds nothing open."""


MAILBOX: SinkType[MailboxOptions] = SinkType(
    "mailbox", MailboxOptions, lambda options, _: MailboxSink(options), flows=frozenset({Flow.MESSAGE})
)


def mailboxes(config: Config) -> frozenset[Mailbox]:
    """Which sinks of which authorities are mailboxes, as (authority, sink)."""
    return frozenset(
        (authority, name)
        for authority, settings in config.authorities.items()
        for name, table in settings.sinks.items()
        if table.get("type") == MAILBOX.name
    )
