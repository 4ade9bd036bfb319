# SPDX-License-Identifier: EUPL-1.2

"""Which routes of the configuration lead to a sink that does not take what comes along them."""

from collections.abc import Iterable, Iterator
from typing import Any

from adapter.config import AuthorityConfig, Config, Key
from adapter.delivery import SinkType
from adapter.store import Flow


def route_problems(config: Config, types: Iterable[SinkType[Any]]) -> tuple[tuple[str, str], ...]:
    """An authority and a text with the fix for each of its routes, and its place for reconciled verzoeken, whose flow
    the sink does not take.

    A sink that is not there, or of no known type, is a problem of its own, which others tell.
    """
    by_name = {sink_type.name: sink_type for sink_type in types}
    return tuple(
        (authority, config.problem(("authorities", authority, *key), text))
        for authority, settings in config.authorities.items()
        for key, flow, sink in _ways(settings)
        if isinstance(kind := settings.sinks.get(sink, {}).get("type"), str)
        and (text := _problem(flow, sink, by_name.get(kind))) is not None
    )


def _ways(settings: AuthorityConfig) -> Iterator[tuple[Key, Flow, str]]:
    """The key, flow and sink of everything that leads to a sink."""
    for number, route in enumerate(settings.routes):
        yield ("routes", number, "flow"), Flow(route.flow), route.sink
    if settings.reconcile is not None and settings.reconcile.sink is not None:
        yield ("reconcile", "sink"), Flow.STAM, settings.reconcile.sink


def _problem(flow: Flow, sink: str, sink_type: SinkType[Any] | None) -> str | None:
    if sink_type is None or flow in sink_type.flows:
        return None
    taken = " or ".join(f'"{flow}"' for flow in sorted(sink_type.flows))
    return (
        f'"{flow}" cannot go to sink {sink!r}: a {sink_type.name} takes flow {taken} only; '
        "change the flow, or name another sink"
    )
