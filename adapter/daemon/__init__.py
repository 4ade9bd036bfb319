# SPDX-License-Identifier: EUPL-1.2

"""The daemon and its parts, put together."""

from adapter.daemon.api_client import api_client
from adapter.daemon.chains import Shown, configured, ours, partners_in
from adapter.daemon.collecting import Sources
from adapter.daemon.crl_source import download_crl
from adapter.daemon.crls import CrlFetcher
from adapter.daemon.daemon import Daemon, Materials
from adapter.daemon.descriptors import LoopFailures
from adapter.daemon.key_rings import load_keys
from adapter.daemon.reconciling import reconcile_plans
from adapter.daemon.registry import Registry
from adapter.daemon.retention import Purger, RetentionTask, documents_of, effective_policy
from adapter.daemon.sinks import make_sinks, sink_context, sink_problem
from adapter.daemon.systemd import ServiceManager, inherited_sockets
from adapter.daemon.trust import load_revocation, load_trust

__all__ = [
    "CrlFetcher",
    "Daemon",
    "LoopFailures",
    "Materials",
    "Purger",
    "Registry",
    "RetentionTask",
    "ServiceManager",
    "Shown",
    "Sources",
    "api_client",
    "configured",
    "documents_of",
    "download_crl",
    "effective_policy",
    "inherited_sockets",
    "load_keys",
    "load_revocation",
    "load_trust",
    "make_sinks",
    "ours",
    "partners_in",
    "reconcile_plans",
    "sink_context",
    "sink_problem",
]
