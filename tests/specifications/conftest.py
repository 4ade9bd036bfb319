# SPDX-License-Identifier: EUPL-1.2

"""What the tests of single requirements work with: the houses of the message service handler, the CPAs of `cpa`."""

from tests.cpa.conftest import make, parsed, written
from tests.msh.conftest import (
    agreements,
    house,
    judge,
    keys,
    logs,
    open_house,
    world,
)

__all__ = [
    "agreements",
    "house",
    "judge",
    "keys",
    "logs",
    "make",
    "open_house",
    "parsed",
    "world",
    "written",
]
