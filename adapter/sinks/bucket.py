# SPDX-License-Identifier: EUPL-1.2

"""The s3 sink: each delivery becomes the objects below one prefix, complete as soon as its manifest is there.

The files are put as `<key>/<path>`, each whole or not at all; a checkpoint remembers each of them, and `staged` that
all are there. Then `<key>/manifest.json` is created, and only where there is none: what has a manifest is complete. S3
has no rename, so this one request is what a rename is to a directory. Who collects takes what has a manifest, and
removes the manifest last.

So after a crash, where *files* are the objects of the delivery but its manifest:

    checkpoint `staged`   manifest   files   what happened, and what is done
    no                    no         any     it was not complete: put what is not there yet
    no                    yes        any     ours when it says the same, else for an operator to decide
    yes                   no         all     complete, not published: create the manifest
    yes                   yes        any     published: delivered (as in the second row, when somebody else made it)
    yes                   no         none    published, and taken already: delivered
    yes                   no         some    being taken, the manifest not last: looked at again later

A delivery without any file has an object `<key>/.empty`, since of nothing nobody sees whether it was taken. All this
only holds in the bucket and prefix where it was staged: when the configuration names another place by now, the delivery
waits.

An attempt that stood still until another took over may go on at any moment. Its next checkpoint is refused, and one
is set right before the manifest is created. When it stood still even between these two, so that it gives a manifest to
what was taken meanwhile, it sees that the files are gone, and removes the manifest again: a manifest without its files
is no delivery. A file that it had under way may come to lie there once more, without a manifest.
"""

from collections.abc import Mapping
from typing import Final

from adapter.delivery import (
    Checkpoint,
    ContentDamaged,
    Delivered,
    Handover,
    Outcome,
    Permanent,
    SinkProblem,
    StepFailed,
    Temporary,
    manifest_bytes,
)
from adapter.observe import get_logger
from adapter.sinks.layout import MANIFEST, is_manifest_of, unsafe_reason
from adapter.sinks.objects import Objects

log = get_logger(__name__)

EMPTY: Final = ".empty"
"""The object that stands for the files where there are none."""

LONGEST: Final = 1024
"""Octets that the key of an object may have."""

_STAGED: Final = "staged"
_REMOVED: Final = "removed"


