# SPDX-License-Identifier: EUPL-1.2

"""`lane`: what goes to one partner, one DSO connection or one sink; it can be paused, and delays no other."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed
from adapter.cli.lazy import new_app
from adapter.cli.names import lane_names
from adapter.cli.output import Column, fail, report, show_table
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, JsonOption, opened_store, read_config
from adapter.config import Config
from adapter.store import JobState, LaneBacklog, lane_backlogs, pause_lane, resume_lane

app = new_app(
    help="""Pause and resume what goes to a partner or sink.

    Example: stam-adapter lane list
    """,
    no_args_is_help=True,
)

NameArgument = Annotated[
    str, typer.Argument(help="The lane, as `lane list` names it.", metavar="LANE", autocompletion=lane_names)
]

_COLUMNS = (
    Column("lane", "lane"),
    Column("state", "state"),
    Column("waiting", "waiting", right=True),
    Column("running", "running", right=True),
    Column("parked", "parked", right=True),
    Column("reason", "reason"),
)


@app.callback()
def _lane() -> None:
    pass


@app.command("list")
def list_lanes(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the lanes that have work, or are paused.

    Example: stam-adapter lane list
    """
    backlogs = asyncio.run(_backlogs(read_config(config)))
    rows = [
        {
            "lane": one.name,
            "state": "paused" if one.paused else "open",
            "waiting": one.jobs.get(JobState.READY, 0),
            "running": one.jobs.get(JobState.RUNNING, 0),
            "parked": one.jobs.get(JobState.PARKED, 0),
            "reason": one.reason,
        }
        for one in backlogs
    ]
    show_table(_COLUMNS, rows, as_json=as_json)


@app.command("pause")
def pause(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown in the list.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Start no new work in a lane until it is resumed; what runs may end.

    Example: stam-adapter lane pause sink:voorbeeldstad/archief --reason "file server in maintenance"
    """
    asyncio.run(_pause(read_config(config), name, reason))
    report(f"{name} is paused", {"lane": name, "state": "paused", "reason": reason}, as_json=as_json)


@app.command("resume")
def resume(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Start the work in a lane again.

    Example: stam-adapter lane resume sink:voorbeeldstad/archief
    """
    asyncio.run(_resume(read_config(config), name))
    report(f"{name} is open", {"lane": name, "state": "open"}, as_json=as_json)


async def _backlogs(config: Config) -> tuple[LaneBacklog, ...]:
    async with opened_store(config) as db:
        return await db.read(lane_backlogs)


async def _pause(config: Config, name: str, reason: str) -> None:
    kind = name.partition(":")[0]
    if kind not in {"partner", "dso", "sink", "route"}:
        fail(
            f"{name!r} is no lane: a lane begins with partner:, dso:, sink: or route:; see `stam-adapter lane list`"
        )
    async with opened_store(config) as db:
        await change(
            db,
            lambda conn: pause_lane(conn, name, reason),
            lambda _: changed("lane.pause", name),
        )


async def _resume(config: Config, name: str) -> None:
    async with opened_store(config) as db:
        if not await change(
            db,
            lambda conn: _resume_known(conn, name),
            lambda known: changed("lane.resume", name) if known else None,
        ):
            fail(f"{name!r} was never paused; see `stam-adapter lane list`")


def _resume_known(conn: Connection, name: str) -> bool:
    if not any(one.name == name and one.paused for one in lane_backlogs(conn)):
        return False
    resume_lane(conn, name)
    return True
