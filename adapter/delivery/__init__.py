# SPDX-License-Identifier: EUPL-1.2

"""What a sink is handed, what it answers, and the job that hands it over."""

from adapter.config import ConfigPath as OptionPath
from adapter.delivery.breaker import Breaker, BreakerState
from adapter.delivery.contract import (
    Checkpoint,
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    HandoverFile,
    Json,
    Outcome,
    Permanent,
    Sink,
    SinkContext,
    SinkProblem,
    SinkType,
    StepFailed,
    Temporary,
)
from adapter.delivery.deliverer import Deliverer, SinkLookup, StoreCheckpoint
from adapter.delivery.handover import handover_of, load_package, payload_paths
from adapter.delivery.installed import InstalledType, installed, installed_types
from adapter.delivery.making import ConfiguredSink, make_sink
from adapter.delivery.manifest import (
    is_same_delivery,
    manifest_bytes,
    manifest_of,
    message_manifest,
    stam_manifest,
)
from adapter.delivery.names import delivery_name, message_name, safe_name, sink_lane, unique_names
from adapter.delivery.options import BreakerOptions, CommonOptions, SinkOptions
from adapter.delivery.steps import POSSIBLY_REPEATED, Steps

__all__ = [
    "POSSIBLY_REPEATED",
    "Breaker",
    "BreakerOptions",
    "BreakerState",
    "Checkpoint",
    "CommonOptions",
    "ConfiguredSink",
    "ContentDamaged",
    "ContentUnavailable",
    "Delivered",
    "Deliverer",
    "Handover",
    "HandoverFile",
    "InstalledType",
    "Json",
    "OptionPath",
    "Outcome",
    "Permanent",
    "Sink",
    "SinkContext",
    "SinkLookup",
    "SinkOptions",
    "SinkProblem",
    "SinkType",
    "StepFailed",
    "Steps",
    "StoreCheckpoint",
    "Temporary",
    "delivery_name",
    "handover_of",
    "installed",
    "installed_types",
    "is_same_delivery",
    "load_package",
    "make_sink",
    "manifest_bytes",
    "manifest_of",
    "message_manifest",
    "message_name",
    "payload_paths",
    "safe_name",
    "sink_lane",
    "stam_manifest",
    "unique_names",
]
