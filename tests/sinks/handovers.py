"""Handovers and checkpoints for the tests of the sinks."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapter.config import Environment, OutgoingConfig
from adapter.delivery import Handover, HandoverFile, SinkContext
from adapter.work import utc_now


class SimulatedCrash(BaseException):
    """The process ends here: nothing after it runs, and no handler of exceptions sees it."""


class MemoryCheckpoint:
    """A checkpoint that outlives the crash of the sink, as the store does."""

    def __init__(self) -> None:
        self.steps: dict[str, Mapping[str, Any]] = {}
        self.earlier_steps: dict[str, Mapping[str, Any]] = {}
        self.notes: list[tuple[str, str]] = []
        self.before_set: Callable[[], None] = lambda: None
        self.after_set: Callable[[], None] = lambda: None

    def earlier(self, step: str) -> Mapping[str, Any] | None:
        return self.earlier_steps.get(step)

    def get(self, step: str) -> Mapping[str, Any] | None:
        return self.steps.get(step)

    async def set(self, step: str, value: Mapping[str, Any], *, note: str | None = None) -> None:
        self.before_set()
        self.steps[step] = value
        if note is not None:
            self.notes.append((note, step))
        self.after_set()


def make_context(base: Path, **changes: Any) -> SinkContext:
    """The context of a sink of a test authority."""
    context = SinkContext(
        authority="voorbeeldstad",
        sink="archief",
        oin="00000099000000001000",
        environment=Environment.TEST,
        base=base,
        outgoing=OutgoingConfig(),
        clock=utc_now,
    )
    return replace(context, **changes)


def make_file(path: str, content: bytes, chunk: int = 7) -> HandoverFile:
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


def make_handover(*files: HandoverFile, key: str = "2023073100048-000", **extra: Any) -> Handover:
    manifest = {
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
