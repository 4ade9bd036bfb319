# SPDX-License-Identifier: EUPL-1.2

"""Seeing that a file changed: by what the file system says of it, and only where that differs by its octets."""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

Mark = tuple[int, int, int, int]
"""What changes when a file is written or replaced: modified, changed, size, inode."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was seen; both are None where it was not there, or no regular file.

    `digest` is the SHA-256 of its octets in hexadecimal, None also where they could not be read.
    """

    mark: Mark | None = None
    digest: str | None = None


def mark_of(path: Path) -> Mark | None:
    """The mark of a file; None where there is none. Blocking."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def look_at(path: Path, before: FileState | None = None) -> FileState:
    """The state of a file; its octets are read only where its mark is another than `before`. Blocking."""
    mark = mark_of(path)
    if before is not None and before.mark == mark:
        return before
    if mark is None:
        return FileState()
    try:
        with path.open("rb") as file:
            return FileState(mark, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError:
        return FileState(mark)


def paths_in(value: object) -> Iterator[Path]:
    """Every path in a section, or in a list or mapping of them."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from paths_in(dict(value))
    elif isinstance(value, Mapping):
        yield from paths_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from paths_in(one)
