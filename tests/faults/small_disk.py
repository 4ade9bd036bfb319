# SPDX-License-Identifier: EUPL-1.2

"""A disk that is really full: a tmpfs in a mount namespace of its own, which needs no rights and leaves nothing behind.

The daemon is started in that namespace; the test looks into it through /proc.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import do_without

SIZE = "300m"
"""More than the daemon wants to be free before it is ready; it takes memory as far as it is filled."""

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=0700" tmpfs "$2" && echo mounted && exec cat'
_TOOLS = ("unshare", "nsenter", "mount")


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a fixed size, as a process in its namespace sees it."""

    holder: int
    mounted_at: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a process is started with to have this disk."""
        return ("nsenter", f"--target={self.holder}", "--user", "--mount", "--preserve-credentials", "--")

    def inside(self, path: Path) -> Path:
        """Where a path of that namespace is to be found from here."""
        return Path(f"/proc/{self.holder}/root{path}")

    def fill(self, leave: int = 0) -> None:
        """Fill it to the last octet, and give so many back."""
        with self.filler.open("ab") as file:
            start = size = file.tell()
            step = 1 << 28
            while step:
                try:
                    os.posix_fallocate(file.fileno(), size, step)
                except OSError:
                    step //= 2
                else:
                    size += step
            if leave:
                file.truncate(max(start, size - leave))

    async def make_read_only(self) -> None:
        """Let nobody write on it any more."""
        command = (*self.prefix, "mount", "-o", "remount,ro", str(self.mounted_at))
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0

    def empty(self) -> None:
        """Make room again."""
        self.filler.unlink(missing_ok=True)

    @property
    def filler(self) -> Path:
        """The file that takes the room."""
        return self.inside(self.mounted_at) / ".filler"


@asynccontextmanager
async def small_disk(mount_at: Path, size: str) -> AsyncIterator[SmallDisk]:
    """Mount one; skips the test, with the reason, where that is not allowed."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        do_without(
            "small-disk",
            "a disk that can be filled",
            f"there is no {' and no '.join(missing)}; install util-linux and mount",
        )
    await asyncio.to_thread(mount_at.mkdir, parents=True, exist_ok=True)
    holder = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", size, str(mount_at)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if await holder.stdout.readline() != b"mounted\n":
            said = (await holder.stderr.read()).decode(errors="replace").strip()
            do_without(
                "small-disk",
                "a disk that can be filled",
                f"this user may mount nothing of its own here: {said}",
            )
        yield SmallDisk(holder.pid, mount_at)
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.communicate()
