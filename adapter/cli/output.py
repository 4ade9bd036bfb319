"""How the command line speaks: tables on a terminal, plain text in a pipe, one JSON document where asked.

Results go to standard output and nothing else does; everything said beside them goes to standard error.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAILED = 1
WRONG_USE = 2
WRONG_CONFIGURATION = 78

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "failed": "red"}


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what went wrong, one line per problem, and end with this exit code."""
    error_console().print(Text(message, style="red"), soft_wrap=True)
    raise typer.Exit(code)


def say(message: str) -> None:
    """Say something beside the result."""
    error_console().print(Text(message), soft_wrap=True)


def error_console() -> Console:
    """A console on standard error, as it is now: tests and pipes replace it."""
    return Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `key` names it in JSON."""

    key: str
    title: str
    right: bool = False


def show_table(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Show rows: as a JSON list, as a table on a terminal, or as lines with tabs in a pipe."""
    listed = list(rows)
    if as_json:
        show_json(listed)
        return
    if not sys.stdout.isatty():
        lines = ["\t".join(c.title for c in columns)]
        lines += ["\t".join(_plain(row.get(c.key)) for c in columns) for row in listed]
        typer.echo("\n".join(lines))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_coloured(row.get(column.key)) for column in columns))
    Console(highlight=False).print(table)


def show_json(value: Any) -> None:
    """Show one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_jsonable))


def _plain(value: Any) -> str:
    text = "" if value is None else str(_jsonable(value) if isinstance(value, date | Enum | Path) else value)
    return text.replace("\t", " ").replace("\n", " ")


def _coloured(value: Any) -> Text:
    text = _plain(value)
    return Text(text, style=_COLOURS.get(text, ""))


def _jsonable(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)
