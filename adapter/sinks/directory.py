# SPDX-License-Identifier: EUPL-1.2

"""The directory sink: each delivery becomes one directory, which is there completely or not at all.

Files and then `manifest.json` are written and fsynced in `<path>/.<key>/` (in a later attempt `.<key>.<attempt>/`); the
names in it, and its own name in `<path>`, are fsynced; the checkpoint `staged` is committed; one rename gives it the
name `<key>`; and an fsync of `<path>` makes that last. Whoever collects the directories may take one the moment it has
its name.
So after a crash, where `.key` is what the attempt that is named in the checkpoint made:

    checkpoint `staged`   `.key`    `key`      what happened, and what is done
    no                    any       no         it was not complete: wiped and written again
    no                    any       yes        ours when the manifest says the same, else for an operator to decide
    yes                   yes       no         complete, not renamed: rename
    yes                   no        yes        renamed, perhaps not lasting: fsync, delivered
    yes                   no        no         renamed and taken already: delivered
    yes                   yes       yes        somebody made `key` meanwhile: as in the second row

That "neither" means *taken* only holds in the directory where it was staged: when another one is mounted
there now, or the mount is gone, the delivery waits.

An attempt that stood still until another took over may go on at any moment. It works under a name of its own, so it
cannot touch what the other makes; its checkpoint is refused; and of two that give the same directory its final name
one finds that it is gone.
"""

import asyncio
import errno
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path, PurePosixPath
from typing import Any, ParamSpec, TypeVar

from adapter.delivery import (
    Checkpoint,
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    OptionPath,
    Outcome,
    Permanent,
    SinkOptions,
    SinkProblem,
    SinkType,
    Temporary,
    manifest_bytes,
)
from adapter.observe import get_logger
from adapter.sinks.disk import Disk
from adapter.sinks.layout import MANIFEST, is_manifest_of, unsafe_reason
from adapter.store import LeaseLost

log = get_logger(__name__)

_STAGED = "staged"
_BATCH = 1024 * 1024  # one hop to a thread per MiB; also all that is in memory of a file
_STUCK = 5.0  # seconds after which a step that should end says that it does not
_THREADS = 4  # of each sink its own: a file system that hangs holds these and nobody else's

P = ParamSpec("P")
R = TypeVar("R")


class DirectoryOptions(SinkOptions):
    """The options of a directory sink: `path`, an existing directory."""

    path: OptionPath


