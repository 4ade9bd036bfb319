# SPDX-License-Identifier: EUPL-1.2

"""`db`: manages the database."""

from typing import Annotated, Final

import typer
from sqlalchemy.exc import SQLAlchemyError

from adapter.cli.backup import backup, restore
from adapter.cli.lazy import new_app
from adapter.cli.output import WRONG_USE, fail, report
from adapter.cli.progress import progress
from adapter.cli.retention import purge, verify
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    daemon_runs,
    read_config,
    state_trouble,
    store_trouble,
)
from adapter.store import SchemaStatus, Step, StoreProblem, migrate, schema_is_current

_NOW: Final = {
    SchemaStatus.CURRENT: "of this version",
    SchemaStatus.UNFINISHED: "ready for this version; once every daemon is, run `stam-adapter db migrate --post`",
    SchemaStatus.AHEAD: "as it was: a newer version migrated it, and this one can work with it",
}

app = new_app(
    help="""Manage the database.

    Example: stam-adapter db backup /srv/backup/stam-adapter/2026-03-01
    """,
    no_args_is_help=True,
)
app.command("purge")(purge)
app.command("verify")(verify)
app.command("backup")(backup)
app.command("restore")(restore)


@app.callback()
def _db() -> None:
    pass


@app.command("migrate")
def migrate_database(
    pre: Annotated[bool, typer.Option("--pre", help="Only add; older daemons may go on working.")] = False,
    post: Annotated[
        bool, typer.Option("--post", help="Also remove; every daemon is of this version.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Bring the database to this version.

    It is made where there is none. Make a backup first: there is no other way back. Without an option no daemon may
    run. To replace daemons one by one: `--pre` with the new version, which the release before goes on working with;
    replace the daemons; then `--post`. A daemon does what `--pre` does when it starts.

    Example: stam-adapter db migrate --config /etc/stam-adapter/stam-adapter.toml
    """
    if pre and post:
        fail("choose --pre or --post; without either, both are done", WRONG_USE)
    settings = read_config(config)
    url, state = settings.store.url, settings.state
    try:
        if schema_is_current(url, state):
            document = {"state": state, "status": SchemaStatus.CURRENT, "changed": False}
            report(f"the database in {state} is of this version; nothing to do", document, as_json=as_json)
            return
        if not pre and not post and daemon_runs(settings):
            fail(
                f"a daemon runs on {state}; stop it, migrate, and start it with this version; or see --pre and --post"
            )
        with progress("migrating the database"):
            status = migrate(url, state, Step.PRE if pre else Step.POST, alone=not pre)
    except StoreProblem as problem:
        fail(str(problem))
    except SQLAlchemyError as error:
        fail(store_trouble(settings, error))
    except OSError as error:
        fail(state_trouble(settings, error))
    document = {"state": state, "status": status, "changed": status is not SchemaStatus.AHEAD}
    report(f"the database in {state} is now {_NOW[status]}", document, as_json=as_json)
