"""The sinks of all authorities, built from the configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

from adapter.config import Config, ConfigProblem
from adapter.delivery import Sink, SinkProblem, SinkType, make_sink
from adapter.sinks import SINK_TYPES, route_problems

Sinks = Mapping[tuple[str, str], Sink]
"""By the name of the authority and of the sink."""


def make_sinks(config: Config, types: Iterable[SinkType[Any]] = SINK_TYPES) -> Sinks:
    """Build every sink. Raises ConfigProblem with every option, and every route to a sink, that is wrong."""
    sinks: dict[tuple[str, str], Sink] = {}
    known = tuple(types)
    problems = list(route_problems(config, known))
    for authority, settings in config.authorities.items():
        for name, options in settings.sinks.items():
            try:
                sinks[authority, name] = make_sink(known, f"authorities.{authority}.sinks.{name}", options)
            except SinkProblem as problem:
                problems.extend(problem.problems)
    if problems:
        raise ConfigProblem(problems)
    return sinks
