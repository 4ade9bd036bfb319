# SPDX-License-Identifier: EUPL-1.2

"""The sinks of all authorities, built from the configuration, and how much of each may be used now."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from adapter.config import Config, ConfigProblem
from adapter.delivery import Breaker, ConfiguredSink, SinkContext, SinkProblem, SinkType, make_sink, sink_lane
from adapter.pki import KeyPair
from adapter.sinks import route_problems

_OPTION: Final = re.compile(r"[a-z_]+(\.[a-z0-9_]+)*")

Sinks = Mapping[tuple[str, str], ConfiguredSink]
"""By the name of the authority and of the sink."""


def sink_context(
    config: Config, authority: str, sink: str, keys: KeyPair | None, clock: Callable[[], datetime]
) -> SinkContext:
    """What a sink of an authority may know and use of the adapter."""
    return SinkContext(
        authority=authority,
        sink=sink,
        oin=config.authorities[authority].oin,
        environment=config.environment,
        base=config.base,
        outgoing=config.outgoing,
        clock=clock,
        keys=keys,
    )


def make_sinks(
    config: Config,
    types: Iterable[SinkType[Any]],
    keys: Mapping[str, KeyPair],
    clock: Callable[[], datetime],
) -> Sinks:
    """Build every sink. Raises ConfigProblem with every option, and every route to a sink, that is wrong."""
    sinks: dict[tuple[str, str], ConfiguredSink] = {}
    known = tuple(types)
    problems = [text for _, text in route_problems(config, known)]
    for authority, settings in config.authorities.items():
        for name, options in settings.sinks.items():
            context = sink_context(config, authority, name, keys.get(authority), clock)
            try:
                sinks[authority, name] = make_sink(known, _place(authority, name), options, context)
            except SinkProblem as problem:
                problems += (sink_problem(config, authority, name, text) for text in problem.problems)
    if problems:
        raise ConfigProblem(problems)
    return sinks


def sink_problem(config: Config, authority: str, name: str, text: str) -> str:
    """A problem with a sink, as its type tells it, with the file and line where its option stands."""
    text = text.removeprefix(f"{_place(authority, name)}: ")
    option, _, fault = text.partition(": ")
    key = ("authorities", authority, "sinks", name)
    if _OPTION.fullmatch(option):
        return config.problem((*key, *option.split(".")), fault)
    return config.problem(key, text)


def _place(authority: str, name: str) -> str:
    return f"authorities.{authority}.sinks.{name}"


class SinkRooms:
    """How many jobs may run in the lane of each sink, where that is not as in every lane: what the worker asks."""

    def __init__(self, sinks: Callable[[], Sinks], usual: int) -> None:
        self._usual = usual
        self._all = sinks
        self._seen: Sinks | None = None
        self._sinks: list[tuple[str, int, Breaker]] = []

    def rooms(self) -> Mapping[str, int]:
        """The lanes with a limit of their own at this moment."""
        # asked for at each look for work, and with a thousand sinks: nearly all are passed over
        return {
            lane: breaker.room(concurrency)
            for lane, concurrency, breaker in self._now()
            if concurrency != self._usual or not breaker.all_is_well
        }

    def next_change(self) -> datetime | None:
        """When the first of the sinks that are left in peace is tried again; None where none is."""
        return min(filter(None, (breaker.until for _, _, breaker in self._now())), default=None)

    def _now(self) -> list[tuple[str, int, Breaker]]:
        sinks = self._all()
        if sinks is not self._seen:
            self._seen = sinks
            self._sinks = [
                (sink_lane(*where), one.common.concurrency, one.breaker) for where, one in sinks.items()
            ]
        return self._sinks
