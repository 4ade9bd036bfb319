# SPDX-License-Identifier: EUPL-1.2

"""`db backup` and `db restore`: a copy of the store beside the running daemon, and the way back."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from adapter.cli.auditing import changed, looked, note
from adapter.cli.output import FAILED, fail, report, say, show_document
from adapter.cli.progress import progress
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    daemon_runs,
    opened_store,
    read_config,
    store_trouble,
)
from adapter.config import Config
from adapter.store import BackedUp, StoreProblem, back_up, open_spool, schema_status
from adapter.store import restore as restore_backup


def backup(
    directory: Annotated[
        Path, typer.Argument(help="A directory that is empty or not there.", metavar="DIRECTORY")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Make a backup of the database and the spool, beside the running daemon or without one.

    Exit code 1 when a file of the spool is not in it as it was stored: what is missing or damaged in the store cannot
    be backed up. What retention removes meanwhile is only counted.

    Example: stam-adapter db backup /srv/backup/stam-adapter/2026-03-01
    """
    settings = read_config(config)
    made = asyncio.run(_back_up(settings, directory))
    told = {
        "directory": str(directory),
        "store": made.backup.store,
        "begun": made.backup.made_at,
        "files": made.backup.files,
        "octets": made.backup.octets,
        "removedMeanwhile": made.removed,
        "problems": list(made.problems),
    }
    show_document(told, as_json=as_json)
    if made.problems:
        fail(f"{len(made.problems)} files are not in the backup as they were stored", FAILED)


def restore(
    directory: Annotated[Path, typer.Argument(help="The directory of a backup.", metavar="DIRECTORY")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Put a backup where there is no store: an empty state directory, or an empty database.

    The daemon looks through it at its next start, and says in its log and in a report what it cannot recover.

    Example: stam-adapter db restore /srv/backup/stam-adapter/2026-03-01
    """
    settings = read_config(config)
    if daemon_runs(settings):
        fail(f"a daemon runs on {settings.state}; stop it first")
    try:
        with progress("putting back files and database") as course:
            restored = restore_backup(settings.store.url, settings.state, directory, course.to)
    except StoreProblem as problem:
        fail(str(problem))
    except SQLAlchemyError as error:
        fail(store_trouble(settings, error))
    except OSError as error:
        fail(f"cannot restore: {error}; run this as the user of the daemon")
    asyncio.run(_note_restored(settings, directory))
    report(
        f"the store is as it was at {restored.made_at:%Y-%m-%d %H:%M:%S}Z, with {restored.files} files",
        {"directory": str(directory), "madeAt": restored.made_at, "files": restored.files},
        as_json=as_json,
    )
    say(
        "start the daemon; see its log for restore.content_lost, and the report restored-….json in the state directory"
    )


async def _note_restored(config: Config, directory: Path) -> None:
    """Say so in the audit trail; one of a version before has none, and gets it when the daemon starts."""
    if not schema_status(config.store.url, config.state).is_usable:
        return
    async with opened_store(config) as db:
        await note(db, changed("db.restore", str(directory)))


async def _back_up(config: Config, directory: Path) -> BackedUp:
    async with opened_store(config) as db:
        try:
            # an object store outlives the daemon's host, and is protected with means of its own
            spool = open_spool(config) if config.store.keeps_files else None
            await note(db, looked("db.backup", str(directory)))
            with progress("copying database and files") as course:
                return await back_up(db, spool, config.store.url, directory, datetime.now(UTC), course.to)
        except OSError as error:
            fail(f"cannot make a backup in {directory}: {error}")