class DirectorySink:
    """Delivers into one directory, on a local or a mounted file system."""

    def __init__(self, options: DirectoryOptions, disk: Disk | None = None) -> None:
        self.path = options.path
        self._disk = disk if disk is not None else Disk()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="directory-sink")

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers one directory, or goes on where an earlier attempt stopped (see the table of this module).

        ContentDamaged and ContentUnavailable, from reading a file, pass through; an error of the file system is
        Temporary.
        """
        reason = unsafe_reason(handover)
        if reason is not None:
            return Permanent(reason)
        try:
            staged = checkpoint.get(_STAGED)
            if staged is None:
                outcome = await self._deliver(handover, checkpoint)
            else:
                outcome = await self._run(self._publish, handover, staged)
        except OSError as error:
            return Temporary(_reason(error, self.path))
        if isinstance(outcome, Delivered) and handover.attempt > 1:
            # an attempt before this one may have begun anew after this one began, and may have been killed since
            await self._tidy(handover)
        return outcome

    async def probe(self) -> None:
        """Checks that the path is a directory we may write in; makes nothing."""
        if not await self._run(self.path.is_dir):
            raise SinkProblem(f"{self.path} is not a directory; make or mount it, the adapter does not")
        if not await self._run(self._disk.is_writable_directory, self.path):
            raise SinkProblem(f"{self.path} is not writable for the account the adapter runs as")

    async def free(self) -> int:
        """How many octets are free where it delivers. Raises SinkProblem."""
        try:
            return (await self._run(shutil.disk_usage, self.path)).free
        except OSError as error:
            raise SinkProblem(_reason(error, self.path)) from error

    async def close(self) -> None:
        """Lets its threads end."""
        self._threads.shutdown(wait=False)

    async def _deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        verdict = await self._run(self._judge_existing, handover)
        if isinstance(verdict, Delivered):
            await self._tidy(handover)
        if verdict is not None:
            return verdict
        try:
            staged = await self._stage(handover)
        except (OSError, ContentDamaged, ContentUnavailable):
            await self._tidy(handover)
            raise
        try:
            await checkpoint.set(_STAGED, staged)
        except LeaseLost:  # nobody will look for it; after any other error the checkpoint may be there
            await self._tidy(handover)
            raise
        return await self._run(self._publish, handover, staged)

    async def _stage(self, handover: Handover) -> dict[str, Any]:
        """Writes everything under its working name; when this returns it survives a power cut."""
        staging = self._staging(handover, handover.attempt)
        directories = _directories(handover)
        await self._run(self._make_room, handover, staging, directories)
        for file in handover.files:
            await self._write(staging / file.path, file.open())
        sealed = await self._run(self._seal, staging, directories, manifest_bytes(handover.manifest))
        return {**sealed, "attempt": handover.attempt}

    def _make_room(self, handover: Handover, staging: Path, directories: Sequence[PurePosixPath]) -> None:
        """Empty directories to write in; blocking."""
        self._wipe(handover)
        self._disk.make_directory(staging)
        for directory in directories:
            self._disk.make_directory(staging / directory)

    def _seal(self, staging: Path, directories: Sequence[PurePosixPath], manifest: bytes) -> dict[str, Any]:
        """Makes the names of the files last, and adds the manifest; returns what to remember. Blocking."""
        for directory in reversed(directories):
            self._disk.sync_directory(staging / directory)
        self._write_whole(staging / MANIFEST, [manifest])
        self._disk.sync_directory(staging)
        # Else a power cut could keep the checkpoint and lose this name, which would read as "taken already".
        self._disk.sync_directory(self.path)
        return {"inode": self._disk.identity(self.path)}

    async def _write(self, path: Path, content: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(_batches(content)) as batches:
            first: list[bytes] = await anext(batches, [])
            second = await anext(batches, None)
            if second is None:  # most are small: one hop to a thread
                await self._run(self._write_whole, path, first)
                return
            handle = await self._run(self._disk.create, path)
            try:
                await self._run(self._disk.write, handle, first)
                await self._run(self._disk.write, handle, second)
                async for batch in batches:
                    await self._run(self._disk.write, handle, batch)
                await self._run(self._disk.sync, handle)
            finally:
                await self._run(handle.close)

    def _write_whole(self, path: Path, chunks: Sequence[bytes]) -> None:
        with self._disk.create(path) as handle:
            self._disk.write(handle, chunks)
            self._disk.sync(handle)

    def _publish(self, handover: Handover, staged: Mapping[str, Any]) -> Outcome:
        """From `staged` to delivered; blocking."""
        staging, target = self._staging(handover, staged.get("attempt", 1)), self.path / handover.key
        if self._disk.exists(staging):
            verdict = self._judge_existing(handover)
            if verdict is None:
                self._disk.rename(staging, target)
            elif isinstance(verdict, Delivered):
                self._disk.wipe(staging)
            else:
                return verdict
        elif not self._disk.exists(target) and self._disk.identity(self.path) != staged.get("inode"):
            return Temporary(
                f"{self.path} is another directory than the one in which {staging.name} was made ready: "
                "mount the right one, or skip this delivery if it was taken"
            )
        self._disk.sync_directory(self.path)
        return Delivered(str(target))

    def _judge_existing(self, handover: Handover) -> Delivered | Permanent | None:
        """What a directory that has the final name already means; None when there is none. Blocking."""
        target = self.path / handover.key
        if not self._disk.exists(target):
            return None
        wanted = manifest_bytes(handover.manifest)
        found = self._disk.read(target / MANIFEST, 2 * len(wanted))
        if found is not None and is_manifest_of(found, handover):
            self._disk.sync_directory(self.path)
            return Delivered(str(target))
        return Permanent(f"{target} exists and is not this delivery: move it away, then retry")

    async def _tidy(self, handover: Handover) -> None:
        """Gives back the space of an attempt that failed; the next one would wipe it, but there may be
        none.
        """
        try:
            await self._run(self._wipe, handover)
        except OSError as error:
            log.warning(
                "could not remove an unfinished delivery; the next attempt will",
                action="sink.unfinished_left",
                path=str(self._staging(handover, handover.attempt)),
                error=str(error),
            )

    def _wipe(self, handover: Handover) -> None:
        """Removes what this attempt and those before it left; blocking."""
        for attempt in range(1, handover.attempt + 1):
            self._disk.wipe(self._staging(handover, attempt))

    def _staging(self, handover: Handover, attempt: int) -> Path:
        return self.path / (f".{handover.key}" if attempt == 1 else f".{handover.key}.{attempt}")

    async def _run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a blocking function in a thread of this sink.

        When the delivery is cancelled meanwhile, the thread is waited for first: it would otherwise still be
        writing under the same names when the next attempt begins.
        """
        loop = asyncio.get_running_loop()
        step = loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([step], timeout=_STUCK)
            if not done:
                log.warning(
                    "the file system of a sink does not answer: a delivery cannot be ended before it does; see what is "
                    "wrong with the mount",
                    action="sink.stuck",
                    path=str(self.path),
                )
                await asyncio.wait([step])
            raise


DIRECTORY: SinkType[DirectoryOptions] = SinkType(
    "directory", DirectoryOptions, lambda options, _: DirectorySink(options)
)


def _directories(handover: Handover) -> list[PurePosixPath]:
    """The directories that files need, each after the one it is in."""
    parents = {parent for file in handover.files for parent in PurePosixPath(file.path).parents}
    return sorted(parents - {PurePosixPath()})


async def _batches(content: AsyncGenerator[bytes, None]) -> AsyncGenerator[list[bytes], None]:
    batch: list[bytes] = []
    size = 0
    async with aclosing(content):
        async for chunk in content:
            batch.append(chunk)
            size += len(chunk)
            if size >= _BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


_FIXES: Mapping[tuple[int, ...], str] = {
    (errno.ENOSPC, errno.EDQUOT): "free or add space",
    (errno.EACCES, errno.EPERM, errno.EROFS): "let the account the adapter runs as write there",
    (errno.ENOENT, errno.ENOTDIR): "make or mount the directory, the adapter does not",
}


def _reason(error: OSError, path: Path) -> str:
    where = error.filename if isinstance(error.filename, str) else str(path)
    text = f"{where}: {error.strerror or error}"
    fixes = [fix for numbers, fix in _FIXES.items() if error.errno in numbers]
    return f"{text}; {fixes[0]}" if fixes else text
