# SPDX-License-Identifier: EUPL-1.2

"""Handovers and checkpoints for the tests of the sinks: what whoever writes a sink has too."""

from adapter.delivery.testing import (
    Crashed,
    MemoryCheckpoint,
    SimulatedCrash,
    crash_at_every_step,
    damaged,
    make_context,
    make_file,
    make_handover,
)

__all__ = [
    "Crashed",
    "MemoryCheckpoint",
    "SimulatedCrash",
    "crash_at_every_step",
    "damaged",
    "make_context",
    "make_file",
    "make_handover",
]
