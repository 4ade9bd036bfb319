# SPDX-License-Identifier: EUPL-1.2

"""The names that a shell completes: from the files of the configuration, or from the store.

Who presses a key waits for the answer, in the middle of a line: what is wrong or slow gives no names, and nothing is
said of it. What stands in the files is read as it is, so that a wrong configuration has its names too.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapter.config import ConfigProblem, authority_files, load_config, read_table
from adapter.store import (
    StoreProblem,
    active_agreements,
    find_deliveries,
    find_messages,
    lane_backlogs,
    open_database,
    schema_status,
)

PLACES: Final = [Path("stam-adapter.toml"), Path("/etc/stam-adapter/stam-adapter.toml")]
"""Where a configuration is looked for, in this order, where none is named."""
VARIABLE: Final = "STAM_ADAPTER_CONFIG"
"""The environment variable that names the configuration."""

_PATIENCE: Final = 1.5  # seconds, after which who pressed a key has given up
_NEWEST: Final = 200


def usual_place() -> Path:
    """The first place that has a configuration, else the first."""
    return next((place for place in PLACES if place.is_file()), PLACES[0])


def authority_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of authorities."""
    return _begin(incomplete, dict(_authorities(ctx)))


def sink_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of the sinks, of the authority that was named before."""
    wanted = ctx.params.get("authority")
    tables = (table.get("sinks") for name, table in _authorities(ctx) if wanted in {None, name})
    return _begin(incomplete, [sink for sinks in tables if isinstance(sinks, dict) for sink in sinks])


def cpa_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The CPAIds of the agreements in use, of the authority that was named before."""
    wanted = ctx.params.get("authority")
    return _stored(
        ctx,
        incomplete,
        lambda conn: [row.cpa_id for row in active_agreements(conn) if wanted in {None, row.authority}],
    )


def channel_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of the channels of notifications."""
    try:
        tables = read_table(_configuration(ctx)).get("notifications")
    except ConfigProblem:
        return []
    return _begin(incomplete, tables if isinstance(tables, dict) else ())


def lane_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The lanes that have work, or are paused."""
    return _stored(ctx, incomplete, lambda conn: [lane.name for lane in lane_backlogs(conn)])


def verzoeknummers(ctx: typer.Context, incomplete: str) -> list[str]:
    """The newest verzoeknummers."""
    return _stored(
        ctx,
        incomplete,
        lambda conn: [
            one.verzoeknummer for one in find_deliveries(conn, limit=_NEWEST) if one.verzoeknummer is not None
        ],
    )


def message_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The newest MessageIds."""
    return _stored(
        ctx, incomplete, lambda conn: [one.message_id for one in find_messages(conn, limit=_NEWEST)]
    )


def _begin(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _configuration(ctx: typer.Context) -> Path:
    named = ctx.params.get("config") or os.environ.get(VARIABLE)
    return Path(named) if named else usual_place()


def _authorities(ctx: typer.Context) -> Iterator[tuple[str, dict[str, Any]]]:
    """The table of each authority, as far as its file can be read."""
    path = _configuration(ctx)
    try:
        main = read_table(path).get("authorities")
        files = authority_files(path)
    except ConfigProblem:
        return
    if isinstance(main, dict):
        yield from ((name, table) for name, table in main.items() if isinstance(table, dict))
    for name, file in files.items():
        try:
            yield name, read_table(file)
        except ConfigProblem:
            yield name, {}


def _stored(ctx: typer.Context, incomplete: str, look: Callable[[Connection], Iterable[str]]) -> list[str]:
    """What is found in the store within the time that somebody waits for it."""
    found: list[str] = []

    def work() -> None:
        try:
            found.extend(asyncio.run(_look(_configuration(ctx), look)))
        except (ConfigProblem, StoreProblem, SQLAlchemyError, OSError):
            return  # nothing is known, and nobody asked why

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return _begin(incomplete, found)


async def _look(path: Path, look: Callable[[Connection], Iterable[str]]) -> list[str]:
    config = load_config(path, os.environ)
    if not schema_status(config.store.url, config.state).is_usable:
        return []  # opening it would make it
    db = open_database(config.store.url, config.state, exclusive=False)
    try:
        return list(await db.read(look))
    finally:
        await db.close()
