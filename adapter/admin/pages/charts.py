# SPDX-License-Identifier: EUPL-1.2

"""Small charts, worked out here and drawn by the macro `bars` as SVG, with a table beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Final

HEIGHT: Final = 120
"""Of a chart of bars, in its own units."""

_STEP: Final = 16
_BAR: Final = 12
_LABELS: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """What one bar is of: its label, and how much there is of each series."""

    label: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar, of the series with this number."""

    series: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its pieces from below, what it says when it is pointed at, and its label where it is shown."""

    x: int
    title: str
    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of stacked bars, with the table that says the same; `top` is the value at its upper edge."""

    name: str
    series: tuple[str, ...]
    columns: tuple[Column, ...]
    bars: tuple[Bar, ...]
    top: int
    width: int
    bar: int = _BAR
    height: int = HEIGHT

    @property
    def totals(self) -> tuple[int, ...]:
        """The sum of each series."""
        return tuple(
            sum(column.values[number] for column in self.columns) for number in range(len(self.series))
        )


def bars(name: str, series: Sequence[str], columns: Sequence[Column]) -> Bars:
    """Work out a chart; `name` is what it is called among those of the page (an id of HTML)."""
    top = _round_up(max((sum(column.values) for column in columns), default=0))
    every = max(1, ceil(len(columns) / _LABELS))
    drawn = tuple(_bar(number, column, series, top, every) for number, column in enumerate(columns))
    return Bars(name, tuple(series), tuple(columns), drawn, top, max(1, len(columns)) * _STEP)


def _bar(number: int, column: Column, series: Sequence[str], top: int, every: int) -> Bar:
    pieces: list[Piece] = []
    edge = float(HEIGHT)
    for which, value in enumerate(column.values):
        if value:
            height = value * HEIGHT / top
            edge -= height
            pieces.append(Piece(which, round(edge, 2), round(height, 2)))
    said = ", ".join(f"{name} {value}" for name, value in zip(series, column.values, strict=True))
    label = column.label if number % every == 0 else ""
    return Bar(number * _STEP, f"{column.label}: {said}", label, tuple(pieces))


def _round_up(value: int) -> int:
    """The least round number that is not below a value: 5, 6, 8, 10, 20, 30, 40, 50, 60, 80, 100, 200, …"""
    if value <= 5:
        return 5
    power: int = 10 ** int(log10(value))
    return min(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)
