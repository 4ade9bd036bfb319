# SPDX-License-Identifier: EUPL-1.2

"""What an error of PostgreSQL or of the way to it means: try again, come back later, or nobody knows."""

from enum import Enum, auto
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from adapter.store.problems import StoreUnavailable, StoreUnknown
from adapter.store.urls import shown_url


class Trouble(Enum):
    """What kind of trouble an error is.

    RACE: another transaction was first; the same function run again sees what that one did. CUT: there is no
    connection any more, or none could be made. BUSY: the server is there, but does not do it now.
    """

    RACE = auto()
    CUT = auto()
    BUSY = auto()


_RACES: Final = {"40001", "40P01", "23505"}
"""Serialization failure; deadlock; a unique key that the function did not expect to be taken."""

_CUTS: Final = {"57P01", "57P02", "57P03", "25P03", "25P04"}
"""The server stops, crashed or starts; it ended a transaction that took too long."""

_BUSY: Final = {"57014", "55P03", "57P04", "55000"}
"""A statement or a lock took too long; the database is gone or not ready."""

_BUSY_CLASSES: Final = {"28", "3D", "53", "58"}
"""Refused at the door; no such database; out of disk, memory or connections; failures of the system below."""

_FIXES: Final = {
    "28": "correct the user in [store] url, or give the password in PGPASSWORD or a pgpass file",
    "3D": "make it with `createdb`, owned by the user of [store] url",
    "53": "look at the disk, the memory and max_connections of the server",
}


def trouble_of(error: BaseException) -> Trouble | None:
    """What kind of trouble an error is; None when it has another cause than the database."""
    if isinstance(error, TimeoutError):
        return Trouble.BUSY
    if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
        return Trouble.CUT
    if not isinstance(error, (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        return None
    if isinstance(
        _driver_error(error), (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
    ):
        return Trouble.RACE  # another daemon migrated; the driver has forgotten the old plan by now
    state = sqlstate(error)
    if state in _RACES:
        return Trouble.RACE
    if state in _CUTS or state.startswith("08"):
        return Trouble.CUT
    if state in _BUSY or state[:2] in _BUSY_CLASSES:
        return Trouble.BUSY
    return Trouble.CUT if isinstance(_driver_error(error), asyncpg.InterfaceError) else None


def is_commit_uncertain(error: BaseException) -> bool:
    """Whether a commit that failed with this error may have happened all the same.

    Only an answer of a server that goes on says that it did not.
    """
    answered = isinstance(error, DBAPIError) and not error.connection_invalidated and bool(sqlstate(error))
    return not answered or trouble_of(error) is Trouble.CUT


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error; empty when it has none."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else ""


def unavailable(url: str, error: BaseException) -> StoreUnavailable:
    """Make the problem of a transaction that was not committed; statements and values stay out of it."""
    fix = _FIXES.get(sqlstate(error)[:2], "look whether the server runs, can be reached and has room")
    return StoreUnavailable(f"{shown_url(url)} cannot be used now: {_cause(error)}; {fix}")


def unknown(url: str, error: BaseException) -> StoreUnknown:
    """Make the problem of a commit that was not answered."""
    return StoreUnknown(
        f"the connection with {shown_url(url)} was lost during a commit ({_cause(error)}), which may have "
        "been done or not"
    )


def _driver_error(error: BaseException) -> BaseException:
    """The error as the driver raised it."""
    if not isinstance(error, DBAPIError):
        return error
    original = error.orig or error
    return original.__cause__ or original


def _cause(error: BaseException) -> str:
    driver_error = _driver_error(error)
    if isinstance(driver_error, TimeoutError):
        return "it did not answer in time"
    text = str(driver_error.args[0]) if driver_error.args else ""
    if isinstance(driver_error, OSError):
        text = driver_error.strerror or str(driver_error)
    return text or type(driver_error).__name__
