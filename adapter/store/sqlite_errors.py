# SPDX-License-Identifier: EUPL-1.2

"""What an error of the embedded database means: it cannot be used now, with what mends it, or it is a fault of ours."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.store.problems import StoreUnavailable, StoreUnknown

_RIGHTS: Final = (
    "let the user of the daemon write it and its directory, and see that the disk is not read-only"
)
_LOCKED: Final = "another program has it locked: end that program"
_DAMAGED: Final = "it is damaged: restore it from a backup"
_DISK: Final = "look at the disk and the log of the system"

_FIXES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_FULL: "free or add space",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: "see that it is there and may be opened, and how many files the daemon may open",
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_NOMEM: "there is no memory left: end other programs, or add some",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


@contextmanager
def told_apart(path: Path) -> Iterator[None]:
    """Raise StoreUnavailable where the database cannot be used; statements and values stay out of it."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        fix = _FIXES.get(_code(error))
        if fix is None:
            raise
        raise StoreUnavailable(f"{path} cannot be used now: {_driver_error(error)}; {fix}") from error


def commit_failure(error: BaseException) -> BaseException:
    """What to tell those whose commit failed: for most errors that nothing was written.

    When the disk failed, it may be found written after a crash.
    """
    if _code(error) != sqlite3.SQLITE_IOERR:
        return error
    unknown = StoreUnknown(f"the disk failed during a commit ({_driver_error(error)}); {_DISK}")
    unknown.__cause__ = error
    return unknown


def _code(error: BaseException) -> int:
    """The primary result code; 0 when it has none."""
    code = getattr(_driver_error(error), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def _driver_error(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error
