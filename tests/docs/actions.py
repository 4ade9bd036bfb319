# SPDX-License-Identifier: EUPL-1.2

"""Which actions the source logs, with their levels: found by reading every call that has an action."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from adapter.store import MessageKind
from tests.docs.tables import ROOT

NAME: Final = re.compile(r"[a-z_]+\.[a-z_]+")
_LEVELS: Final = {"exception": "error"}
_CALLED: Final = {"_refuse": {"warning"}, "_say_once": {"error"}, "tidied": {"warning"}}
"""Functions that get an action from who calls them, and the level that they log it at."""

_KINDS: Final = tuple(str(kind) for kind in MessageKind)
_PARTS: Final = {
    "message.kind": _KINDS,
    "request.kind": ("ping", "status_request"),
    "state": ("answered", "failed"),
    "_SAID[news]": ("counted", "late", "known"),
    "action": ("added", "changed", "withdrawn"),
    "'_late' if news is News.LATE else ''": ("", "_late"),
    "type(outcome).__name__.lower()": ("done", "retry", "park"),
}
"""What stands in an action that is put together, and what it may be."""

_WORDS: Final = {"info": ("delivered", "kept"), "warning": ("temporary", "permanent")}
"""The same for `word` of a delivery, by level."""


@cache
def actions() -> dict[str, set[str]]:
    """Every action of the source, with the levels it is logged at."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "adapter").rglob("*.py")):
        for name, levels in _in_module(ast.parse(path.read_text("utf-8"))):
            found.setdefault(name, set()).update(levels)
    return found


def _in_module(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        function = called.rpartition(".")[2]
        if function in _CALLED:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and NAME.fullmatch(str(argument.value)):
                    yield argument.value, _CALLED[function]
        if called.startswith("log.") or function == "report":
            levels = {"warning", "error"} if function == "report" else {_LEVELS.get(function, function)}
            for keyword in node.keywords:
                if keyword.arg == "action":
                    yield from ((name, levels) for name in _names(keyword.value, levels))
        # the table of answers of the endpoint
        if function == "dict" or not node.args:
            continue
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[2], ast.Constant):
            value = node.elts[2].value
            if isinstance(value, str) and value.startswith(("peer.", "request.")):
                yield value, {"warning"}


def _names(value: ast.expr, levels: set[str]) -> Iterator[str]:
    match value:
        case ast.Constant(str(name)):
            yield name
        case ast.IfExp():
            yield from _names(value.body, levels)
            yield from _names(value.orelse, levels)
        case ast.JoinedStr():
            made = [""]
            for part in value.values:
                if isinstance(part, ast.Constant):
                    made = [one + str(part.value) for one in made]
                else:
                    assert isinstance(part, ast.FormattedValue)
                    text = ast.unparse(part.value)
                    choices = _WORDS[next(iter(levels))] if text == "word" else _PARTS[text]
                    made = [one + choice for one in made for choice in choices]
            yield from made
        case ast.Name("action"):
            pass  # of a function in _CALLED, or made a line before
        case _:
            raise AssertionError(f"an action that cannot be read: {ast.unparse(value)}")
