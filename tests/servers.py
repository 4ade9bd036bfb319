# SPDX-License-Identifier: EUPL-1.2

"""What tests need of a machine: without it they skip, or fail where STAM_ADAPTER_REQUIRE names it."""

import os
from typing import NoReturn

import pytest

REQUIRE = "STAM_ADAPTER_REQUIRE"


class NoServer(Exception):
    """A server cannot be had on this machine."""


def do_without(name: str, what: str, reason: str) -> NoReturn:
    """Skip the test, or let it fail where the environment asks for `name`."""
    if name in os.environ.get(REQUIRE, "").split(","):
        pytest.fail(f"{REQUIRE} asks for {what}, but {reason}")
    pytest.skip(reason)
