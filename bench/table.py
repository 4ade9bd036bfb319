# SPDX-License-Identifier: EUPL-1.2

"""The results as tables on the terminal, with the goals beside the figures."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Console
from rich.table import Table

from bench.goals import EBMS_CORE, OF_FLOOR, against_reference, allowed_by_floor, of_floor
from bench.results import ANSWERED, Goal, Results, Row

_WIDEST = 17
_LISTED = 6
"""More goals of a kind than this stand beside the rows already."""


def show(results: Results, goals: Sequence[Goal], console: Console) -> None:
    """Print everything."""
    console.print(results.machine, highlight=False)
    if results.rows:
        console.print(_rows(results))
    if results.memory or results.ready:
        console.print(_singles(results))
    console.print(_goals(goals))
    for what, why in results.missing.items():
        console.print(f"Not measured: {what}: {why}", highlight=False, markup=False)


def _rows(results: Results) -> Table:
    table = Table(
        title="Receiving: until every message is answered and acknowledged, or delivered to the sink",
        caption="CPU and latency (from POST to durable answer) in milliseconds, CPU per message; ×2: two processes",
    )
    for column in ("receiver", "case", "until"):
        table.add_column(column, no_wrap=True)
    numbers = (
        "msg/s",
        "CPU",
        "database CPU",
        "load CPU",
        "p50",
        "p99",
        "floor",
        f"of floor (goal {OF_FLOOR:.0%})",
        "× ebms-core, of possible (goal > 1)",
    )
    for column in numbers:
        table.add_column(column, justify="right", max_width=_WIDEST)
    for row, following in zip_longest(results.rows, results.rows[1:]):
        last = following is None or following.receiver != row.receiver
        table.add_row(*_cells(results, row), end_section=last)
    return table


def _cells(results: Results, row: Row) -> list[str]:
    figures = row.figures
    cells = [
        row.receiver,
        row.case,
        row.until,
        f"{figures.per_second:.0f}",
        f"{figures.cpu:.2f}",
        f"{figures.database_cpu:.2f}",
        f"{figures.load_cpu:.2f}",
        f"{figures.p50:.1f}",
        f"{figures.p99:.1f}",
    ]
    if row.until != ANSWERED or row.receiver == EBMS_CORE:
        return [*cells, "", "", ""]
    ratio = against_reference(results, row)
    most = allowed_by_floor(results, row)
    compared = "" if ratio is None else _judged(f"{ratio:.2f} of {most:.1f}", ratio > 1)
    part = of_floor(results, row)
    return [*cells, f"{results.floor_of(row.case):.2f}", _judged(f"{part:.0%}", part >= OF_FLOOR), compared]


def _singles(results: Results) -> Table:
    table = Table("measured once", "figure", title="Memory and start")
    for size, peak in results.memory.items():
        table.add_row(
            f"peak memory, payload of {size}", f"{peak.mebibytes:.1f} MiB, {peak.seconds:.1f} s to the sink"
        )
    for receiver, start in results.ready.items():
        table.add_row(f"from start to ready, {receiver}", f"{start.seconds:.2f} s, {start.cpu:.2f} s of CPU")
    return table


def _goals(goals: Sequence[Goal]) -> Table:
    """Each goal; of those that stand beside the rows above, how many were reached."""
    table = Table("goal", "of", "asked", "figure", "reached", title="Goals")
    for kind in dict.fromkeys(goal.kind for goal in goals):
        alike = [goal for goal in goals if goal.kind == kind]
        if len(alike) <= _LISTED:
            for goal in alike:
                table.add_row(kind, goal.what, goal.goal, goal.figure, _reached(goal.reached))
            continue
        judged = [goal.reached for goal in alike if goal.reached is not None]
        count = f"{sum(judged)} of {len(judged)} rows" if judged else alike[0].figure
        table.add_row(kind, "every row", alike[0].goal, count, _reached(all(judged) if judged else None))
    return table


def _reached(reached: bool | None) -> str:
    return "not measured" if reached is None else _judged("", reached)


def _judged(figure: str, reached: bool) -> str:
    colour = "green" if reached else "red"
    return f"[{colour}]{figure} {'yes' if reached else 'no'}[/{colour}]".replace("] ", "]")
