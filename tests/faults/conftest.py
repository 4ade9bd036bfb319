# SPDX-License-Identifier: EUPL-1.2

"""Chains for the tests of faults."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.house import FaultyChain, running_chain

CHAOS = "STAM_ADAPTER_CHAOS"
only_chaos = pytest.mark.skipif(os.environ.get(CHAOS) != "1", reason=f"slow: {CHAOS}=1 (make chaos) runs it")

NEVER_FULL = '\n[limits]\nfree = "1 B"\n'
"""Without the reserve that makes a full disk rare, so that it is met."""


@pytest.fixture
def authorities() -> tuple[str, ...]:
    """Who is in the world; a test may override it."""
    return ("voorbeeldstad",)


@pytest.fixture
def options() -> str:
    """What the configuration of the world has besides; a test may override it."""
    return ""


@pytest.fixture
async def chain(tmp_path: Path, authorities: tuple[str, ...], options: str) -> AsyncIterator[FaultyChain]:
    """A chain whose daemon is not started."""
    async with running_chain(tmp_path, authorities, options=options) as made:
        yield made
