# SPDX-License-Identifier: EUPL-1.2

"""Releases to come: the migrations there are, with more behind them, in a directory of its own."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from adapter.store.revisions import last_revision

_MODULE = '''"""Of a release to come."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
step = "{step}"


def upgrade() -> None:
    """Change the tables."""
    {change}
'''

ADDITION = ("0007_0001", "pre", 'op.add_column("lane", sa.Column("colour", sa.Text(), nullable=True))')
"""A release adds a column; the release before goes on."""

REMOVAL = ("0008_0007", "post", 'op.drop_table("cpa_file")')
"""What only programs from before 0007 use goes."""

NEXT = ("0009_0007", "pre", 'op.add_column("lane", sa.Column("shape", sa.Text(), nullable=True))')
"""The release after that adds again."""


def migrations_of(directory: Path, *later: tuple[str, str, str]) -> Path:
    """Make a directory with all migrations there are, and these."""
    with as_file(files("adapter.store.migrations")) as ours:
        shutil.copytree(ours, directory, ignore=shutil.ignore_patterns("__pycache__"))
    before = last_revision(directory)
    for revision, step, change in later:
        text = _MODULE.format(revision=revision, before=before, step=step, change=change)
        (directory / "versions" / f"v{revision}.py").write_text(text)
        before = revision
    return directory
