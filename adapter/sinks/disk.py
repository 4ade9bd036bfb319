# SPDX-License-Identifier: EUPL-1.2

"""The file operations of the directory sink, one method each, so that a test can fail any one of them."""

import os
import shutil
import stat
from collections.abc import Sequence
from io import BufferedWriter
from pathlib import Path


class Disk:
    """Blocking operations on a local or mounted file system; every one may raise OSError.

    Modes of what is made are left to the umask of the process.
    """

    def exists(self, path: Path) -> bool:
        """Whether there is anything of this name, a dangling symbolic link included."""
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True

    def identity(self, directory: Path) -> int:
        """The inode of a directory, to notice that another file system is mounted there than before."""
        return directory.stat().st_ino

    def make_directory(self, path: Path) -> None:
        """Makes one directory that was not there."""
        path.mkdir()

    def create(self, path: Path) -> BufferedWriter:
        """Makes and opens one file that was not there."""
        return path.open("xb")

    def write(self, handle: BufferedWriter, chunks: Sequence[bytes]) -> None:
        """Appends octets."""
        handle.writelines(chunks)

    def sync(self, handle: BufferedWriter) -> None:
        """Returns when everything written is on the disk itself."""
        handle.flush()
        os.fsync(handle.fileno())

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in a directory are on the disk itself."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a directory its final name; what has that name already must be refused by the caller."""
        source.rename(target)

    def wipe(self, path: Path) -> None:
        """Removes whatever has this name; nothing there is fine. A symbolic link is removed, not followed."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(path)
        else:
            path.unlink()

    def read(self, path: Path, limit: int) -> bytes | None:
        """The content of a regular file of at most `limit` octets; None when there is no such file."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            with path.open("rb") as handle:
                content = handle.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content if len(content) <= limit else None

    def is_writable_directory(self, path: Path) -> bool:
        """Whether this process may make and rename things in a directory; nothing is made to find out."""
        effective = os.access in os.supports_effective_ids
        return path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective)
