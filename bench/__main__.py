# SPDX-License-Identifier: EUPL-1.2

"""`python -m bench`: what this machine can do with the adapter, with the goals beside the figures."""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from bench.goals import goals
from bench.options import QUICK, Options, Part
from bench.suite import run
from bench.table import show

_HELP = {
    "messages": "messages per round",
    "rounds": "rounds per row; the row is their median",
    "senders": "connections at a time",
    "stored": "messages in the store where it is to be full",
    "authorities": "authorities, each with keys and an agreement, where there are to be many",
    "largest": "largest payload, in octets",
}

_WIDTH = 160
"""Columns, where nobody says how wide the output is."""


def main() -> None:
    """Read the arguments, run, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test of the benchmark: its figures say nothing"
    )
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", type=int, help=f"{text} ({getattr(Options(), name)})")
    parser.add_argument("--only", type=Part, nargs="+", help=f"measure these parts alone: {', '.join(Part)}")
    parser.add_argument("--no-peer", action="store_true", help="leave ebms-core out")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in _HELP if getattr(arguments, name) is not None}
    options = replace(QUICK if arguments.quick else Options(), **given)
    options = replace(options, peer=not arguments.no_peer, parts=tuple(arguments.only or Part))
    progress = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="stam-bench-") as directory,
        progress.status("starting") as status,
    ):
        results = asyncio.run(run(options, Path(directory), status.update))
    judged = goals(results, options)
    show(results, judged, Console(width=None if sys.stdout.isatty() else _WIDTH))
    if arguments.json is not None:
        figures = results.as_json() | {"options": asdict(options), "goals": [asdict(goal) for goal in judged]}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
