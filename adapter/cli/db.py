"""`db`: manages the database."""

import typer
from sqlalchemy.exc import SQLAlchemyError

from adapter.cli.lazy import new_app
from adapter.cli.output import fail
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, read_config, store_trouble
from adapter.store import StoreProblem, daemon_is_running, migrate, schema_is_current

app = new_app(help="Manage the database.", no_args_is_help=True)


@app.callback()
def _db() -> None:
    """Manage the database."""


@app.command("migrate")
def migrate_database(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make the database, or bring its tables to this version; the daemon does so too when it starts.

    Make a backup first: there is no way back but that.

    Example: stam-adapter db migrate --config /etc/stam-adapter/stam-adapter.toml
    """
    settings = read_config(config)
    url, state = settings.store.url, settings.state
    try:
        if schema_is_current(url, state):
            typer.echo(f"the database in {state} is of this version; nothing to do")
            return
        if daemon_is_running(state):
            fail(f"a daemon runs on {state}; stop it, migrate, and start it with this version")
        migrate(url, state)
    except StoreProblem as problem:
        fail(str(problem))
    except SQLAlchemyError as error:
        fail(store_trouble(settings, error))
    typer.echo(f"the database in {state} is now of this version")
