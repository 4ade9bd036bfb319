# SPDX-License-Identifier: EUPL-1.2

"""Reading one file of TOML, and what to say of one that cannot be read: the place, the fault, and the fix."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from adapter.config.problems import ConfigProblem

Table = dict[str, Any]

_WHERE: Final = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)
_QUOTES: Final = 'write text between quotes, as "text", and numbers, true and false without'
_NAME: Final = "put quotes around a name with other signs than letters, digits, - and _"
_FIXES: Final = (
    ("Invalid value", f"this is no value; {_QUOTES}"),
    ("Invalid statement", f"here a key or a [table] must begin; {_NAME}"),
    ("Expected '=' after a key", 'there is no = after the key; write key = "value"'),
    (
        "Expected newline or end of document",
        f"there is more behind the value; one key on a line, and {_QUOTES}",
    ),
    ("Expected ']]'", "the name of the list of tables is not closed; end it with ]]"),
    ("Expected ']'", "the name of the table is not closed; end it with ]"),
    ("Unclosed array", "the list is not closed; put commas between its values, and ] behind the last"),
    (
        "Unclosed inline table",
        "the table is not closed; put commas between its keys, and } behind the last on the same line",
    ),
    ("Unterminated string", "the text is not closed; put the same quotes behind it as before it"),
    (
        "Illegal character '\\n'",
        "the text is not closed; put the same quotes behind it as before it, on the same line",
    ),
    (
        "Unescaped '\\'",
        "a \\ between double quotes means something else; write single quotes, as 'C:\\path', or \\\\",
    ),
    ("Cannot overwrite a value", "this key is there twice; leave one of the two out"),
    ("Duplicate inline table key", "this key is there twice; leave one of the two out"),
    (
        "Invalid initial character for a key",
        f"here a key must begin; {_NAME}, and a table between {{ and }} on one line",
    ),
    ("Invalid date or datetime", "there is no such date; write 2026-03-01"),
)
_TWICE: Final = re.compile(
    r"Cannot (?:declare|mutate immutable namespace|redefine namespace) \((?P<key>.*?),?\)(?: twice)?"
)
_TABLE_TWICE: Final = (
    "table {} is there twice; put all of it below one header, or write [[…]] for a list of tables"
)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark. Raises ConfigProblem."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigProblem([f"{path}: cannot be read ({reason}); check the path and its rights"]) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        if data.startswith(_UTF_16):
            raise ConfigProblem([f"{path}: is UTF-16 text; save it as UTF-8"]) from error
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigProblem(
            [f"{path}:{line}: is not UTF-8 text (at byte {error.start}); save it as UTF-8"]
        ) from error


def read_table(path: Path) -> Table:
    """Read one file of TOML. Raises ConfigProblem."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigProblem([_explained(path, text, str(error))]) from error


def _explained(path: Path, text: str, said: str) -> str:
    """What the parser says of a place, with the fix."""
    if text.lstrip().startswith("{"):
        return f"{path}:1: is not valid TOML, but looks like JSON; see config/stam-adapter.toml for how it is written"
    found = _WHERE.fullmatch(said)
    what = found["what"] if found else said
    if found and found["line"]:
        place = f"{path}:{found['line']}:{found['column']}"
    else:
        place = f"{path}:{text.count(chr(10), 0, len(text.rstrip())) + 1}"
    return f"{place}: is not valid TOML: {_fix(what)}"


def _fix(what: str) -> str:
    if twice := _TWICE.fullmatch(what):
        parts = re.findall(r"'([^']*)'", twice["key"])
        return _TABLE_TWICE.format(f"[{'.'.join(parts)}]")
    known = next((text for beginning, text in _FIXES if what.startswith(beginning)), None)
    return known or f"{what[:1].lower()}{what[1:]}; correct that place"
