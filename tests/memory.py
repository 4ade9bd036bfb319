# SPDX-License-Identifier: EUPL-1.2

"""How much memory is taken."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Peak:
    """The most that was allocated at any moment, in octets."""

    octets: int = 0


@contextmanager
def measured_peak() -> Iterator[Peak]:
    """Measure what is allocated beyond what there was; the peak is there when the context ends."""
    peak = Peak()
    tracemalloc.start()
    try:
        yield peak
        peak.octets = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
