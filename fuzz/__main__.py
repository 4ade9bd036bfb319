# SPDX-License-Identifier: EUPL-1.2

"""`python -m fuzz`: runs targets for a while, and says what came of each; it ends with 1 where there is a finding."""

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from fuzz.targets import CORPUS, TARGETS

WORK: Final = Path(".fuzz")
"""Where inputs that reached something new are kept from one run to the next, and findings."""

ENDLESS: Final = 10
"""Seconds on the clock after which an input is taken to run for ever (see fuzz.harness for what is only slow)."""

MOST_MEMORY: Final = 256
"""MB that a process may take, all inputs together."""

LONGEST: Final = 16384
"""Octets of the longest input that is tried; what is about size has tests of its own."""

_PROGRESS: Final = re.compile(r"^#(\d+)\s+(INITED|DONE)\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_EXECUTED: Final = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_PEAK: Final = re.compile(r"^stat::peak_rss_mb: +(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What came of one target: inputs tried, features reached by the corpus and in the end, MB, and findings."""

    target: str
    executed: int
    features: tuple[int, int]
    peak: int
    findings: tuple[Path, ...]
    log: Path
    ended: bool


def fuzz(target: str, seconds: int) -> Outcome:
    """Run one target in a process of its own."""
    folder = WORK / target
    inputs, findings = folder / "corpus", folder / "findings"
    for made in (inputs, findings):
        made.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    log = folder / "log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "fuzz.harness", target, f"-max_total_time={seconds}"]
        command += [
            f"-timeout={ENDLESS}",
            f"-rss_limit_mb={MOST_MEMORY}",
            f"-max_len={LONGEST}",
            "-print_final_stats=1",
        ]
        command += [f"-artifact_prefix={findings}/", str(inputs), str(CORPUS / target)]
        ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    text = log.read_text("utf-8", "replace")
    reached = {found[2]: int(found[4]) for found in _PROGRESS.finditer(text)}
    executed, peak = _EXECUTED.search(text), _PEAK.search(text)
    return Outcome(
        target,
        int(executed[1]) if executed else 0,
        (reached.get("INITED", 0), reached.get("DONE", 0)),
        int(peak[1]) if peak else 0,
        tuple(sorted(set(findings.iterdir()) - before)),
        log,
        ended.returncode == 0 and "DONE" in reached,
    )


def show(outcomes: list[Outcome], seconds: int, console: Console) -> None:
    """Print a table, and where to look for what was found."""
    table = Table("target", "inputs", "per second", "features", "MB", "findings")
    for each in outcomes:
        start, end = each.features
        found = str(len(each.findings)) if each.ended or each.findings else "ended early"
        row = (
            each.target,
            str(each.executed),
            str(each.executed // seconds),
            f"{start} → {end}",
            str(each.peak),
        )
        table.add_row(*row, found)
    console.print(table)
    for each in outcomes:
        if not each.ended:
            console.print(
                f"{each.target}: see {each.log}, and {', '.join(map(str, each.findings)) or 'no input'}"
            )


def main() -> int:
    """Read the arguments, run, and print."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (2)")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"{', '.join(TARGETS)} (all)")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        run = partial(fuzz, seconds=arguments.seconds)
        outcomes = list(pool.map(run, arguments.targets or TARGETS))
    show(outcomes, arguments.seconds, Console(width=None if sys.stdout.isatty() else 100))
    return 0 if all(each.ended for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
