# SPDX-License-Identifier: EUPL-1.2

"""How the sinks are: left in peace because they fail, unable to deliver by their own word, or short of room.

None of it stops a message from being received: what cannot be delivered waits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from adapter.admin import Trouble
from adapter.daemon.sinks import Sinks
from adapter.delivery import BreakerState, ConfiguredSink, SinkProblem
from adapter.observe import Metrics, get_logger
from adapter.sinks import DirectorySink

log = get_logger(__name__)

_AT_A_TIME: Final = 4
_PATIENCE: Final = 30.0
_LOOK: Final = 5.0
_AGAIN: Final = 60.0
"""Seconds after which one that is not well is asked again, so that a mended one is not blamed for long."""

Where = tuple[str, str]


@dataclass(slots=True)
class _Seen:
    """What was found of one sink, and when it is asked again, by the clock of the event loop."""

    sink: ConfiguredSink
    due: float
    problems: tuple[str, ...] = ()
    asking: asyncio.Task[None] | None = None


@dataclass(slots=True)
class SinkWatch:
    """Asks every sink now and then whether it could deliver; `free` is what directories must have left, in octets."""

    sinks: Callable[[], Sinks]
    metrics: Metrics
    every: timedelta
    free: int
    _seen: dict[Where, _Seen] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))

    async def watch(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                self.ask_those_due()
                await asyncio.sleep(_LOOK)
        finally:
            asking = [seen.asking for seen in self._seen.values() if seen.asking is not None]
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def ask_those_due(self) -> None:
        """Begin to ask those whose time it is; one that has not answered yet is not asked once more."""
        now, sinks = asyncio.get_running_loop().time(), self.sinks()
        for where in self._seen.keys() - sinks.keys():
            self._forget(where)
        for where, sink in sinks.items():
            seen = self._seen.get(where)
            if seen is None or seen.sink is not sink:
                self._forget(where)
                seen = self._seen[where] = _Seen(sink, now)
            if seen.due <= now and seen.asking is None:
                seen.due = now + self.every.total_seconds()
                seen.asking = asyncio.create_task(self._ask(where, seen), name=f"probe {'/'.join(where)}")

    async def asked(self) -> None:
        """Wait for all who are being asked."""
        await asyncio.gather(*(seen.asking for seen in self._seen.values() if seen.asking is not None))

    async def troubles(self) -> list[Trouble]:
        """What is wrong with each sink."""
        return [
            Trouble(f"sink {'/'.join(where)}: {text}", "/".join(where))
            for where, sink in self.sinks().items()
            for text in self._texts(where, sink)
        ]

    def _texts(self, where: Where, sink: ConfiguredSink) -> tuple[str, ...]:
        if sink.breaker.state is not BreakerState.CLOSED:
            until = sink.breaker.until
            rest = f"until {until:%H:%M:%S}Z" if until is not None else "but for one delivery at a time"
            return (
                f"fails and fails, and is left in peace {rest}; see `stam-adapter lane list` and the log for why",
            )
        seen = self._seen.get(where)
        return seen.problems if seen is not None and seen.sink is sink else ()

    def _forget(self, where: Where) -> None:
        seen = self._seen.pop(where, None)
        if seen is not None and seen.asking is not None:
            seen.asking.cancel()

    async def _ask(self, where: Where, seen: _Seen) -> None:
        try:
            async with self._gate:
                if seen.sink.breaker.state is BreakerState.CLOSED:
                    found = await self._problems(where, seen.sink)
                    self._tell(where, seen, found)
        finally:
            seen.asking = None

    def _tell(self, where: Where, seen: _Seen, found: tuple[str, ...]) -> None:
        if found != seen.problems:
            about = {"authority": where[0], "sink": where[1]}
            if found:
                log.warning(
                    "a sink says that it could not deliver",
                    action="sink.unwell",
                    **about,
                    reasons=list(found),
                )
            else:
                log.info("a sink says that it can deliver", action="sink.well", **about)
        seen.problems = found
        if found:
            seen.due = min(seen.due, asyncio.get_running_loop().time() + _AGAIN)

    async def _problems(self, where: Where, sink: ConfiguredSink) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await sink.sink.probe()
                return await self._without_room(sink)
        except SinkProblem as problem:
            return tuple(problem.problems)
        except TimeoutError:
            return (f"does not answer within {_PATIENCE:g} s; see whether it, or its file system, hangs",)
        except (
            Exception
        ) as error:  # a sink may be of somebody else: whatever it raises says that it is not well
            log.exception(
                "a sink cannot be asked whether it could deliver",
                action="sink.probe_crashed",
                authority=where[0],
                sink=where[1],
            )
            self.metrics.unexpected_errors_total.labels(kind="probe").inc()
            return (f"cannot be asked whether it could deliver ({type(error).__name__}); see the log",)

    async def _without_room(self, sink: ConfiguredSink) -> tuple[str, ...]:
        if not isinstance(sink.sink, DirectorySink):
            return ()
        free = await sink.sink.free()
        if free >= self.free:
            return ()
        return (
            f"only {free // 2**20} MiB are free at {sink.sink.path}; take away what was handled, or make room for "
            f"{self.free // 2**20} MiB (health.sink_free)",
        )
