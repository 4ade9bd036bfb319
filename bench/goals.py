# SPDX-License-Identifier: EUPL-1.2

"""The goals, and whether the figures reach them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from bench.options import Options
from bench.results import ANSWERED, DELIVERED, Goal, Results, Row
from bench.sites import PLANS, REFERENCE, SIZES

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
TWO: Final = "PostgreSQL ×2"
EBMS_CORE: Final = "ebms-core"
RECEIVERS: Final = (SQLITE, POSTGRESQL, TWO)

OF_FLOOR: Final = 0.60
_MEMORY: Final = 32.0
_READY_EMPTY, _READY_FULL = 1.0, 2.0
_SAME: Final = 0.10
_TWO: Final = 0.15


def empty(store: str) -> str:
    """The receiver with nothing in its store."""
    return f"{store}, empty"


def full(store: str, stored: int) -> str:
    """The receiver with so many messages in its store."""
    return f"{store}, {stored:,} stored"


def authorities(number: int) -> str:
    """The receiver with so many authorities, each with an agreement."""
    return f"{SQLITE}, {number:,} authorit{'y' if number == 1 else 'ies'}"


def of_floor(results: Results, row: Row) -> float:
    """How much of the CPU of a row the floor is: 1 is as good as it can be."""
    return results.floor_of(row.case) / row.figures.cpu


def against_reference(results: Results, row: Row) -> float | None:
    """How many times as many messages per CPU second as ebms-core, the CPU of the database included on both sides."""
    reference = results.find(EBMS_CORE, row.case)
    if reference is None:
        return None
    return reference.figures.cpu / (row.figures.cpu + row.figures.database_cpu)


def allowed_by_floor(results: Results, row: Row) -> float | None:
    """What `against_reference` would be if the adapter cost no more than the floor."""
    reference = results.find(EBMS_CORE, row.case)
    return None if reference is None else reference.figures.cpu / results.floor_of(row.case)


def goals(results: Results, options: Options) -> list[Goal]:
    """Every goal of every figure."""
    crowd = authorities(options.authorities)
    return [
        *_floor(results),
        *_reference(results),
        *_two_processes(results),
        *_memory(results),
        *_ready(results, options.ready_stored),
        *_same(results, full(SQLITE, options.stored), empty(SQLITE), ANSWERED),
        *_same(results, full(POSTGRESQL, options.stored), empty(POSTGRESQL), ANSWERED),
        *_same(results, crowd, authorities(1), DELIVERED),
    ]


def _floor(results: Results) -> Iterator[Goal]:
    for receiver, case in product(RECEIVERS, PLANS):
        row = results.find(receiver, case)
        part = None if row is None else of_floor(results, row)
        asked = _Asked(
            "floor of CPU per message", f"at least {OF_FLOOR:.0%}", lambda value: value >= OF_FLOOR
        )
        yield asked.judge(f"{receiver}, {case}", part, "{:.0%}", results.why(receiver))


def _reference(results: Results) -> Iterator[Goal]:
    asked = _Asked("messages per CPU second against ebms-core", "more than 1.00", lambda value: value > 1)
    for receiver, case in product(RECEIVERS, PLANS):
        row = results.find(receiver, case)
        ratio = None if row is None else against_reference(results, row)
        why = results.why(receiver if row is None else EBMS_CORE)
        yield asked.judge(f"{receiver}, {case}", ratio, "{:.2f}", why)


def _two_processes(results: Results) -> Iterator[Goal]:
    asked = _Asked(
        "CPU per message of two processes against one", f"at most +{_TWO:.0%}", lambda more: more <= _TWO
    )
    for case in PLANS:
        more = _more(results.find(TWO, case), results.find(POSTGRESQL, case), lambda row: row.figures.cpu)
        yield asked.judge(f"{POSTGRESQL}, {case}", more, "{:+.0%}", results.why(TWO))


def _memory(results: Results) -> Iterator[Goal]:
    asked = _Asked(
        "peak memory against that for 1 KB", f"at most +{_MEMORY:.0f} MiB", lambda more: more <= _MEMORY
    )
    least, *larger = SIZES
    for size in larger:
        peak = results.memory.get(size)
        more = None if peak is None else peak.mebibytes - results.memory[least].mebibytes
        yield asked.judge(f"payload of {size}", more, "{:+.1f} MiB", results.why(size))


def _ready(results: Results, stored: int) -> Iterator[Goal]:
    for store in (SQLITE, POSTGRESQL):
        for receiver, most in ((empty(store), _READY_EMPTY), (full(store, stored), _READY_FULL)):
            asked = _Asked("from start to ready", f"under {most:.0f} s", most.__gt__)
            start = results.ready.get(receiver)
            seconds = None if start is None else start.seconds
            yield asked.judge(receiver, seconds, "{:.2f} s", results.why(store))


def _same(results: Results, one: str, other: str, until: str) -> Iterator[Goal]:
    """As fast as another: in messages per second, and in CPU per message, which depends less on what else runs."""
    first, second = (results.find(receiver, REFERENCE, until) for receiver in (one, other))
    what = f"{one} against {other.rpartition(', ')[2]}"
    speed = _Asked("messages per second", f"at least -{_SAME:.0%}", lambda more: more >= -_SAME)
    yield speed.judge(
        what, _more(first, second, lambda row: row.figures.per_second), "{:+.0%}", results.why(one)
    )
    cpu = _Asked("CPU per message", f"at most +{_SAME:.0%}", lambda more: more <= _SAME)
    yield cpu.judge(what, _more(first, second, lambda row: row.figures.cpu), "{:+.0%}", results.why(one))


def _more(row: Row | None, other: Row | None, figure: Callable[[Row], float]) -> float | None:
    """By how much a figure of one row is more than that of another."""
    return None if row is None or other is None else figure(row) / figure(other) - 1


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a kind of figure."""

    kind: str
    goal: str
    holds: Callable[[float], bool]

    def judge(self, what: str, value: float | None, shown: str, why: str) -> Goal:
        """The goal beside one figure; `why` is said where that is missing."""
        if value is None:
            return Goal(self.kind, what, self.goal, why, None)
        return Goal(self.kind, what, self.goal, shown.format(value), self.holds(value))
