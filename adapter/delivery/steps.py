# SPDX-License-Identifier: EUPL-1.2

"""The steps of a delivery that takes several calls, each remembered before the next begins."""

from collections.abc import Awaitable, Callable
from typing import Final

from adapter.delivery.contract import Checkpoint, Json, StepFailed

POSSIBLY_REPEATED: Final = "possibly_repeated"
_BEGUN: Final = "begun"
_RESULT: Final = "result"

Call = Callable[[], Awaitable[Json]]


class Steps:
    """The steps of one delivery: what was done in an earlier attempt is not done again."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def result(self, step: str) -> Json | None:
        """What a step came to; None where it was not done."""
        known = self._checkpoint.get(step)
        return None if known is None else known.get(_RESULT)

    def earlier(self, step: str) -> Json | None:
        """What a step came to last in another delivery of the same verzoek; None where it was not done."""
        known = self._checkpoint.earlier(step)
        return None if known is None else known.get(_RESULT)

    async def once(self, step: str, call: Call) -> Json:
        """The result of a step that the other side recognises when it is repeated: it can be made again after a crash.

        What `call` raises passes, and nothing is remembered.
        """
        known = self.result(step)
        if known is not None:
            return known
        result = await call()
        await self._checkpoint.set(step, {_RESULT: result})
        return result

    async def unrecognised(self, step: str, call: Call) -> Json:
        """The result of a step that the other side does not recognise when it is repeated.

        That it begins is remembered first. Where an earlier attempt began it and nobody knows how that ended, it is
        made again, and the timeline says that it was possibly repeated. StepFailed with `undone` is a known end.
        """
        known = self.result(step)
        if known is not None:
            return known
        begun = (self._checkpoint.get(step) or {}).get(_BEGUN, False)
        await self._checkpoint.set(step, {_BEGUN: True}, note=POSSIBLY_REPEATED if begun else None)
        try:
            result = await call()
        except StepFailed as failure:
            if failure.undone:
                await self._checkpoint.set(step, {_BEGUN: False})
            raise
        await self._checkpoint.set(step, {_RESULT: result})
        return result
