"""The migrations that there are, and what the revision of a store is to this program (`adapter.store.migrations`)."""

import re
from enum import StrEnum
from typing import Final

from alembic.config import Config
from alembic.script import ScriptDirectory

_REVISION: Final = re.compile(r"\d{4}_(?P<oldest>\d{4})")


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


class Revisions:
    """The migrations that this program has, oldest first: `needed` is the last addition, `last` the last of all."""

    def __init__(self, config: Config):
        """Read the migrations where a configuration of Alembic says they are."""
        scripts = reversed(list(ScriptDirectory.from_config(config).walk_revisions()))
        self._steps = {script.revision: Step(script.module.step) for script in scripts}
        self._order = list(self._steps)
        self.last = self._order[-1]
        self.needed = [name for name in self._order if self._steps[name] is Step.PRE][-1]

    def number(self, revision: str | None) -> int:
        """The place of a revision, from 1 on; 0 is before all."""
        return 0 if revision is None else self._order.index(revision) + 1

    def status(self, revision: str | None) -> SchemaStatus:
        """How a store at this revision is to this program."""
        if revision is None:
            return SchemaStatus.MISSING
        if revision not in self._steps:
            return SchemaStatus.AHEAD if self._can_work_on(revision) else SchemaStatus.NEWER
        if revision == self.last:
            return SchemaStatus.CURRENT
        return (
            SchemaStatus.OLDER
            if self.number(revision) < self.number(self.needed)
            else SchemaStatus.UNFINISHED
        )

    def removal_between(self, revision: str | None, target: str) -> str | None:
        """The first removal on the way from a revision to another; None from before all: nobody uses that yet."""
        if revision is None:
            return None
        between = self._order[self.number(revision) : self.number(target)]
        return next((name for name in between if self._steps[name] is Step.POST), None)

    def _can_work_on(self, unknown: str) -> bool:
        """Whether a program that knows `needed` can work on tables of a later revision, as the name of that says."""
        named = _REVISION.fullmatch(unknown)
        return named is not None and named["oldest"] <= self.needed[:4]
