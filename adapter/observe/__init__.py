# SPDX-License-Identifier: EUPL-1.2

"""Logs, counters and traces: what an operator sees of the adapter while it runs."""

from adapter.observe.logs import LogFormat, bind, bound, configure_logs, get_logger, unbind
from adapter.observe.metrics import METRICS_CONTENT_TYPE, Metrics, installed_version
from adapter.observe.tracing import (
    Reception,
    TracingProblem,
    mark,
    received_as,
    receiving_step,
    reception,
    span,
    trace,
    trace_with,
    traceparent,
)

__all__ = [
    "METRICS_CONTENT_TYPE",
    "LogFormat",
    "Metrics",
    "Reception",
    "TracingProblem",
    "bind",
    "bound",
    "configure_logs",
    "get_logger",
    "installed_version",
    "mark",
    "received_as",
    "receiving_step",
    "reception",
    "span",
    "trace",
    "trace_with",
    "traceparent",
    "unbind",
]
