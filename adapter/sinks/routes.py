# SPDX-License-Identifier: EUPL-1.2

"""Which routes of the configuration lead to a sink that does not take what comes along them."""

from collections.abc import Iterable, Iterator
from typing import Any

from adapter.config import AuthorityConfig, Config
from adapter.delivery import SinkType
from adapter.store import Flow


def route_problems(config: Config, types: Iterable[SinkType[Any]]) -> tuple[str, ...]:
    """One text for each route, and each place for reconciled verzoeken, whose flow its sink does not take, with the
    fix.

    A sink that is not there, or of no known type, is a problem of its own, which others tell.
    """
    by_name = {sink_type.name: sink_type for sink_type in types}
    found = (
        _problem(f"authorities.{authority}.{key}", flow, sink, by_name.get(kind))
        for authority, settings in config.authorities.items()
        for key, flow, sink in _ways(settings)
        if isinstance(kind := settings.sinks.get(sink, {}).get("type"), str)
    )
    return tuple(text for text in found if text is not None)


def _ways(settings: AuthorityConfig) -> Iterator[tuple[str, Flow, str]]:
    """The key, flow and sink of everything that leads to a sink."""
    for number, route in enumerate(settings.routes):
        yield f"routes[{number}].flow", Flow(route.flow), route.sink
    if settings.reconcile is not None and settings.reconcile.sink is not None:
        yield "reconcile.sink", Flow.STAM, settings.reconcile.sink


def _problem(key: str, flow: Flow, sink: str, sink_type: SinkType[Any] | None) -> str | None:
    if sink_type is None or flow in sink_type.flows:
        return None
    taken = " or ".join(f'"{flow}"' for flow in sorted(sink_type.flows))
    return (
        f'{key}: "{flow}" cannot go to sink {sink!r}: a {sink_type.name} takes flow {taken} only; '
        "change the flow, or name another sink"
    )
