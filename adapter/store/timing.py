# SPDX-License-Identifier: EUPL-1.2

"""How long transactions wait for their turn, and take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

R = TypeVar("R")

TransactionObserver = Callable[[str, float, float], None]
"""Who wants to know of each transaction: ``read`` or ``write``, and how many seconds it waited and took."""


class Turn(Protocol):
    """Wraps the function of a transaction, to see when its turn comes."""

    def __call__(self, run: Callable[[Connection], R]) -> Callable[[Connection], R]:
        """The same function, timed."""


def unobserved(_operation: str, _waited: float, _took: float) -> None:
    """Nobody wants to know."""


@contextmanager
def timed(observe: TransactionObserver, operation: str) -> Iterator[Turn]:
    """Time one transaction, asked for where the block begins; what it gives wraps the function that is to run.

    One that never had its turn is not told of.
    """
    asked = time.perf_counter()
    begun: float | None = None

    def turn(run: Callable[[Connection], R]) -> Callable[[Connection], R]:
        def begin(connection: Connection) -> R:
            nonlocal begun
            begun = time.perf_counter()
            return run(connection)

        return begin

    try:
        yield turn
    finally:
        if begun is not None:
            observe(operation, begun - asked, time.perf_counter() - begun)