class BucketSink:
    """Delivers below one prefix of a bucket; `endpoint` is the server of it that is configured, if one is."""

    def __init__(self, objects: Objects, endpoint: str | None = None) -> None:
        self._objects = objects
        self._place = objects.where.place
        self._staged_at = {"url": self._place, "endpoint": endpoint}

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers below one prefix, or goes on where an earlier attempt stopped (see the table of this module).

        ContentDamaged and ContentUnavailable, from reading a file, pass through; StepFailed says what the store did not
        do.
        """
        reason = unsafe_reason(handover) or self._too_long(handover)
        if reason is not None:
            return Permanent(reason)
        staged = checkpoint.get(_STAGED)
        if staged and any(staged.get(name) != value for name, value in self._staged_at.items()):
            return Temporary(
                f"{handover.key} was made ready in {staged.get('url')} of {staged.get('endpoint') or 'S3'}, and the "
                "options url and endpoint name another place now: set them back until this is delivered, or skip this "
                "delivery if it was taken"
            )
        there = await self._objects.sizes(handover.key)
        if MANIFEST in there:
            return await self._judge_existing(handover, checkpoint)
        if staged:
            return await self._resume(handover, checkpoint, there)
        try:
            await self._stage(handover, checkpoint, there)
        except ContentDamaged:
            await self._remove(handover, checkpoint)
            raise
        return await self._publish(handover, checkpoint)

    async def probe(self) -> None:
        """Checks that the bucket is there and shows us what is in it; nothing is written."""
        try:
            await self._objects.sizes("nothing")
        except StepFailed as problem:
            raise SinkProblem(problem.outcome.reason) from problem

    async def close(self) -> None:
        """Nothing is held open."""

    async def _stage(self, handover: Handover, checkpoint: Checkpoint, there: Mapping[str, int]) -> None:
        """Puts what is not there yet; when this returns the store shows all of it."""
        for number, file in enumerate(handover.files):
            step = f"file {number}"
            if checkpoint.get(step) is not None and there.get(file.path) == file.size:
                continue
            path = f"{handover.key}/{file.path}"
            await self._objects.upload(path, file.open(), file.sha256, file.content_type)
            await checkpoint.set(step, {"sha256": file.sha256})
        if not handover.files:
            await self._objects.create(f"{handover.key}/{EMPTY}", b"", "application/octet-stream")
        shown = await self._objects.sizes(handover.key)
        unlike = [path for path, size in _sizes(handover).items() if shown.get(path) != size]
        if unlike:
            where = self._objects.where
            reason = f"{where.place} does not show {unlike[0]} as it was put there; {where.way}"
            raise StepFailed(Temporary(reason), undone=False)

    async def _resume(self, handover: Handover, checkpoint: Checkpoint, there: Mapping[str, int]) -> Outcome:
        """From staged in an earlier attempt, without a manifest now."""
        left = [path for path in _sizes(handover) if path in there]
        if not left:
            return Delivered(self._place_of(handover))
        if len(left) < len(_sizes(handover)):
            return Temporary(
                f"some of the objects of {self._place_of(handover)} are gone, and {MANIFEST} is not there: if it is "
                f"being taken, let {MANIFEST} be removed last; if it was taken, remove the rest, or skip this delivery"
            )
        return await self._publish(handover, checkpoint)

    async def _publish(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """From staged to delivered."""
        # Set again by a later attempt too: whoever was overtaken must not come further.
        await checkpoint.set(_STAGED, {**self._staged_at, "attempt": handover.attempt})
        manifest = f"{handover.key}/{MANIFEST}"
        content = manifest_bytes(handover.manifest)
        if not await self._objects.create(manifest, content, "application/json"):
            return await self._judge_existing(handover, checkpoint)
        there = await self._objects.sizes(handover.key)
        if not any(path in there for path in _sizes(handover)):
            await self._objects.delete([manifest])  # it was taken while we stood still
        return Delivered(self._place_of(handover))

    async def _judge_existing(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """What a manifest that is there already means."""
        place = self._place_of(handover)
        limit = 2 * len(manifest_bytes(handover.manifest))
        found = await self._objects.read(f"{handover.key}/{MANIFEST}", limit)
        if found is None:
            return Temporary(f"{place} was taken while it was looked at")
        if is_manifest_of(found, handover):
            return Delivered(place)
        if checkpoint.get(_STAGED):
            await checkpoint.set(_STAGED, {})  # when it was moved away, nothing there must not mean: taken
        return Permanent(f"{place} exists and is not this delivery: move it away, then retry")

    async def _remove(self, handover: Handover, checkpoint: Checkpoint) -> None:
        """Removes the files of a delivery that is not to be made, unless another attempt has it now."""
        await checkpoint.set(_REMOVED, {"attempt": handover.attempt})
        try:
            await self._objects.delete([f"{handover.key}/{file.path}" for file in handover.files])
        except StepFailed as problem:
            log.warning(
                "could not remove the objects of a delivery that is not made; they have no manifest",
                action="sink.unfinished_left",
                place=self._place_of(handover),
                error=problem.outcome.reason,
            )

    def _place_of(self, handover: Handover) -> str:
        return f"{self._place}/{handover.key}"

    def _too_long(self, handover: Handover) -> str | None:
        prefix = self._place.removeprefix("s3://").partition("/")[2]
        for path in (*_sizes(handover), MANIFEST):
            if len(f"{prefix}/{handover.key}/{path}".encode(errors="replace")) > LONGEST:
                return f"{path!r} is too long for the key of an object in {self._place}: shorten the prefix"
        return None


def _sizes(handover: Handover) -> dict[str, int]:
    """The objects of a delivery but its manifest, with their sizes."""
    return {file.path: file.size for file in handover.files} or {EMPTY: 0}
