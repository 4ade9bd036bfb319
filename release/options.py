# SPDX-License-Identifier: EUPL-1.2

"""The reference of the configuration: what config/stam-adapter.toml says of each option, with the type of its field."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from adapter.config import Config, Listen, parse_duration, parse_rate, parse_size
from adapter.config import values as kinds

MARK: Final = "<!-- every option -->"
"""Where in docs/configuration.md the tables go."""
REFERENCE: Final = Path(__file__).resolve().parents[1] / "config" / "stam-adapter.toml"

_TABLE: Final = re.compile(r"#?\[\[?([^\]]+)\]\]?")
_OPTION: Final = re.compile(r"#?([a-z_0-9]+) = (.*)")
_KINDS: Final[Mapping[Callable[..., Any], str]] = {
    parse_size: "size",
    parse_duration: "duration",
    parse_rate: "rate",
    kinds.parse_period: 'duration or "off"',
    Listen.parse: "host:port",
    kinds.resolve: "path",
    kinds.check_oin: "OIN",
    kinds.check_party: "PartyId",
    kinds.check_header_name: "name of a header",
    kinds.check_certificate_name: "OIN or fingerprint",
    kinds.check_subject: "subject",
    kinds.check_network: "address or network",
    kinds.check_element_name: "name of an element",
    kinds.check_element_path: "path of elements",
    kinds.check_url: "URL",
}
_PLAIN: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "number",
    float: "number",
    str: "text",
    Path: "path",
    timedelta: "duration",
    date: "date",
    datetime: "moment",
}


@dataclass
class _Group:
    """Options that stand under one comment."""

    text: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass
class _Table:
    """A table of the configuration: what is said of it, and its options."""

    name: str
    text: str
    is_list: bool
    groups: list[_Group] = field(default_factory=list)


def options_reference() -> str:
    """Every table of the configuration with its options, as Markdown."""
    return "\n".join(
        _written(table, model)
        for table in _tables(REFERENCE.read_text("utf-8"))
        if (model := model_of(table.name)) is not None
    )


def model_of(name: str) -> type[BaseModel] | None:
    """The typed form of a table, by its name; None for the tables of sinks, which docs/sinks.md has."""
    model: type[BaseModel] = Config
    path = tomllib.loads(f"[{name}]") if name else {}
    while path:
        ((key, path),) = path.items()
        found = _named(model, key)
        if found is None:
            return None
        annotation = found.annotation
        inner = next(models_in(annotation), None)
        if inner is None:
            return None
        if _is_mapping(annotation) and path:
            ((_, path),) = path.items()  # the name of one authority or agreement
        model = inner
    return model


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that a field can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def type_of(found: FieldInfo) -> str:
    """What kind of value an option takes, in a word or two."""
    return _kind(found.annotation, tuple(found.metadata))


def _named(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next((found for name, found in model.model_fields.items() if (found.alias or name) == key), None)


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return True
    return any(_is_mapping(inner) for inner in get_args(annotation))


def _kind(annotation: Any, metadata: tuple[Any, ...]) -> str:
    for one in metadata:
        if isinstance(one, AfterValidator | BeforeValidator) and (known := _KINDS.get(one.func)):
            return known
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    return _kind_of_many(annotation)


def _kind_of_many(annotation: Any) -> str:
    origin, inner = get_origin(annotation), [one for one in get_args(annotation) if one is not type(None)]
    if hasattr(annotation, "__metadata__"):
        return _kind(inner[0], tuple(annotation.__metadata__))
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in {tuple, list}:
        return f"list of {_kind(inner[0], ())}"
    if _is_mapping(annotation):
        return "table"
    words = dict.fromkeys(_kind(one, ()) for one in inner)
    return " or ".join(words) or "table"


def _tables(text: str) -> list[_Table]:
    """The tables of the reference, each once, with all that is said in any place of them."""
    found = {"": _Table("", "", is_list=False)}
    table, said = found[""], list[str]()
    group: _Group | None = None
    for line in [*text.splitlines(), ""]:
        if line == "#" or line.startswith("# "):
            said, group = ([*said, line[2:]], None)
        elif named := _TABLE.fullmatch(line):
            name = next((one for one in found if _same_kind(one, named[1])), named[1])
            table = found.setdefault(name, _Table(name, _joined(said), is_list="[[" in line))
            said, group = [], None
        elif option := _OPTION.match(line):
            if group is None:
                group, said = _Group(_joined(said)), []
                table.groups.append(group)
            if all(option[1] not in other.options for other in table.groups):
                group.options[option[1]] = option[2]
        else:
            said, group = [], None
    return list(found.values())


def _same_kind(one: str, other: str) -> bool:
    """Whether two tables are of one kind under names of an operator: what is said of either holds for both."""
    model = model_of(one)
    return (
        one.rpartition(".")[0] == other.rpartition(".")[0] and model is not None and model is model_of(other)
    )


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n")


def _written(table: _Table, model: type[BaseModel]) -> str:
    opening = "Outside of any table" if not table.name else f"`[{table.name}]`"
    name = f"`[[{table.name}]]`" if table.is_list else opening
    lines = [f"### {name}", "", *([_cell(table.text), ""] if table.text and table.name else [])]
    rows = [row for group in table.groups if (row := _row(group, model))]
    if rows:
        lines += ["| option | takes | default | |", "| --- | --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _row(group: _Group, model: type[BaseModel]) -> str:
    known = {key: found for key in group.options if (found := _named(model, key)) is not None}
    if not known:
        return ""
    cells = (
        [f"`{key}`" for key in known],
        [type_of(found) for found in known.values()],
        [_default(found, group.options[key]) for key, found in known.items()],
    )
    return f"| {' | '.join('<br>'.join(cell) for cell in cells)} | {_cell(group.text)} |"


def _default(found: FieldInfo, shown: str) -> str:
    if found.is_required():
        return "required"
    if found.get_default(call_default_factory=True) in (None, (), {}):
        return f"none; as `{_cell(shown)}`" if shown not in {"[]", "{}"} else "none"
    return f"`{_cell(shown)}`"


def _cell(text: str) -> str:
    plain = text.replace("|", "\\|").replace("<", "&lt;").replace("\n\n", "<br>")
    return re.sub(r"docs/([a-z0-9-]+\.md)", r"[\1](\1)", plain)
