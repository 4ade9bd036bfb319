"""The sinks: one module per place where a verzoek or a message can be delivered."""

from typing import Any

from adapter.delivery import SinkType
from adapter.sinks.directory import DIRECTORY, DirectoryOptions, DirectorySink
from adapter.sinks.disk import Disk
from adapter.sinks.mailbox import MAILBOX, MailboxOptions, MailboxSink, mailboxes
from adapter.sinks.routes import route_problems

SINK_TYPES: tuple[SinkType[Any], ...] = (DIRECTORY, MAILBOX)

__all__ = [
    "DIRECTORY",
    "MAILBOX",
    "SINK_TYPES",
    "DirectoryOptions",
    "DirectorySink",
    "Disk",
    "MailboxOptions",
    "MailboxSink",
    "mailboxes",
    "route_problems",
]
