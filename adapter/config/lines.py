# SPDX-License-Identifier: EUPL-1.2

"""On which line of a TOML file a key stands: what the parser does not tell.

The text was read by the parser before, so that it is known to be valid: here it is only followed, not judged.
"""

import re
import tomllib
from bisect import bisect_right
from typing import Final

Key = tuple[str | int, ...]
"""Where a value stands: the names of tables and key, and positions in lists, from 0."""

_SPACE: Final = re.compile(r"[ \t]*")
_BETWEEN: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BETWEEN_VALUES: Final = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_SCALAR: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\])*"|'[^']*'|[^,\]}#\n]+''', re.DOTALL
)


def key_lines(text: str) -> dict[Key, int]:
    """The line, counted from 1, of every table, key and element of a list in a valid TOML document.

    A table that is only named within the name of another is on the line of the first that names it.
    """
    return _Walk(text).lines()


class _Walk:
    """One walk through a document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._lines: dict[Key, int] = {}
        self._positions: dict[Key, int] = {}  # of each list of tables, of the last one so far

    def lines(self) -> dict[Key, int]:
        table: Key = ()
        while self._skip(_BETWEEN):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Key:
        """The table that the lines below belong to."""
        line, many = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        *above, last = self._name()
        self._at += 2 if many else 1
        key: Key = ()
        for part in above:
            key = self._last_of((*key, part))
        key = (*key, last)
        if many:
            self._positions[key] = self._positions.get(key, -1) + 1
        key = self._last_of(key)
        self._note(key, line)
        return key

    def _last_of(self, key: Key) -> Key:
        """The last table so far where this is a list of tables, else the same."""
        return (*key, self._positions[key]) if key in self._positions else key

    def _pair(self, table: Key) -> None:
        line = self._line()
        key = (*table, *self._name())
        self._note(key, line)
        self._at += 1  # =
        self._value(key)

    def _name(self) -> Key:
        """The parts of a key, up to what ends it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            found = self._take(_PART)
            parts.append(tomllib.loads(f"k = {found}")["k"] if found[0] in "\"'" else found)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _value(self, key: Key) -> None:
        self._skip(_SPACE)
        opening = self._text[self._at]
        if opening not in "[{":
            self._take(_SCALAR)
            return
        self._at += 1
        closing, number = "]" if opening == "[" else "}", 0
        while self._skip(_BETWEEN_VALUES) and self._text[self._at] != closing:
            if opening == "{":
                self._pair(key)
            else:
                self._note((*key, number), self._line())
                self._value((*key, number))
                number += 1
        self._at += 1

    def _note(self, key: Key, line: int) -> None:
        for end in range(1, len(key) + 1):
            self._lines.setdefault(key[:end], line)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"line {self._line()} is not as in a valid document")
        self._at = found.end()
        return found[0]

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Pass over what matches; whether there is more behind it."""
        self._take(pattern)
        return self._at < len(self._text)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)
