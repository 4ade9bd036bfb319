# SPDX-License-Identifier: EUPL-1.2

"""How much is measured: what the command line can set, for a real run and for a smoke test."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What can be measured alone."""

    RECEIVERS = "receivers"
    STORED = "stored"
    AUTHORITIES = "authorities"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Options:
    """The size of a run.

    `messages` are those of one round; each row is the median of `rounds`, in which all that are compared take turns,
    so that what else the machine does hits all of them alike. `stored` messages are in the store where it is to be
    full, and `ready_stored` where its start is timed. Who receives is at rest when its CPU time stands still for a
    `pause`, in seconds.
    """

    messages: int = 150
    rounds: int = 3
    senders: int = 16
    warm_up: int = 50
    peer_warm_up: int = 4000
    stored: int = 100_000
    ready_stored: int = 100_000
    starts: int = 3
    authorities: int = 1000
    largest: int = 1_000_000_000
    peer: bool = True
    parts: tuple[Part, ...] = tuple(Part)
    pause: float = 0.25


QUICK = Options(
    messages=12,
    rounds=1,
    senders=4,
    warm_up=4,
    peer_warm_up=24,
    stored=1000,
    ready_stored=1000,
    starts=1,
    authorities=5,
    largest=10_000_000,
    pause=0.05,
)
"""A smoke test of the benchmark itself; its figures say nothing."""
