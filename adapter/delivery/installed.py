"""The types of sinks that other packages bring, by entry points of the group `stam_adapter.sinks`.

An entry point names a SinkType. One that cannot be used is told of when something asks for its type, and harms nobody
else.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NoReturn

from adapter.delivery.contract import Sink, SinkContext, SinkProblem, SinkType
from adapter.delivery.options import SinkOptions

GROUP: Final = "stam_adapter.sinks"


def installed_types(taken: Iterable[str]) -> tuple[SinkType[Any], ...]:
    """The types of other packages, under the names of their entry points; names in `taken` are the adapter's own."""
    own = set(taken)
    return tuple(_loaded(entry, own) for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name))


def _loaded(entry: EntryPoint, own: set[str]) -> SinkType[Any]:
    package = entry.dist.name if entry.dist is not None else "a package"
    where = f"entry point {entry.name!r} of {package}"
    if entry.name in own:
        return _unusable(
            f"{package}:{entry.name}", f"{where} has the name of a type that the adapter has itself"
        )
    try:
        found = entry.load()
    except Exception as error:  # another package's module, which may fail in any way
        return _unusable(
            entry.name, f"{where} cannot be loaded ({type(error).__name__}: {error}); mend that package"
        )
    if not isinstance(found, SinkType):
        return _unusable(entry.name, f"{where} is no SinkType but {type(found).__name__}; mend that package")
    if found.name != entry.name:
        return _unusable(entry.name, f"{where} gives the type {found.name!r}; give both the same name")
    return found


class _AnyOptions(SinkOptions, extra="allow"):
    """Options that are not looked at, since the type is of no use anyway."""


def _unusable(name: str, reason: str) -> SinkType[_AnyOptions]:
    return SinkType(name, _AnyOptions, _refusing(reason))


def _refusing(reason: str) -> Callable[[_AnyOptions, SinkContext], Sink]:
    def refuse(_options: _AnyOptions, _context: SinkContext) -> NoReturn:
        raise SinkProblem(reason)

    return refuse
