# SPDX-License-Identifier: EUPL-1.2

"""Work: who does the jobs of the store, when, and how many at a time."""

from adapter.work.policy import RetryPolicy
from adapter.work.worker import (
    Clock,
    FixedRooms,
    Handler,
    JobObserver,
    JoinedRooms,
    LaneRooms,
    Limits,
    Timing,
    Worker,
    utc_now,
)

__all__ = [
    "Clock",
    "FixedRooms",
    "Handler",
    "JobObserver",
    "JoinedRooms",
    "LaneRooms",
    "Limits",
    "RetryPolicy",
    "Timing",
    "Worker",
    "utc_now",
]
