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
    "bool_parsing": "is not true or false",
    "bool_type": "is not true or false",
    "path_type": 'is not a path; write it between quotes, as "…"',
    "model_type": "is not a table",
    "mapping_type": "is not a table",
    "dict_type": "is not a table",
}


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
    names = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    near = near or [each for each in names if name and each.startswith(name.lower())]
    if near:
        return f"did you mean `{names[near[0]]}`?"
    return f"known are {', '.join(f'`{each}`' for each in names.values())}" if names else "there is none"


def explain(error: ErrorDetails, root: type[BaseModel]) -> tuple[Key, str]:
    """Translate one error of pydantic into a key and a text with the fix."""
    key = tuple(part for part in error["loc"] if part != "[key]")
    kind = error["type"]
    if kind == "extra_forbidden":
        model = _model_at(root, key[:-1])
        known = model.model_fields if model is not None else ()
        return key, f"unknown key; {did_you_mean(str(key[-1]), known)}"
    if kind == "value_error":
        return key, str(error.get("ctx", {}).get("error", error["msg"]))
    if kind in {"enum", "literal_error"}:
        return key, f"{error['input']!r} is not known; use {error.get('ctx', {}).get('expected')}"
    return key, _PLAIN_WORDS.get(kind, error["msg"])


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
