"""What most commands start with: the configuration, and the store it names."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from adapter.cli.output import WRONG_CONFIGURATION, fail
from adapter.config import Config, ConfigProblem, load_config
from adapter.store import Database, StoreProblem, open_database, schema_is_current

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="STAM_ADAPTER_CONFIG",
        help="The configuration file.",
        show_default=True,
    ),
]
DEFAULT_CONFIG = Path("stam-adapter.toml")

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def read_config(path: Path) -> Config:
    """The configuration; ends with exit code 78 and every problem where it is wrong."""
    try:
        return load_config(path, os.environ)
    except ConfigProblem as problem:
        fail_configuration(problem)


def fail_configuration(problem: ConfigProblem) -> NoReturn:
    """Say what is wrong with the configuration, and end with exit code 78."""
    fail("\n".join(problem.problems), WRONG_CONFIGURATION)


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Database]:
    """The store of a configuration, beside a running daemon or without one."""
    try:
        if not schema_is_current(config.store.url, config.state):
            fail(
                f"the store in {config.state} is not there or not of this version; run `stam-adapter db migrate`"
            )
        db = open_database(config.store.url, config.state, exclusive=False)
    except StoreProblem as problem:
        fail(str(problem))
    try:
        yield db
    finally:
        await db.close()
