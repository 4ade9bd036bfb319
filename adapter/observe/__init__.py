# SPDX-License-Identifier: EUPL-1.2

"""Logs and counters: what an operator sees of the adapter while it runs."""

from adapter.observe.logs import LogFormat, bind, bound, configure_logs, get_logger, unbind
from adapter.observe.metrics import METRICS_CONTENT_TYPE, Metrics, installed_version

__all__ = [
    "METRICS_CONTENT_TYPE",
    "LogFormat",
    "Metrics",
    "bind",
    "bound",
    "configure_logs",
    "get_logger",
    "installed_version",
    "unbind",
]
