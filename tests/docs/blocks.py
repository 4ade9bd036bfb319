# SPDX-License-Identifier: EUPL-1.2

"""The blocks of code of every document.

A comment on the line before a block says what a test does with it, in a world of its own for each document
(tests/docs/test_docs_runs.py):

- ``<!-- file: NAME -->`` writes the block to a file;
- ``<!-- run -->`` runs it with a shell, which must end well;
- ``<!-- run: until TEXT -->`` runs it again and again until TEXT is in what it says, ``while TEXT`` until it is
  not;
- ``<!-- start: NAME, until TEXT -->`` starts it beside the others, and waits until it says TEXT;
- ``<!-- stop: NAME -->``, on a line of its own, ends what was started.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.docs.tables import ROOT

_FENCE: Final = re.compile(r"( *)```(\w*)(.*)")
_MARKER: Final = re.compile(r" *<!-- (file|run|start|stop)(?:: (.*?))? -->")
_PROGRAM: Final = "stam-adapter"


@dataclass(frozen=True)
class Block:
    """A block of code, or a mark alone: where it stands, what it is, and what is to be done with it."""

    document: str
    line: int
    language: str
    title: str
    text: str
    mark: str | None = None
    option: str = ""

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


@cache
def documents() -> tuple[Path, ...]:
    """Every page that users read."""
    return (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))


@cache
def blocks() -> tuple[Block, ...]:
    return tuple(block for path in documents() for block in _blocks(path))


def _blocks(path: Path) -> Iterator[Block]:
    name = str(path.relative_to(ROOT))
    lines = iter(enumerate(path.read_text("utf-8").splitlines(), 1))
    mark, option = None, ""
    for number, line in lines:
        if marker := _MARKER.fullmatch(line):
            mark, option = marker[1], marker[2] or ""
            if mark == "stop":
                yield Block(name, number, "", "", "", mark, option)
                mark = None
        elif fence := _FENCE.fullmatch(line):
            text = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                text.append(inner.removeprefix(fence[1]))
            yield Block(name, number, fence[2], fence[3].strip(), "\n".join(text) + "\n", mark, option)
            mark, option = None, ""
        else:
            assert mark is None, f"{name}:{number}: a mark stands on the line before its block"


@dataclass(frozen=True)
class Command:
    """A command line of the adapter that a document shows; `whole` where it is one to give as it stands."""

    place: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words)}"


@cache
def commands() -> tuple[Command, ...]:
    found = [
        Command(block.place, words, whole=True)
        for block in blocks()
        if block.language in {"sh", ""}
        for words in _commands_in(block.text if block.language else _own_lines(block.text))
    ]
    for path in documents():
        text = re.sub(
            r"(?ms)^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), path.read_text("utf-8")
        )
        for shown in re.finditer(rf"`{_PROGRAM} ([a-z-][^`]*)`", text):
            place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, shown.start()) + 1}"
            words = re.sub(r"[\[\]…]|\.\.\.", " ", shown[1]).replace("\n", " ").split()
            found.append(Command(place, tuple(words), whole=False))
    return tuple(found)


def _own_lines(text: str) -> str:
    """The command lines in a block of another kind, which is no script."""
    return "\n".join(line for line in text.splitlines() if line.startswith(f"{_PROGRAM} "))


def _commands_in(script: str) -> Iterator[tuple[str, ...]]:
    script = re.sub(r"\$\([^)]*\)", "VALUE", script.replace("\\\n", " "))
    held = ""
    for line in script.splitlines():
        held += f"{line}\n"
        try:
            words = _words(held)
        except ValueError:  # a quotation that goes on
            continue
        part: list[str] = []
        for word in [*words, ";"]:
            if word[0] not in "|&;<>()":
                part.append(word)
                continue
            yield from _arguments(part)
            part = []
        held = ""
    assert not held, script


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _arguments(words: list[str]) -> Iterator[tuple[str, ...]]:
    for index, word in enumerate(words):
        if Path(word).name == _PROGRAM and all(
            "=" in one or one in {"sudo", "exec", "env"} for one in words[:index]
        ):
            yield tuple(words[index + 1 :])
