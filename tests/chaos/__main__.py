# SPDX-License-Identifier: EUPL-1.2

"""The long run: `python -m tests.chaos [--kills N] [--overload SECONDS] [--seed N] [--json FILE]`.

Rounds of load under kills on SQLite with one daemon and on PostgreSQL with two, in turns, and one overload. It ends
with a table, and with exit code 1 when anything was lost, delivered twice or half, or does not agree; what a round
left behind then stays for a look.
"""

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import cycle
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from tests.chaos.campaign import Outcome, Plan, run_campaign
from tests.chaos.checker import Report
from tests.chaos.overload import GROWTH, Endured, overload
from tests.chaos.stage import build_stage
from tests.postgresql import Server, find_binaries, free_port

KILLS = 220
ROUND = 55
OVERLOAD = 60.0

_MIB = 1024 * 1024


def main() -> None:
    """Run everything, and show what came of it."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1_000_000)
    console = Console(width=160)
    console.print(f"seed {seed}")
    with _own_directory() as directory:
        outcomes = list(_rounds(directory, arguments.kills, seed, console))
        endured = asyncio.run(_overloaded(directory / "overload", arguments.overload, seed))
        console.print(_kill_table(outcomes), _overload_table(endured))
        if arguments.json is not None:
            figures = {"kills": outcomes, "overload": endured}
            arguments.json.write_text(json.dumps(figures, default=_plain, indent=2) + "\n")
        reports = [*(outcome.report for outcome in outcomes), endured.report]
        if not all(report.is_clean for report in reports) or endured.watched.growth > GROWTH:
            console.print(*(str(report) for report in reports), f"see {directory}", sep="\n")
            sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="load under kills, and overload")
    parser.add_argument("--kills", type=int, default=KILLS, help="how many kills in all, at least")
    parser.add_argument("--overload", type=float, default=OVERLOAD, help="seconds of overload")
    parser.add_argument("--seed", type=int, help="decides what happens when; random where it is not given")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    return parser.parse_args()


@contextmanager
def _own_directory() -> Iterator[Path]:
    """A directory that stays only where something went wrong, open to the user that PostgreSQL runs as."""
    directory = Path(tempfile.mkdtemp(prefix="stam-chaos-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


def _rounds(directory: Path, kills: int, seed: int, console: Console) -> Iterator[Outcome]:
    server = Server(find_binaries(), directory / "postgresql", free_port())
    server.directory.mkdir()
    server.initialise()
    server.start()
    try:
        databases = cycle(("sqlite", "postgresql"))
        for number, begun in enumerate(range(0, kills, ROUND)):
            plan = Plan(min(ROUND, kills - begun), seed + number)
            outcome = asyncio.run(_round(directory / f"round-{number + 1}", next(databases), server, plan))
            console.print(f"round {number + 1}, {outcome.database}: {str(outcome.report).splitlines()[0]}")
            yield outcome
    finally:
        server.stop()


async def _round(directory: Path, database: str, server: Server, plan: Plan) -> Outcome:
    if database == "sqlite":
        stage = await asyncio.to_thread(build_stage, directory)
    else:
        url = server.url(await asyncio.to_thread(server.new_database))
        stage = await asyncio.to_thread(build_stage, directory, url, hosts=2)
    outcome = await run_campaign(stage, plan)
    if outcome.report.is_clean:
        await asyncio.to_thread(shutil.rmtree, directory)
    return outcome


async def _overloaded(directory: Path, seconds: float, seed: int) -> Endured:
    return await overload(directory, seconds, seed=seed)


def _kill_table(outcomes: list[Outcome]) -> Table:
    columns = (
        *("database", "daemons", "seed", "kills", "messages", "resent", "repeated", "delivered"),
        *("lost", "twice", "half", "disagrees", "seconds"),
    )
    table = Table(*columns, title="load under kills")
    for outcome in outcomes:
        numbers = (
            *(outcome.daemons, outcome.plan.seed, outcome.kills.total(), outcome.counts.messages),
            *(outcome.counts.resends, outcome.counts.duplicates, outcome.delivered),
            *_numbers(outcome.report),
            round(outcome.seconds),
        )
        table.add_row(outcome.database, *map(str, numbers))
    return table


def _overload_table(endured: Endured) -> Table:
    columns = (
        *("messages", "accepted and delivered", "503", "turned away", "growth in MiB", "/health/live"),
        *("lost", "twice", "half", "disagrees", "seconds"),
    )
    table = Table(*columns, title="overload")
    numbers = (
        *(endured.counts.messages, endured.delivered, endured.counts.statuses[503]),
        *(int(endured.refused.get("connections", 0)), round(endured.watched.growth / _MIB)),
        dict(endured.watched.lives),
        *_numbers(endured.report),
        round(endured.seconds),
    )
    table.add_row(*map(str, numbers))
    return table


def _numbers(report: Report) -> tuple[int, ...]:
    return len(report.lost), len(report.twice), len(report.half), len(report.disagrees)


def _plain(value: object) -> object:
    """What JSON has no form for: our records, and sets."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, set):
        return sorted(map(str, value))
    raise TypeError(f"{value!r} has no form in JSON")


if __name__ == "__main__":
    main()
