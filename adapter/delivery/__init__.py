"""What a sink is handed, what it answers, and the job that hands it over."""

from adapter.delivery.contract import (
    Checkpoint,
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    Sink,
    SinkProblem,
    SinkType,
    Temporary,
    make_sink,
)
from adapter.delivery.deliverer import Deliverer, SinkLookup, StoreCheckpoint
from adapter.delivery.handover import payload_paths
from adapter.delivery.manifest import (
    is_same_delivery,
    manifest_bytes,
    manifest_of,
    message_manifest,
    stam_manifest,
)
from adapter.delivery.names import delivery_name, message_name, safe_name, unique_names

__all__ = [
    "Checkpoint",
    "ContentDamaged",
    "ContentUnavailable",
    "Delivered",
    "Deliverer",
    "Handover",
    "HandoverFile",
    "Outcome",
    "Permanent",
    "Sink",
    "SinkLookup",
    "SinkProblem",
    "SinkType",
    "StoreCheckpoint",
    "Temporary",
    "delivery_name",
    "is_same_delivery",
    "make_sink",
    "manifest_bytes",
    "manifest_of",
    "message_manifest",
    "message_name",
    "payload_paths",
    "safe_name",
    "stam_manifest",
    "unique_names",
]
