# SPDX-License-Identifier: EUPL-1.2

"""The revision of a store, and what it means to this program (`adapter.store.migrations`)."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

_MODULE: Final = re.compile(r"v(?P<revision>\d{4}(_\d{4})?)[_.].*py")


class Step(StrEnum):
    """What a migration is (`step` in its module).

    PRE only adds: daemons of the release before go on working beside it. POST removes what only they use.
    """

    PRE = "pre"
    POST = "post"


class SchemaStatus(StrEnum):
    """How the tables of a store are to this program.

    MISSING: there are none. OLDER: they lack what this program needs. UNFINISHED: they have it, and what only releases
    before use. CURRENT: they are those of this program. AHEAD: a newer program added to them, and this one can go on.
    NEWER: they are of a newer program, or of another.
    """

    MISSING = "missing"
    OLDER = "older"
    UNFINISHED = "unfinished"
    CURRENT = "current"
    AHEAD = "ahead"
    NEWER = "newer"

    @property
    def is_usable(self) -> bool:
        """Whether this program can work on the tables."""
        return self in {SchemaStatus.UNFINISHED, SchemaStatus.CURRENT, SchemaStatus.AHEAD}


def current_revision(connection: Connection) -> str | None:
    """The revision that a store is at; None where it has no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).one_or_none()
    return None if row is None else str(row.version_num)


def last_revision(scripts: Path) -> str:
    """The last migration in a directory, by the names of the modules; none of them is imported."""
    names = (_MODULE.fullmatch(path.name) for path in (scripts / "versions").iterdir())
    return max(name["revision"] for name in names if name is not None)
