# SPDX-License-Identifier: EUPL-1.2

"""How the command line speaks: tables on a terminal, plain text in a pipe, one JSON document where asked.

Results go to standard output and nothing else does; everything said beside them goes to standard error.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapter.cli.document import FAILED, WRONG_CONFIGURATION, WRONG_USE, show_error, show_text
from adapter.views.texts import plain, printable, to_json

__all__ = [
    "FAILED",
    "WRONG_CONFIGURATION",
    "WRONG_USE",
    "Column",
    "error_console",
    "fail",
    "report",
    "say",
    "show_document",
    "show_json",
    "show_table",
]

_WIDEST = 120
"""Characters of a row in an outline before its last column; wider ones become blocks."""

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "failed": "red"}


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what went wrong, one line per problem, and end with this exit code.

    Where a JSON document was asked for, and none shown, the problems are in it.
    """
    show_error(printable(message), code)
    error_console().print(Text(printable(message), style="red"), soft_wrap=True)
    raise typer.Exit(code)


def report(message: str, document: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was done: in a sentence, or as JSON."""
    if as_json:
        show_json(document)
    else:
        typer.echo(printable(message))


def say(message: str) -> None:
    """Say something beside the result."""
    error_console().print(Text(printable(message)), soft_wrap=True)


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
        lines += ["\t".join(plain(row.get(c.key)) for c in columns) for row in listed]
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
    show_text(to_json(value))


def show_document(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Show one thing with everything in it: as JSON, or as an outline for people, without what is empty."""
    if as_json:
        show_json(value)
    else:
        typer.echo("\n".join(_outline(value)))


def _outline(value: Mapping[str, Any]) -> list[str]:
    """The lines of an outline: one per value, a block per thing within, a table for things that are alike."""
    given = {
        _label(key): item for key, item in value.items() if item is not None and item not in ((), [], {})
    }
    width = max((len(label) for label in given), default=0) + 2
    lines: list[str] = []
    for label, item in given.items():
        if not _is_nested(item):
            lines += _value_lines(label, item, width)
            continue
        lines.append(f"{label}:")
        if isinstance(item, Mapping):
            lines += _indented(_outline(item))
        else:
            lines += _indented(_grid(item) or _blocks(item))
    return lines


def _value_lines(label: str, value: Any, width: int) -> list[str]:
    """A value behind its label; several long ones below it."""
    line = f"{label:<{width}}{_one_line(value)}"
    if isinstance(value, list | tuple) and len(value) > 1 and len(line) > _WIDEST:
        return [f"{label}:", *_indented(plain(one) for one in value)]
    return [line]


def _grid(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows in columns, without those in which nothing stands; nothing where they are too wide or deep for that."""
    if any(_is_nested(cell) for row in rows for cell in row.values()):
        return []
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = {key: [_label(key), *(_one_line(row.get(key)) for row in rows)] for key in keys}
    columns = [column for column in cells.values() if any(column[1:])]
    widths = [max(len(cell) for cell in column) for column in columns]
    if sum(width + 2 for width in widths[:-1]) > _WIDEST:
        return []
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]


def _blocks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows one below the other, each marked by a dash."""
    lines: list[str] = []
    for row in rows:
        first, *rest = _outline(row) or [""]
        lines += [f"- {first}", *_indented(rest)]
    return lines


def _is_nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value)


def _indented(lines: Iterable[str], by: int = 2) -> list[str]:
    return [" " * by + line for line in lines]


def _label(key: str) -> str:
    """`conversationId` as `conversation id`."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in key)


def _one_line(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(plain(one) for one in value)
    return plain(value)


def _coloured(value: Any) -> Text:
    text = plain(value)
    return Text(text, style=_COLOURS.get(text, ""))
