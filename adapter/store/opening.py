"""Opening and migrating the store that a URL names."""

from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from adapter.store.database import Database
from adapter.store.lock import DaemonLock
from adapter.store.problems import StoreProblem
from adapter.store.sqlite import SqliteDatabase, sqlite_engine, sqlite_path

SQLITE_URL = "sqlite"
"""The URL of the embedded database in the state directory."""


def open_database(url: str, state: Path, *, exclusive: bool) -> Database:
    """Open the store; it is not migrated by this.

    Args:
        url: `sqlite`, the embedded database in `state`.
        state: the state directory; it is made where it is not there.
        exclusive: this is the daemon: there can be one at a time. The command line opens without.

    Raises:
        StoreLocked: another daemon has it.
        StoreProblem: the store cannot be opened.

    """
    _check_url(url)
    _prepare(state)
    lock = DaemonLock.take(state) if exclusive else None
    try:
        return SqliteDatabase(sqlite_path(state), lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def migrate(url: str, state: Path) -> None:
    """Bring the tables to the version of this program; nothing happens when they are.

    Raises:
        StoreProblem: the store cannot be opened, or is of a newer program.

    """
    _check_url(url)
    _prepare(state)
    engine = sqlite_engine(sqlite_path(state), writes=True)
    try:
        with as_file(files("adapter.store.migrations")) as scripts, engine.begin() as connection:
            config = _config(scripts)
            _check_known(config, MigrationContext.configure(connection).get_current_revision())
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def schema_is_current(url: str, state: Path) -> bool:
    """Whether the tables are those of this program; nothing is changed or made."""
    _check_url(url)
    path = sqlite_path(state)
    if not path.exists():
        return False
    engine = sqlite_engine(path, writes=False)
    try:
        with as_file(files("adapter.store.migrations")) as scripts, engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            return current == ScriptDirectory.from_config(_config(scripts)).get_current_head()
    finally:
        engine.dispose()


def _check_url(url: str) -> None:
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise StoreProblem(
            "PostgreSQL is not supported by this version; "
            'set [store] url = "sqlite" for the embedded database'
        )
    if url != SQLITE_URL:
        raise StoreProblem(f'[store] url = "{url}" names no known store; use "sqlite"')


def _prepare(state: Path) -> None:
    """Make the state directory and an empty database, which only the owner can read."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        sqlite_path(state).touch(mode=0o600)
    except OSError as error:
        raise StoreProblem(
            f"{state} cannot be written: {error.strerror}; make it a directory of the user of the daemon"
        ) from error


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _check_known(config: Config, revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreProblem(
            f"the store has tables of a newer version of this program (revision {revision}); "
            "install that version, or restore the backup from before it"
        )
