# SPDX-License-Identifier: EUPL-1.2

"""Tables as a spreadsheet reads them: every cell is what it says, and none of them is a formula."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta, timezone

import pytest

from adapter.views.tables import SEMICOLON, Column, cell, csv_of

Row = tuple[str, int]
COLUMNS: Sequence[Column[Row]] = (
    Column("name", lambda row: row[0]),
    Column("count", lambda row: row[1]),
)


async def _portions(*portions: Sequence[tuple[str, int]]) -> AsyncIterator[Sequence[tuple[str, int]]]:
    for portion in portions:
        yield portion


async def made(*portions: Sequence[tuple[str, int]], separator: str = ",") -> bytes:
    return b"".join([piece async for piece in csv_of(COLUMNS, _portions(*portions), separator)])


async def test_a_table_is_utf_8_with_a_byte_order_mark_and_its_titles() -> None:
    assert await made() == b"\xef\xbb\xbfname,count\r\n"


async def test_rows_come_portion_by_portion() -> None:
    text = await made([("één", 1)], [("twee", 2)])
    assert text.decode("utf-8-sig") == "name,count\r\néén,1\r\ntwee,2\r\n"


async def test_a_separator_a_quote_and_a_line_break_stay_in_their_cell() -> None:
    text = (await made([('a;"b"\nc', 1)], separator=SEMICOLON)).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text), delimiter=";"))[1] == ['a;"b" c', "1"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n=", "＝", "＋", "－", "＠"])
def test_what_could_be_a_formula_is_text(first: str) -> None:
    assert cell(f"{first}HYPERLINK(1)").startswith("'")


@pytest.mark.parametrize("text", ["m1@dso", "a=b", "2023-1", "", "één"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def test_a_moment_is_in_utc_as_a_spreadsheet_reads_it() -> None:
    at = datetime(2026, 3, 1, 12, 0, 1, tzinfo=timezone(timedelta(hours=1)))
    assert cell(at) == "2026-03-01 11:00:01"


def test_nothing_is_an_empty_cell() -> None:
    assert cell(None) == ""


def test_what_cannot_be_said_in_utf_8_breaks_no_table() -> None:
    assert cell("a\udc80b") == "a\ufffdb"
