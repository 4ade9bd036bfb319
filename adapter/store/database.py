# SPDX-License-Identifier: EUPL-1.2

"""The database as the rest of the adapter sees it: it runs functions, each in one transaction."""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection

from adapter.store.timing import TransactionObserver, unobserved

P = ParamSpec("P")
R = TypeVar("R")

POLL_INTERVAL: Final = 0.5
"""Seconds between looks for commits of other processes, while somebody waits for one."""


class Changes:
    """Counts the commits that changed something, and wakes who waits for the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._count = 0

    @property
    def count(self) -> int:
        """How many changes were seen so far."""
        return self._count

    def announce(self) -> None:
        """Count a change and wake all who wait; from any thread."""
        with self._lock:
            self._count += 1
            waiting, self._waiting = self._waiting, set()
        for loop, changed in waiting:
            with contextlib.suppress(RuntimeError):  # that loop was closed: nobody waits there any more
                loop.call_soon_threadsafe(changed.set)

    async def wait(self, since: int, timeout: float) -> None:  # noqa: ASYNC109
        """Return once `count` is not `since` any more, or after `timeout` seconds."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._count != since:
                return
            self._waiting.add(waiter)
        try:
            # not wait_for, which loses a cancellation that comes together with the change
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await waiter[1].wait()
        finally:
            with self._lock:
                self._waiting.discard(waiter)


class Database(ABC):
    """A store of rows: runs functions over a connection, each in one transaction.

    `observe` is told of each that ended: ``read`` or ``write``, how many seconds it waited for its turn, and how many
    it took.
    """

    def __init__(self) -> None:
        self.changes: Final = Changes()
        self.observe: TransactionObserver = unobserved

    @abstractmethod
    async def write(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, …)` in a transaction; return its result after the commit.

        What the function raises is raised here, and nothing of it is kept. Cancelling does not interrupt a
        transaction that was started; one that was not is skipped.

        Raises:
            StoreClosed: the database was closed.

        """

    @abstractmethod
    async def read(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, …)` over one consistent view; it cannot write.

        Raises:
            StoreClosed: the database was closed.

        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what was asked for, then let go of everything."""

    def stuck(self) -> float:
        """For how many seconds something of this process has kept all writes waiting; a server is no part of it."""
        return 0.0

    async def tidy(self) -> bool:
        """Let nothing of what was deleted remain in the files of the store; return whether that is so now.

        A server looks after its own files.
        """
        return True

    @abstractmethod
    async def _changed_elsewhere(self) -> bool:
        """Whether another process committed since this was last asked."""

    async def wait_for_change(self, timeout: float, since: int | None = None) -> None:  # noqa: ASYNC109
        """Return after the next commit that changes something, of this process or another, or the time-out.

        Args:
            timeout: in seconds.
            since: the `changes.count` after which a change is news, so that none is missed between looking
                and waiting; without it, changes from now on.

        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        seen = self.changes.count if since is None else since
        while self.changes.count == seen and (left := until - loop.time()) > 0:
            await self.changes.wait(seen, min(left, POLL_INTERVAL))
            if self.changes.count == seen and await self._changed_elsewhere():
                self.changes.announce()
