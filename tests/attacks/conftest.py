# SPDX-License-Identifier: EUPL-1.2

"""The house of the message service handler, to be attacked."""

from tests.msh.conftest import (
    agreements,
    changed,
    house,
    judge,
    keys,
    keys_are_read_once,
    logs,
    open_house,
    world,
)

__all__ = [
    "agreements",
    "changed",
    "house",
    "judge",
    "keys",
    "keys_are_read_once",
    "logs",
    "open_house",
    "world",
]
