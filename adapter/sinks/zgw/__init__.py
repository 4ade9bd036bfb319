# SPDX-License-Identifier: EUPL-1.2

"""The sink for servers with the ZGW APIs (Zaken, Documenten and Catalogi)."""

from adapter.sinks.zgw.options import ZgwOptions
from adapter.sinks.zgw.sink import ZGW, ZgwSink

__all__ = ["ZGW", "ZgwOptions", "ZgwSink"]
