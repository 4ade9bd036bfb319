# SPDX-License-Identifier: EUPL-1.2

"""Making a sink from its table in the configuration, with an error for each key that is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from adapter.config import did_you_mean, paths_in
from adapter.delivery.breaker import Breaker
from adapter.delivery.contract import Json, Sink, SinkContext, SinkProblem, SinkType
from adapter.delivery.options import CommonOptions, SinkOptions


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """A sink with what holds for every type: how much of it is used, and whether it is left in peace now.

    `files` are those its options name, as those of keys and secrets: when one changes, it is made again.
    """

    sink: Sink
    common: CommonOptions
    breaker: Breaker
    files: tuple[Path, ...] = ()


def make_sink(types: Iterable[SinkType[Any]], name: str, raw: Json, context: SinkContext) -> ConfiguredSink:
    """The sink that a table of the configuration describes.

    `types` are the kinds there are, `name` is what to call the sink in an error, `raw` is its table with `type` in it.
    SinkProblem with one line per wrong key.
    """
    known = {sink_type.name: sink_type for sink_type in types}
    sink_type = known.get(_type_name(name, raw, known))
    if sink_type is None:
        raise SinkProblem(
            f"{name}: type: unknown sink type {raw['type']!r}; {did_you_mean(str(raw['type']), known)}"
        )
    shared = {key: value for key, value in raw.items() if key in CommonOptions.model_fields}
    own = {key: value for key, value in raw.items() if key != "type" and key not in shared}
    problems: list[str] = []
    common = _parsed(CommonOptions, shared, name, context.base, problems)
    options = _parsed(sink_type.options, own, name, context.base, problems)
    if common is None or options is None:
        raise SinkProblem(*problems)
    try:
        sink = sink_type.factory(options, context)
    except SinkProblem as problem:
        raise SinkProblem(*(f"{name}: {line}" for line in problem.problems)) from problem
    return ConfiguredSink(sink, common, Breaker(common.breaker, context.clock), _files(options))


def _files(options: SinkOptions) -> tuple[Path, ...]:
    # `path` is where a sink delivers, and may be in a file system that hangs: it is not looked at
    named = paths_in({name: value for name, value in options if name != "path"})
    return tuple(path for path in named if path.is_file())


ModelT = TypeVar("ModelT", bound=BaseModel)


def _parsed(model: type[ModelT], raw: Json, name: str, base: Path, problems: list[str]) -> ModelT | None:
    try:
        return model.model_validate(_plain(raw), context={"base": base})
    except ValidationError as error:
        problems += _problems(name, error, model)
        return None


def _plain(value: Any) -> Any:
    """Ordinary dicts and lists: the configuration keeps a table as what cannot be changed."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _type_name(name: str, raw: Json, known: Mapping[str, object]) -> str:
    value = raw.get("type")
    if isinstance(value, str):
        return value
    raise SinkProblem(f"{name}: type: must say what kind of sink this is: {' or '.join(sorted(known))}")


def _problems(name: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    keys = [field.alias or key for key, field in model.model_fields.items()]
    if issubclass(model, SinkOptions):
        keys += CommonOptions.model_fields
    # Neither the address of the pydantic manual nor the value, which may be a secret, belongs in an
    # operator's error.
    details = error.errors(include_url=False, include_input=False)
    return [_problem(name, detail["type"], detail["loc"], detail["msg"], keys) for detail in details]


def _problem(name: str, kind: str, location: tuple[int | str, ...], message: str, keys: list[str]) -> str:
    key = ".".join(str(part) for part in location)
    where = f"{name}: {key}" if key else name
    if kind == "extra_forbidden":
        return f"{where}: unknown key{f'; {did_you_mean(key, keys)}' if len(location) == 1 else ''}"
    if kind == "missing":
        return f"{where}: is missing; add it"
    return f"{where}: {message.removeprefix('Value error, ')}"
