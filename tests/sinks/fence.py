# SPDX-License-Identifier: EUPL-1.2

"""The checkpoints of several attempts at one delivery, as the store keeps them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapter.store import LeaseLost
from tests.sinks.handovers import MemoryCheckpoint


class Fence:
    """The checkpoints of the attempts at one delivery, of which the store takes only those of the last."""

    def __init__(self) -> None:
        self.steps: dict[str, Mapping[str, Any]] = {}
        self.newest = 0

    def attempt(self) -> "FencedCheckpoint":
        self.newest += 1
        return FencedCheckpoint(self, self.newest)


class FencedCheckpoint(MemoryCheckpoint):
    def __init__(self, fence: Fence, number: int) -> None:
        super().__init__()
        self._fence = fence
        self.number = number
        self.steps = dict(fence.steps)
        self.committed: Callable[[], Awaitable[None]] | None = None

    async def set(self, step: str, value: Mapping[str, Any], *, note: str | None = None) -> None:
        if self.number != self._fence.newest:
            raise LeaseLost("another has it")
        self._fence.steps[step] = value
        await super().set(step, value, note=note)
        if self.committed is not None:
            await self.committed()
