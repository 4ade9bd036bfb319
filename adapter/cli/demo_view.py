# SPDX-License-Identifier: EUPL-1.2

"""What the demo shows: a table that changes on a terminal, one line per step in a pipe."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from adapter.simulator import SimulatedVerzoek, World


class Step(StrEnum):
    """Where a verzoek is."""

    SENT = "notification sent"
    ACKNOWLEDGED = "acknowledged, signature and references checked"
    COLLECTING = "collecting"
    DELIVERING = "complete, on its way to the sink"
    DELIVERED = "delivered"
    PARKED = "parked"


@dataclass(slots=True)
class _Row:
    verzoek: SimulatedVerzoek
    step: Step
    fetched: int = 0
    files: int = 0


@dataclass(slots=True)
class View:
    """Shows the verzoeken as they move through their steps."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    _rows: dict[str, _Row] = field(default_factory=dict)
    _live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self._table, refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Say what happens."""
        self.console.print(Text(f"• {text}"), soft_wrap=True)

    def move(self, verzoek: SimulatedVerzoek, step: Step, fetched: int = 0, files: int = 0) -> None:
        """Note where a verzoek is; steps never go back, though the store may be seen before the signal."""
        row = self._rows.setdefault(verzoek.verzoeknummer, _Row(verzoek, step))
        order = list(Step)
        news = order.index(step) > order.index(row.step) or (step is row.step and fetched > row.fetched)
        if order.index(step) >= order.index(row.step):
            row.step, row.fetched, row.files = step, fetched, files
        if news and self._live is None:
            counted = f" ({fetched} of {files} files)" if files and step is Step.COLLECTING else ""
            self.console.print(Text(f"  {verzoek.verzoeknummer}: {step}{counted}"), soft_wrap=True)

    def finish(self, world: World, delivered: dict[str, Path]) -> None:
        """Say where the result lies, and what to look at next."""
        tree = Tree(Text(str(world.authorities[0].sink)))
        for number in sorted(delivered):
            branch = tree.add(Text(delivered[number].name))
            for path in sorted(p for p in delivered[number].rglob("*") if p.is_file()):
                size = path.stat().st_size
                branch.add(Text(f"{path.relative_to(delivered[number])}  {size / 1000:,.0f} kB"))
        self.console.print()
        self.console.print(tree, soft_wrap=True)
        config = world.config
        for line in (
            "",
            f"{len(delivered)} verzoeken were received, collected and delivered; every octet was compared.",
            "",
            "Look at:",
            f"  {delivered[min(delivered)] / 'manifest.json'}",
            f"  {world.adapter_log}   (one line per action)",
            f"  {world.authorities[0].cpa_path}   (the agreement)",
            f"  {config}   (the configuration)",
            "",
            "Go on with:",
            f"  stam-adapter check --config {config}",
            f"  stam-adapter verzoek list --config {config}",
            f"  stam-adapter cpa show {world.authorities[0].cpa_path}",
        ):
            self.console.print(Text(line), soft_wrap=True)

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for title in ("verzoek", "type", "step", "files"):
            table.add_column(title, header_style="bold")
        for row in self._rows.values():
            done = row.step is Step.DELIVERED
            bar = ProgressBar(total=row.files or 1, completed=row.files if done else row.fetched, width=20)
            style = "green" if done else ""
            table.add_row(row.verzoek.verzoeknummer, row.verzoek.spec.type, Text(row.step, style=style), bar)
        return Group(table)
