"""The sink contract: what is handed over, what a sink may remember, what it answers, and how it is
configured.

A sink is small: `deliver` takes one complete handover and says *delivered* (the other side has taken over the
responsibility), *temporary* or *permanent*; anything unknown, an exception included, counts as temporary. A
sink of many calls runs each as a step whose result it puts in the checkpoint before the next starts, so that
a restart repeats at most one call. Implementations live in `adapter.sinks`; nothing here knows any of them.
"""

import difflib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from adapter.store import Flow

Json = Mapping[str, Any]


class ContentDamaged(Exception):
    """The stored content of a file is not there, or is not what was stored: nothing of this delivery may be
    delivered.
    """


class ContentUnavailable(Exception):
    """The stored content of a file cannot be read now; another attempt may."""


class SinkProblem(Exception):
    """A sink cannot work as it is configured; the message tells the operator what to change.

    `problems` holds one line per problem, each fit to be shown by itself.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class HandoverFile:
    """One file of a handover.

    `path` is where it goes in a layout of directories, with `/` between safe names; `size` is in bytes and
    `sha256` in hexadecimal. `open` starts a new read of the content from its start, as often as it is called;
    while it is read it is checked, and ContentDamaged is raised at the latest at its end: whoever has not
    read to the end has not read the file. ContentUnavailable is raised when it cannot be read now. Close what
    it returns (`contextlib.aclosing`) when it is left before its end.
    """

    path: str
    size: int
    sha256: str
    content_type: str | None
    bestandsnaam: str | None
    document_id: str | None
    vertrouwelijk: bool | None
    open: Callable[[], AsyncGenerator[bytes, None]] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything a sink is given of one verzoek (flow stam) or message (flow message).

    `key` is safe as the name of a directory and never changes between attempts; `manifest` is JSON-ready.
    `verzoeknummer` and `volgnummer` are None for flow message. `attempt` is higher in each attempt than in those
    before it, of which one may still run: a process that stood still does not know that another took its work over.
    """

    key: str
    flow: str
    authority: str
    sink: str
    verzoeknummer: str | None
    volgnummer: str | None
    manifest: Json
    files: tuple[HandoverFile, ...]
    attempt: int = 1


class Checkpoint(Protocol):
    """What a sink remembers of one delivery between attempts, kept in the store."""

    def get(self, step: str) -> Json | None:
        """What was set for this step in this or an earlier attempt; None when it was not."""
        ...

    async def set(self, step: str, value: Json) -> None:
        """Remembers the result of a step; when this returns it has been committed.

        Raises LeaseLost where a later attempt has taken over: nothing was remembered, and this attempt must end without
        doing more; let it pass.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side has taken over the responsibility; `reference` is what it is called there (a path, a
    URL).

    `keep` is the answer of a sink that is nothing but the store (a mailbox): the message is kept there, and
    has been processed only when an application fetched it and says so. A verzoek cannot be kept so.
    """

    reference: str | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Temporary:
    """It failed and may succeed later; `after` overrides the usual wait before the next attempt."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Permanent:
    """It cannot succeed until somebody changes something; `reason` says what."""

    reason: str


Outcome = Delivered | Temporary | Permanent


class Sink(Protocol):
    """One place where verzoeken are delivered. One object serves all deliveries to it, several at a time."""

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers, or goes on where an earlier attempt with the same key stopped."""
        ...

    async def probe(self) -> None:
        """Checks that the sink could deliver, without changing anything there; SinkProblem when it could
        not.
        """
        ...

    async def close(self) -> None:
        """Gives back what the sink holds open."""
        ...


OptionsT = TypeVar("OptionsT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SinkType(Generic[OptionsT]):
    """A kind of sink: the `type` of its table in the configuration, the model of the other keys, what builds
    it, and the flows of the routes that may lead to it.

    The model must forbid extra keys.
    """

    name: str
    options: type[OptionsT]
    factory: Callable[[OptionsT], Sink]
    flows: frozenset[Flow] = frozenset(Flow)


def make_sink(types: Iterable[SinkType[Any]], name: str, raw: Json) -> Sink:
    """The sink that a table of the configuration describes.

    `types` are the kinds there are, `name` is what to call the sink in an error, `raw` is its table with
    `type` in it and paths made absolute. SinkProblem with one line per wrong key.
    """
    known = {sink_type.name: sink_type for sink_type in types}
    sink_type = known.get(_type_name(name, raw, known))
    if sink_type is None:
        raise SinkProblem(
            f"{name}: type: unknown sink type {raw['type']!r}{_nearest(str(raw['type']), known)}"
        )
    options = {key: value for key, value in raw.items() if key != "type"}
    try:
        parsed = sink_type.options.model_validate(options)
    except ValidationError as error:
        raise SinkProblem(*_problems(name, error, sink_type.options)) from error
    return sink_type.factory(parsed)


def _type_name(name: str, raw: Json, known: Mapping[str, object]) -> str:
    value = raw.get("type")
    if isinstance(value, str):
        return value
    raise SinkProblem(f"{name}: type: must say what kind of sink this is: {' or '.join(sorted(known))}")


def _problems(name: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    keys = [field.alias or key for key, field in model.model_fields.items()]
    # Neither the address of the pydantic manual nor the value, which may be a secret, belongs in an
    # operator's error.
    details = error.errors(include_url=False, include_input=False)
    return [_problem(name, detail["type"], detail["loc"], detail["msg"], keys) for detail in details]


def _problem(name: str, kind: str, location: tuple[int | str, ...], message: str, keys: list[str]) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"{name}: {key}: unknown key{_nearest(key, keys) if len(location) == 1 else ''}"
    if kind == "missing":
        return f"{name}: {key}: is required"
    return f"{name}: {key}: {message.removeprefix('Value error, ')}"


def _nearest(word: str, known: Iterable[str]) -> str:
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(candidates)}" if candidates else ""
