"""`db`: manages the database."""

import typer
from sqlalchemy.exc import SQLAlchemyError

from adapter.cli.backup import backup, restore
from adapter.cli.lazy import new_app
from adapter.cli.output import fail
from adapter.cli.retention import purge, verify
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    daemon_runs,
    read_config,
    state_trouble,
    store_trouble,
)
from adapter.store import StoreProblem, migrate, schema_is_current

app = new_app(help="Manage the database.", no_args_is_help=True)
app.command("purge")(purge)
app.command("verify")(verify)
app.command("backup")(backup)
app.command("restore")(restore)


@app.callback()
def _db() -> None:
    """Manage the database."""


@app.command("migrate")
def migrate_database(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the database to this version.

    It is made where there is none. The daemon does the same when it starts. Make a backup first: there is no other
    way back.

    Example: stam-adapter db migrate --config /etc/stam-adapter/stam-adapter.toml
    """
    settings = read_config(config)
    url, state = settings.store.url, settings.state
    try:
        if schema_is_current(url, state):
            typer.echo(f"the database in {state} is of this version; nothing to do")
            return
        if daemon_runs(settings):
            fail(f"a daemon runs on {state}; stop it, migrate, and start it with this version")
        migrate(url, state)
    except StoreProblem as problem:
        fail(str(problem))
    except SQLAlchemyError as error:
        fail(store_trouble(settings, error))
    except OSError as error:
        fail(state_trouble(settings, error))
    typer.echo(f"the database in {state} is now of this version")
