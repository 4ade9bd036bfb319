# SPDX-License-Identifier: EUPL-1.2

"""What runs beside the receiving of messages until the daemon stops, and is said at once where it dies."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from adapter.observe import get_logger

log = get_logger(__name__)


@dataclass(slots=True)
class Background:
    """The tasks in the background, by name; each ends with what `closing` closes."""

    closing: AsyncExitStack
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _forever: set[str] = field(default_factory=set)

    def start(self, work: Coroutine[Any, Any, None], name: str, *, ends: bool = False) -> asyncio.Task[None]:
        """Run something; unless it `ends` by itself, the daemon is not whole without it."""
        task = self._tasks[name] = asyncio.create_task(work, name=name)
        if not ends:
            self._forever.add(name)
        task.add_done_callback(_say_if_failed)
        self.closing.push_async_callback(self.end, task)
        return task

    async def end(self, task: asyncio.Task[None]) -> None:
        """Cancel a task, and wait for its end."""
        self._forever.discard(task.get_name())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def dead(self) -> list[str]:
        """The names of those that ended and should not have."""
        return [name for name in sorted(self._forever) if self._tasks[name].done()]


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    log.error(
        "background work had failed",
        action="daemon.background_failed",
        name=task.get_name(),
        error=repr(error),
        exc_info=error,
    )
