"""The daemon and its parts, put together."""

from adapter.daemon.collecting import Sources
from adapter.daemon.daemon import Daemon, Materials
from adapter.daemon.descriptors import LoopFailures
from adapter.daemon.reconciling import reconcile_plans
from adapter.daemon.registry import Registry, load_keys
from adapter.daemon.retention import Purger, RetentionTask, documents_of, effective_policy
from adapter.daemon.sinks import make_sinks, sink_context
from adapter.daemon.trust import load_revocation, load_trust

__all__ = [
    "Daemon",
    "LoopFailures",
    "Materials",
    "Purger",
    "Registry",
    "RetentionTask",
    "Sources",
    "documents_of",
    "effective_policy",
    "load_keys",
    "load_revocation",
    "load_trust",
    "make_sinks",
    "reconcile_plans",
    "sink_context",
]
