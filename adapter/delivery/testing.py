# SPDX-License-Identifier: EUPL-1.2

"""What the tests of a sink need: handovers, a context, a checkpoint in memory, and a crash at every step.

For whoever writes a sink (docs/writing-a-sink.md); the adapter tests its own sinks with it. Nothing of the running
adapter uses it.
"""

import hashlib
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapter.config import Environment, OutgoingConfig
from adapter.delivery.contract import (
    ContentDamaged,
    Handover,
    HandoverFile,
    Json,
    Outcome,
    Sink,
    SinkContext,
    StepFailed,
)


class SimulatedCrash(BaseException):
    """The process ends here: nothing after it runs, and no handler of exceptions sees it."""


class MemoryCheckpoint:
    """A checkpoint that outlives the crash of the sink, as the store does.

    `steps` is what is remembered, `earlier_steps` what other deliveries of the same verzoek remembered last, `notes`
    what stands in the timeline. `before_set` and `after_set` are called around every `set`: what they raise happens in
    the moment before the step is remembered, or after.
    """

    def __init__(self) -> None:
        self.steps: dict[str, Json] = {}
        self.earlier_steps: dict[str, Json] = {}
        self.notes: list[tuple[str, str]] = []
        self.before_set: Callable[[], None] = lambda: None
        self.after_set: Callable[[], None] = lambda: None

    def get(self, step: str) -> Json | None:
        """What was set for this step."""
        return self.steps.get(step)

    def earlier(self, step: str) -> Json | None:
        """What another delivery of the same verzoek set for this step."""
        return self.earlier_steps.get(step)

    async def set(self, step: str, value: Json, *, note: str | None = None) -> None:
        """Remembers the result of a step. It must be JSON, as in the store."""
        self.before_set()
        json.dumps(dict(value))
        self.steps[step] = value
        if note is not None:
            self.notes.append((note, step))
        self.after_set()


def make_context(base: Path, **changes: Any) -> SinkContext:
    """The context of a sink of a test authority; `changes` are fields that differ."""
    context = SinkContext(
        authority="voorbeeldstad",
        sink="archief",
        oin="00000099000000001000",
        environment=Environment.TEST,
        base=base,
        outgoing=OutgoingConfig(),
        clock=lambda: datetime.now(UTC),
    )
    return replace(context, **changes)


def make_file(path: str, content: bytes, chunk: int = 7) -> HandoverFile:
    """A file of a handover, which is read in pieces of `chunk` octets."""

    async def read() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    return HandoverFile(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content_type=None,
        bestandsnaam=None,
        document_id=None,
        vertrouwelijk=None,
        open=read,
    )


def damaged(file: HandoverFile) -> HandoverFile:
    """The same file, of which the content proves to be damaged only at its end."""

    async def read() -> AsyncGenerator[bytes, None]:
        async for chunk in file.open():
            yield chunk
        raise ContentDamaged(f"stored content of {file.path} is damaged")

    return replace(file, open=read)


def make_handover(*files: HandoverFile, key: str = "2023073100048-000", **extra: Any) -> Handover:
    """A handover of flow stam with these files; `extra` are further keys of its manifest."""
    manifest: Mapping[str, Any] = {
        "verzoeknummer": "2023073100048",
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files],
        **extra,
    }
    return Handover(
        key=key,
        flow="stam",
        authority="voorbeeldstad",
        sink="archief",
        verzoeknummer="2023073100048",
        volgnummer="000",
        manifest=manifest,
        files=files,
    )


@dataclass(frozen=True, slots=True)
class Crashed:
    """A delivery of which the first attempt was killed, and what the second came to.

    `moment` says where it was killed, as `before "zaak"`; `handover` is what was delivered, under a key of its own.
    """

    moment: str
    handover: Handover
    checkpoint: MemoryCheckpoint
    outcome: Outcome


async def crash_at_every_step(sink: Callable[[], Sink], handover: Handover) -> AsyncIterator[Crashed]:
    """Delivers as often as there are moments before and after a step is remembered: killed there, then tried again.

    What a sink did on the other side and did not remember yet is what a crash makes it forget, so these are the moments
    that matter. `sink` makes a new sink, as a process that starts does. Each delivery has a key of its own, so that the
    other side needs no cleaning between them: look there, after each, for what came of `handover`.
    """
    for number in itertools.count():
        one = replace(handover, key=f"{handover.key}-crash-{number}")
        killed = _KilledCheckpoint(number)
        first = sink()
        try:
            await first.deliver(one, killed)
        except SimulatedCrash:
            pass
        else:
            return  # there are no more moments
        finally:
            await first.close()
        kept = MemoryCheckpoint()
        kept.steps, kept.notes = killed.steps, killed.notes
        second = sink()
        try:
            outcome = await second.deliver(replace(one, attempt=2), kept)
        except StepFailed as failure:
            outcome = failure.outcome
        finally:
            await second.close()
        yield Crashed(killed.moment, one, kept, outcome)


class _KilledCheckpoint(MemoryCheckpoint):
    """Kills at the moment with a number: 0 is before the first step is remembered, 1 right after it, and so on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number
        self.moment = ""

    async def set(self, step: str, value: Json, *, note: str | None = None) -> None:
        self._pass(f'before "{step}"')
        await super().set(step, value, note=note)
        self._pass(f'after "{step}"')

    def _pass(self, moment: str) -> None:
        if self._left == 0:
            self.moment = moment
            raise SimulatedCrash
        self._left -= 1
