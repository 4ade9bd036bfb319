# SPDX-License-Identifier: EUPL-1.2

"""Migrating, with Alembic: the migrations that there are, and those that a store lacks.

Alembic takes a tenth of a second to import: `adapter.store.opening` does that only where there is something to migrate.
"""

import re
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from adapter.store.problems import StoreProblem
from adapter.store.revisions import SchemaStatus, Step

_REVISION: Final = re.compile(r"\d{4}_(?P<oldest>\d{4})")


def upgrade(
    connection: Connection, scripts: Path, current: str | None, *, until: Step, alone: bool
) -> SchemaStatus:
    """Run the migrations in a directory that a store at a revision lacks; see `adapter.store.migrate`."""
    config = _config(scripts)
    known = _Revisions(config)
    status = known.status(current)
    if status is SchemaStatus.NEWER:
        raise StoreProblem(
            f"the store has tables of a newer version of this program (revision {current}), which this one cannot "
            "work on; install that version, or restore the backup from before it"
        )
    if status is SchemaStatus.AHEAD:
        return status
    target = known.last if until is Step.POST or current is None else known.needed
    removal = known.removal_between(current, target)
    if until is Step.PRE and not alone and removal is not None:
        raise StoreProblem(
            f"revision {removal} removes what daemons of earlier releases use, and comes before what this one "
            "needs; when none of those runs any more, run `stam-adapter db migrate`"
        )
    if known.number(current) >= known.number(target):
        return status
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    return known.status(target)


def status_of(scripts: Path, current: str | None) -> SchemaStatus:
    """How a store at a revision is to a program with the migrations in a directory."""
    return _Revisions(_config(scripts)).status(current)


class _Revisions:
    """The migrations that this program has, oldest first: `needed` is the last addition, `last` the last of all."""

    def __init__(self, config: Config):
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


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
