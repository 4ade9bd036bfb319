# SPDX-License-Identifier: EUPL-1.2

"""What most commands start with: the configuration, and the store it names."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from adapter.cli.names import PLACES, VARIABLE, authority_names, usual_place
from adapter.cli.output import WRONG_CONFIGURATION, WRONG_USE, fail
from adapter.config import AuthorityConfig, Config, ConfigProblem, load_config
from adapter.observe import configure_logs
from adapter.store import Database, StoreProblem, daemon_is_running, open_database, schema_status


def _found(ctx: typer.Context, value: Path) -> Path:
    """The configuration that was named, else that of the usual places."""
    source = ctx.get_parameter_source("config")
    return usual_place() if source is not None and source.name == "DEFAULT" else value


ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar=VARIABLE,
        help="The configuration file.",
        show_default=" or ".join(map(str, PLACES)),
        callback=_found,
        metavar="FILE",
    ),
]
DEFAULT_CONFIG = PLACES[0]

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

AuthorityOption = Annotated[
    str | None,
    typer.Option(
        "--authority",
        "-a",
        help="Only of this authority, by its name in the configuration.",
        metavar="NAME",
        autocompletion=authority_names,
    ),
]

NamedAuthorityOption = Annotated[
    str,
    typer.Option(
        "--authority",
        "-a",
        help="For whom, by its name in the configuration.",
        metavar="NAME",
        autocompletion=authority_names,
    ),
]

LimitOption = Annotated[
    int, typer.Option("--limit", "-n", help="How many at most, the newest.", min=1, metavar="NUMBER")
]


def read_config(path: Path) -> Config:
    """The configuration; ends with exit code 78 and every problem where it is wrong.

    Until a command says otherwise, only log lines that a person must see are shown, on standard error.
    """
    configure_logs("console", "warning")
    try:
        return load(path)
    except ConfigProblem as problem:
        fail_configuration(problem)


def load(path: Path) -> Config:
    """Read the configuration. Raises ConfigProblem, also where none was named and the usual places have none."""
    if path == DEFAULT_CONFIG and not any(place.exists() for place in PLACES):
        places = " nor ".join(map(str, PLACES))
        fix = f"name it with --config, or in the environment variable {VARIABLE}"
        raise ConfigProblem([f"there is no configuration, neither {places}; {fix}"])
    return load_config(path, os.environ)


def fail_configuration(problem: ConfigProblem) -> NoReturn:
    """Say what is wrong with the configuration, and end with exit code 78."""
    fail("\n".join(problem.problems), WRONG_CONFIGURATION)


def named_authority(config: Config, name: str) -> AuthorityConfig:
    """The authority with this name; ends with exit code 2 where the configuration has none."""
    found = config.authorities.get(name)
    if found is None:
        known = ", ".join(sorted(config.authorities)) or "none"
        fail(f"the configuration has no authority {name!r}; known: {known}", WRONG_USE)
    return found


def daemon_runs(config: Config) -> bool:
    """Whether a daemon has the store of this configuration now; ends the command where that cannot be seen."""
    try:
        return daemon_is_running(config.state)
    except StoreProblem as problem:
        fail(str(problem))


def when_done(config: Config) -> str:
    """What to add to a sentence about work that was ordered: when it will be done, where no daemon runs."""
    return "" if daemon_runs(config) else " as soon as the daemon runs"


def state_trouble(config: Config, error: OSError) -> str:
    """What to say of a state directory that cannot be used."""
    return f"{config.state} cannot be used ({error.strerror}); run this as the user of the daemon, or correct `state`"


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Database]:
    """The store of a configuration, beside a running daemon or without one.

    Whatever goes wrong with it, also while it is used, is said and ends the command.
    """
    try:
        db = _open(config)
        try:
            yield db
        finally:
            await db.close()
    except StoreProblem as problem:
        fail(str(problem))
    except SQLAlchemyError as error:
        fail(store_trouble(config, error))


def _open(config: Config) -> Database:
    try:
        if not schema_status(config.store.url, config.state).is_usable:
            fail(
                f"the store in {config.state} is not there or not of this version; run `stam-adapter db migrate`"
            )
        return open_database(config.store.url, config.state, exclusive=False)
    except OSError as error:
        fail(state_trouble(config, error))


def store_trouble(config: Config, error: SQLAlchemyError) -> str:
    """What to say of a database that does not do what it should; the statement and its values stay out of it."""
    cause = getattr(error, "orig", None) or type(error).__name__
    return (
        f"the database in {config.state} cannot be used: {cause}; check its rights and the free space there, "
        "or restore it from a backup"
    )
