# SPDX-License-Identifier: EUPL-1.2

"""The sinks: one module per place where a verzoek or a message can be delivered."""

from typing import Any

from adapter.delivery import SinkType, installed, installed_types
from adapter.sinks.bodies import media_type
from adapter.sinks.dai import DAI, DaiOptions
from adapter.sinks.directory import DIRECTORY, DirectoryOptions, DirectorySink
from adapter.sinks.disk import Disk
from adapter.sinks.http import HTTP, HttpOptions, HttpSink
from adapter.sinks.links import LINKS_PATH, FileLink, LinksOptions, NoLink, is_signed, links_of, read_token
from adapter.sinks.mailbox import MAILBOX, MailboxOptions, MailboxSink, mailboxes
from adapter.sinks.objecten import OBJECTEN, ObjectenOptions, ObjectenSink
from adapter.sinks.openwave import OPENWAVE, OpenWaveOptions, OpenWaveSink
from adapter.sinks.routes import route_problems
from adapter.sinks.s3 import S3, S3Options
from adapter.sinks.stuf import STUF_ZDS, StufZdsOptions
from adapter.sinks.zgw import ZGW, ZgwOptions, ZgwSink

SINK_TYPES: tuple[SinkType[Any], ...] = (DIRECTORY, S3, ZGW, MAILBOX, HTTP, OPENWAVE, OBJECTEN, STUF_ZDS, DAI)
"""The types of the adapter itself."""


def sink_types() -> tuple[SinkType[Any], ...]:
    """Every type there is: those of the adapter itself, and those that installed packages bring."""
    return SINK_TYPES + installed_types(one.name for one in SINK_TYPES)


def unusable_types() -> tuple[tuple[str, str], ...]:
    """The types that installed packages bring and that cannot be used: the name of each, and why."""
    brought = installed(one.name for one in SINK_TYPES)
    return tuple((one.name, one.problem) for one in brought if one.problem is not None)


__all__ = [
    "DAI",
    "DIRECTORY",
    "HTTP",
    "LINKS_PATH",
    "MAILBOX",
    "OBJECTEN",
    "OPENWAVE",
    "S3",
    "SINK_TYPES",
    "STUF_ZDS",
    "ZGW",
    "DaiOptions",
    "DirectoryOptions",
    "DirectorySink",
    "Disk",
    "FileLink",
    "HttpOptions",
    "HttpSink",
    "LinksOptions",
    "MailboxOptions",
    "MailboxSink",
    "NoLink",
    "ObjectenOptions",
    "ObjectenSink",
    "OpenWaveOptions",
    "OpenWaveSink",
    "S3Options",
    "StufZdsOptions",
    "ZgwOptions",
    "ZgwSink",
    "is_signed",
    "links_of",
    "mailboxes",
    "media_type",
    "read_token",
    "route_problems",
    "sink_types",
    "unusable_types",
]
