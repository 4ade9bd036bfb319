# SPDX-License-Identifier: EUPL-1.2

"""The stuf-zds sink: zaken and documents by StUF-ZKN 3.10, as StUF-ZDS 1.2 uses it."""

from adapter.sinks.stuf.answers import Confirmation, Refusal, read_confirmation, read_refusal
from adapter.sinks.stuf.options import StufZdsOptions
from adapter.sinks.stuf.sink import STUF_ZDS, StufZdsSink

__all__ = [
    "STUF_ZDS",
    "Confirmation",
    "Refusal",
    "StufZdsOptions",
    "StufZdsSink",
    "read_confirmation",
    "read_refusal",
]
