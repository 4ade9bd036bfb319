# SPDX-License-Identifier: EUPL-1.2

"""The sink contract: what is handed over, what a sink may remember, what it answers, and how it is
configured.

A sink is small: `deliver` takes one complete handover and says *delivered* (the other side has taken over the
responsibility), *temporary* or *permanent*; anything unknown, an exception included, counts as temporary. A
sink of many calls runs each as a step whose result it puts in the checkpoint before the next starts, so that
a restart repeats at most one call. Implementations live in `adapter.sinks`; nothing here knows any of them.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from adapter.config import Environment, OutgoingConfig
from adapter.delivery.options import SinkOptions
from adapter.pki import KeyPair
from adapter.store import FileKind, Flow

Json = Mapping[str, Any]
Clock = Callable[[], datetime]


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

    `kind` is None for a payload of a message. `path` is where it goes in a layout of directories, with `/` between
    safe names; `size` is in bytes and `sha256` in hexadecimal. `open` starts a new read of the content from its start,
    as often as it is called; while it is read it is checked, and ContentDamaged is raised at the latest at its end:
    whoever has not read to the end has not read the file. ContentUnavailable is raised when it cannot be read now.
    Close what it returns (`contextlib.aclosing`) when it is left before its end.
    """

    path: str
    size: int
    sha256: str
    content_type: str | None
    bestandsnaam: str | None
    document_id: str | None
    vertrouwelijk: bool | None
    open: Callable[[], AsyncGenerator[bytes, None]] = field(compare=False, repr=False)
    kind: FileKind | None = None


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

    def earlier(self, step: str) -> Json | None:
        """What was set for this step last by another delivery of the same verzoek to the same sink; None without."""
        ...

    async def set(self, step: str, value: Json, *, note: str | None = None) -> None:
        """Remembers the result of a step; when this returns it has been committed.

        `note` is a word for the timeline of the delivery, added in the same transaction (`delivery.<note>`).

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
    """It failed and may succeed later; `after` overrides the usual wait before the next attempt.

    `of_sink`: the other side asked for this wait for everything, as by HTTP 429; nothing is sent there before it is
    over.
    """

    reason: str
    after: timedelta | None = None
    of_sink: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """It cannot succeed until somebody changes something; `reason` says what."""

    reason: str


Outcome = Delivered | Temporary | Permanent


class StepFailed(Exception):
    """A step of a delivery failed; raised by a sink, it ends the attempt with `outcome`.

    `undone`: the other side is known not to have done what was asked, because it never heard of it or said so.
    """

    def __init__(self, outcome: Temporary | Permanent, *, undone: bool) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.undone = undone


class Sink(Protocol):
    """One place where verzoeken are delivered. One object serves all deliveries to it, several at a time."""

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers, or goes on where an earlier attempt with the same key stopped.

        StepFailed is as good as returning its outcome.
        """
        ...

    async def probe(self) -> None:
        """Checks that the sink could deliver, without changing anything there; SinkProblem when it could
        not.
        """
        ...

    async def close(self) -> None:
        """Gives back what the sink holds open."""
        ...


@dataclass(frozen=True, slots=True)
class SinkContext:
    """Whose sink it is, and what of the adapter a sink may use.

    `oin` and `keys` are those of the authority (`keys` is None where nobody is to be connected to); `base` is the
    directory that relative paths in options are relative to.
    """

    authority: str
    sink: str
    oin: str
    environment: Environment
    base: Path
    outgoing: OutgoingConfig
    clock: Clock
    keys: KeyPair | None = None


OptionsT = TypeVar("OptionsT", bound=SinkOptions)


@dataclass(frozen=True, slots=True)
class SinkType(Generic[OptionsT]):
    """A kind of sink: the `type` of its table in the configuration, the model of its own keys, what builds it, and the
    flows of the routes that may lead to it.

    The factory may raise SinkProblem, for what only shows when options and context are seen together. It is called in a
    thread, since a configuration is also read while the daemon runs: what belongs to an event loop is opened later.
    """

    name: str
    options: type[OptionsT]
    factory: Callable[[OptionsT, SinkContext], Sink]
    flows: frozenset[Flow] = frozenset(Flow)
