"""The sinks of all authorities, built from the configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

from adapter.config import Config, ConfigProblem
from adapter.delivery import Sink, SinkProblem, SinkType, make_sink
from adapter.sinks import SINK_TYPES

Sinks = Mapping[tuple[str, str], Sink]
"""By the name of the authority and of the sink."""


def make_sinks(config: Config, types: Iterable[SinkType[Any]] = SINK_TYPES) -> Sinks:
    """Build every sink. Raises ConfigProblem with every option that is wrong."""
    sinks: dict[tuple[str, str], Sink] = {}
    problems: list[str] = []
    known = tuple(types)
    for authority, settings in config.authorities.items():
        for name, options in settings.sinks.items():
            try:
                sinks[authority, name] = make_sink(known, f"authorities.{authority}.sinks.{name}", options)
            except SinkProblem as problem:
                problems.extend(problem.problems)
    if problems:
        raise ConfigProblem(problems)
    return sinks
