# SPDX-License-Identifier: EUPL-1.2

"""What is wrong with a configuration, said so that its author can mend it: file, key, fault and fix."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from adapter.config.lines import Key, key_lines

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_WORDS = {
    "missing": "is missing; add it",
    "tuple_type": 'is not a list; write ["…", "…"]',
    "string_type": 'is not text; write it between quotes, as "…"',
    "bool_parsing": "is not true or false; write one of these, without quotes",
    "bool_type": "is not true or false; write one of these, without quotes",
    "path_type": 'is not a path; write it between quotes, as "…"',
    "int_parsing": "is not a whole number; write it without quotes, as 10",
    "int_type": "is not a whole number; write it without quotes, as 10",
    "int_from_float": "is not a whole number; write it without a fraction, as 10",
    "greater_than_equal": "is too small; write {ge} or more",
    "less_than_equal": "is too large; write {le} or less",
    "too_short": "is empty; give at least {min_length}",
    "string_too_short": "is empty; give it a value, or leave it out",
}
_TABLES = {"model_type", "mapping_type", "dict_type"}


class ConfigProblem(Exception):
    """The configuration cannot be used; `problems` has one text for each fault: ``file:line: key: fault; fix``."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Origin:
    """Where each value came from, to name the right file or environment variable in a problem.

    Args:
        main: the configuration file.
        files: the file of each authority that has one of its own.
        variables: the environment variable that set a key, or made a table.

    """

    def __init__(self, main: Path, files: Mapping[str, Path], variables: Mapping[Key, str]) -> None:
        self._main = main
        self._files = files
        self._variables = variables
        self._lines: dict[Path, Mapping[Key, int]] = {}

    def problem(self, key: Key, text: str) -> str:
        """Return one problem as text."""
        setters = [setter for setter in self._variables if key[: len(setter)] == setter]
        if setters:
            name = self._variables[max(setters, key=len)]
            return f"environment variable {name}: {show_key(key)}: {text}"
        file = self._main
        if len(key) > 1 and key[0] == "authorities" and key[1] in self._files:
            # the file is the table of the authority: in it the names of tables are without that of this one
            own = show_key(key[:2])
            text = text.replace(f"{own}.", "").replace(f"[{own}]", "no table")
            file, key = self._files[str(key[1])], key[2:]
        line, shown = self._line(file, key), show_key(key)
        return f"{file}{f':{line}' if line else ''}: {f'{shown}: ' if shown else ''}{text}"

    def _line(self, file: Path, key: Key) -> int | None:
        """The line of a key, or of the table around it where it is not there itself."""
        if file not in self._lines:
            try:
                self._lines[file] = key_lines(file.read_text("utf-8-sig"))
            except (OSError, ValueError, LookupError):  # it is another one than it was when it was read
                self._lines[file] = {}
        ends = range(len(key), 0, -1)
        return next((self._lines[file][key[:end]] for end in ends if key[:end] in self._lines[file]), None)


def show_key(key: Key) -> str:
    """Return a key as TOML writes it, with list positions as ``[n]`` counted from 0."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = _nearest(name, names)
    if near is not None:
        return f"did you mean `{near}`?"
    return f"known are {', '.join(f'`{each}`' for each in names)}" if names else "there is none"


def _nearest(name: str, known: Sequence[str]) -> str | None:
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    near = near or [each for each in names if name and each.startswith(name.lower())]
    return names[near[0]] if near else None


def explain(error: ErrorDetails, root: type[BaseModel]) -> tuple[Key, str]:
    """Translate one error of pydantic into a key and a text with the fix."""
    key = tuple(part for part in error["loc"] if part != "[key]")
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return key, f"unknown key; {_where_it_belongs(key, root)}"
    if kind == "value_error":
        return key, str(error.get("ctx", {}).get("error", error["msg"]))
    if kind in {"enum", "literal_error"}:
        return key, f"{given!r} is not known; use {error.get('ctx', {}).get('expected')}"
    if kind in _TABLES and isinstance(given, list):
        return key, f"is one table, not a list of them; write [{show_key(key)}], once"
    if kind in _TABLES:
        return key, f"is a table, not a value; write its keys below [{show_key(key)}]"
    if kind == "tuple_type" and isinstance(given, Mapping):
        return key, f"is a list of tables; write [[{show_key(key)}]], also for one"
    return key, _PLAIN_WORDS.get(kind, error["msg"]).format_map(error.get("ctx", {}))


def _where_it_belongs(key: Key, root: type[BaseModel]) -> str:
    """What to do with an unknown key: it is of a table around or within this one, or has a name like a known one."""
    name = str(key[-1])
    for end in range(len(key) - 2, -1, -1):
        around = _model_at(root, key[:end])
        if around is not None and name in around.model_fields:
            table = f"[{show_key(key[:end])}]" if end else "no table"
            return f"it is of {table}: put it above [{show_key(key[:-1])}]"
    model = _model_at(root, key[:-1])
    if model is None:
        return did_you_mean(name, ())
    within = [
        _header((*key[:-1], field), info.annotation)
        for field, info in model.model_fields.items()
        if (inner := _model_in(info.annotation)) is not None and name in inner.model_fields
    ]
    if within and _nearest(name, sorted(model.model_fields)) is None:
        return f"it is of {' or '.join(within)}: put it there"
    return did_you_mean(name, model.model_fields)


def _header(key: Key, annotation: Any) -> str:
    """How the header of a table is written: of one, of one in a list, or of one that has a name."""
    kind = None if _is_optional(annotation) else get_origin(annotation)
    if kind is tuple:
        return f"[[{show_key(key)}]]"
    return f"[{show_key(key)}]" if kind is None else f"[{show_key(key)}.<name>]"


def _model_at(model: type[BaseModel] | None, key: Sequence[str | int]) -> type[BaseModel] | None:
    parts = iter(key)
    for part in parts:
        field = model.model_fields.get(str(part)) if model is not None else None
        if field is None:
            return None
        model = _model_in(field.annotation)
        if get_origin(field.annotation) is not None and not _is_optional(field.annotation):
            next(parts, None)  # a position in a list, or the name of a table
    return model


def _is_optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)
