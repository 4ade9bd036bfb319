# SPDX-License-Identifier: EUPL-1.2

"""What runs in a thread, and what is over before a thread would have started."""

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SMALL: Final = 16 * 1024
"""Octets of XML that are read, or written again, in about a millisecond."""


async def offload(heavy: bool, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function in a thread where that is `heavy`, and here where it costs less than the way to a thread."""
    if heavy:
        return await asyncio.to_thread(function, *args, **kwargs)
    return function(*args, **kwargs)
