# SPDX-License-Identifier: EUPL-1.2

"""The types of sinks that other packages bring, by entry points of the group `stam_adapter.sinks`.

An entry point names a SinkType. One that cannot be used harms nobody else: `check` warns of it, and a configuration
that asks for it is told why.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NoReturn

from adapter.delivery.contract import Sink, SinkContext, SinkProblem, SinkType
from adapter.delivery.options import SinkOptions

GROUP: Final = "stam_adapter.sinks"


@dataclass(frozen=True, slots=True)
class InstalledType:
    """What an entry point brings: its name, and the type, or why that cannot be used."""

    name: str
    found: SinkType[Any] | None
    problem: str | None


def installed_types(taken: Iterable[str]) -> tuple[SinkType[Any], ...]:
    """The types of other packages, under the names of their entry points; names in `taken` are the adapter's own.

    One that cannot be used is a type that refuses every configuration, except where another has its name.
    """
    own = set(taken)
    return tuple(
        one.found or _refusing(one.name, one.problem or "") for one in installed(own) if one.name not in own
    )


def installed(taken: Iterable[str]) -> tuple[InstalledType, ...]:
    """What other packages bring, usable or not; one for each name, and for each time that a name in `taken` is used."""
    own = set(taken)
    by_name: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry in entry_points(group=GROUP):
        by_name[entry.name].append(entry)
    return tuple(one for name in sorted(by_name) for one in _of_name(name, by_name[name], own))


def _of_name(name: str, entries: list[EntryPoint], own: set[str]) -> Iterator[InstalledType]:
    if name in own:
        for entry in entries:
            problem = f"{_where(entry)} has the name of a type that the adapter has itself, which is used"
            yield InstalledType(name, None, problem)
    elif len(entries) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in entries))
        yield InstalledType(name, None, f"{packages} both have an entry point {name!r}; remove one of them")
    else:
        yield _loaded(entries[0])


def _loaded(entry: EntryPoint) -> InstalledType:
    where = _where(entry)
    try:
        found = entry.load()
    except Exception as error:  # another package's module, which may fail in any way
        problem = f"{where} cannot be loaded ({type(error).__name__}: {error}); mend that package"
        return InstalledType(entry.name, None, problem)
    if not isinstance(found, SinkType):
        problem = f"{where} is no SinkType but {type(found).__name__}; mend that package"
        return InstalledType(entry.name, None, problem)
    if found.name != entry.name:
        problem = f"{where} gives the type {found.name!r}; give both the same name"
        return InstalledType(entry.name, None, problem)
    return InstalledType(entry.name, found, None)


def _where(entry: EntryPoint) -> str:
    return f"entry point {entry.name!r} of {_package(entry)}"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "a package"


class _AnyOptions(SinkOptions, extra="allow"):
    """Options that are not looked at, since the type is of no use anyway."""


def _refusing(name: str, reason: str) -> SinkType[_AnyOptions]:
    def refuse(_options: _AnyOptions, _context: SinkContext) -> NoReturn:
        raise SinkProblem(reason)

    factory: Callable[[_AnyOptions, SinkContext], Sink] = refuse
    return SinkType(name, _AnyOptions, factory)
