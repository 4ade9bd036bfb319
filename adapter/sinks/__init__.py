"""The sinks: one module per place where a verzoek can be delivered."""

from typing import Any

from adapter.delivery import SinkType
from adapter.sinks.directory import DIRECTORY, DirectoryOptions, DirectorySink
from adapter.sinks.disk import Disk

SINK_TYPES: tuple[SinkType[Any], ...] = (DIRECTORY,)

__all__ = ["DIRECTORY", "SINK_TYPES", "DirectoryOptions", "DirectorySink", "Disk"]
