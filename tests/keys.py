# SPDX-License-Identifier: EUPL-1.2

"""Keys of the throw-away PKI that tests use one after another: a world has five, which take most of its time to make.

Within a test, and beside what is shared by several, no two holders have the same key.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class UsedKeys:
    """A plugin of pytest: makes keys with `make`, where none of that size is left that an earlier test is done with."""

    def __init__(self, make: Callable[[int], RSAPrivateKey]) -> None:
        self._make = make
        self._made: dict[int, list[RSAPrivateKey]] = defaultdict(list)
        self._taken: Counter[int] = Counter()
        self._shared = True

    def __call__(self, size: int) -> RSAPrivateKey:
        if self._shared:
            return self._make(size)
        made, number = self._made[size], self._taken[size]
        self._taken[size] += 1
        if number == len(made):
            made.append(self._make(size))
        return made[number]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Begin a test: those before it are done with their keys."""
        self._taken.clear()
        with self._within(is_shared=False):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """What a fixture makes that several tests share outlives each of them."""
        with self._within(is_shared=fixturedef.scope != "function"):
            return (yield)

    @contextmanager
    def _within(self, *, is_shared: bool) -> Iterator[None]:
        before, self._shared = self._shared, is_shared
        try:
            yield
        finally:
            self._shared = before
