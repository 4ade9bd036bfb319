# SPDX-License-Identifier: EUPL-1.2

"""Tables as CSV, for those who go on in a spreadsheet.

UTF-8 with a byte order mark, without which Excel takes it for something else; lines end in CR LF (RFC 4180). What a
partner chose could be a formula to a spreadsheet: a cell that begins as one gets an apostrophe before it, which makes
it text.
"""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from adapter.views.texts import plain

T = TypeVar("T")

COMMA: Final = ","
SEMICOLON: Final = ";"
"""What a spreadsheet expects where the comma is the decimal sign, as in Dutch."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its title, and what stands in it for a row."""

    title: str
    value: Callable[[T], Any]


async def csv_of(
    columns: Sequence[Column[T]], portions: AsyncIterable[Sequence[T]], separator: str = COMMA
) -> AsyncGenerator[bytes, None]:
    """A table as CSV, a portion of its rows at a time; it has its titles also where there are no rows."""
    yield b"\xef\xbb\xbf" + _lines([[column.title for column in columns]], separator)
    async for rows in portions:
        yield _lines(([column.value(row) for column in columns] for row in rows), separator)


def cell(value: Any) -> str:
    """A value as it stands in a cell: one line, a moment in UTC as spreadsheets read it, and never a formula."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    text = plain(value)
    begins = text.lstrip().startswith(_FORMULA) or str(value).startswith(_FORMULA)
    return f"'{text}" if begins else text


def _lines(rows: Iterable[Iterable[Any]], separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(
        [cell(value) for value in row] for row in rows
    )
    return text.getvalue().encode("utf-8", "replace")
