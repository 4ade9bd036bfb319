# SPDX-License-Identifier: EUPL-1.2

"""The benchmark itself, with a handful of messages: it measures what it says it measures."""

import asyncio
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.goals import SQLITE, goals
from bench.measuring import Figures
from bench.options import Options, Part
from bench.results import ANSWERED, Results, Row
from bench.sites import PLANS
from tests.postgresql import find_binaries
from tests.servers import NoServer

ROOT = Path(__file__).resolve().parents[2]


async def run(json_file: Path, *arguments: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench",
        "--quick",
        "--no-peer",
        "--messages",
        "2",
        "--json",
        str(json_file),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return read(json_file)


def read(json_file: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(json_file.read_text())
    return figures


def receivers() -> list[str]:
    try:
        find_binaries()
    except NoServer:
        return [SQLITE]
    return [SQLITE, "PostgreSQL", "PostgreSQL ×2"]


async def test_a_run_has_every_row_and_every_goal(tmp_path: Path) -> None:
    figures = await run(tmp_path / "figures.json", "--only", Part.RECEIVERS)

    rows = {(row["receiver"], row["case"], row["until"]): row["figures"] for row in figures["rows"]}
    to_the_sink = ("osb-rm async", "osb-rm-s async")
    assert set(rows) == {(*row, "answered") for row in product(receivers(), PLANS)} | {
        (*row, "delivered") for row in product(receivers(), to_the_sink)
    }
    assert all(figure["per_second"] > 0 and figure["p99"] >= figure["p50"] > 0 for figure in rows.values())
    assert set(figures["floor"]) == {"osb-rm", "osb-rm-s"}
    assert figures["missing"]["ebms-core"] == "not asked for"
    expected = goals(Results("no machine"), Options(**without_parts(figures["options"])))
    assert [(goal["kind"], goal["what"]) for goal in figures["goals"]] == [
        (goal.kind, goal.what) for goal in expected
    ]


def without_parts(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "parts"}


@pytest.mark.parametrize(
    ("cpu", "reached"), [(1.0, True), (2.0, False)], ids=["above the floor's goal", "below it"]
)
def test_a_goal_is_judged_by_its_figure(cpu: float, reached: bool) -> None:
    results = Results("no machine", floor={"osb-rm": 0.7, "osb-rm-s": 0.7})
    figures = Figures(per_second=100, cpu=cpu, database_cpu=0, load_cpu=0, p50=1, p99=1)
    results.rows.append(Row(SQLITE, "osb-rm sync", ANSWERED, figures))

    judged = {goal.what: goal.reached for goal in goals(results, Options()) if goal.kind.startswith("floor")}

    assert judged[f"{SQLITE}, osb-rm sync"] is reached
    assert judged[f"{SQLITE}, osb-rm async"] is None
