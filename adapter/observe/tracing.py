# SPDX-License-Identifier: EUPL-1.2

"""Tracing: one trace from the POST of a message to its sink, where the configuration asks for it.

The id of a trace is made of the authority and the MessageId, so that every attempt of every replica, before and after a
restart, is in the same trace, and nothing need be stored for it. The root of a trace is what received the message;
jobs hang below it. Whether a trace is taken is decided by its id, and so the same everywhere.

Without `trace_with` nothing of OpenTelemetry is imported, and every function here does nothing.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

from adapter.observe.logs import bound

Attribute = str | int | bool
"""What is said of a span: a word of ours, a number, a name of the configuration; never what is personal."""

LONGEST: Final = 200
"""Characters of the longest attribute."""


class TracingProblem(Exception):
    """Tracing cannot be started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class TraceId:
    """The trace of one message, or of a verzoek that no message announced."""

    number: int
    root: int

    @classmethod
    def of(cls, authority: str, about: str) -> "TraceId":
        """The trace of what an authority was sent with this MessageId."""
        digest = hashlib.sha256(f"{authority}\0{about}".encode()).digest()
        # neither may be 0 (W3C Trace Context 3.2.2)
        return cls(int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1)

    def __str__(self) -> str:
        return f"{self.number:032x}"

    def is_taken(self, ratio: float) -> bool:
        """Whether it is one of this part of all traces."""
        return (self.number & (2**64 - 1)) < ratio * 2**64


class Span(Protocol):
    """Something that takes time."""

    def set(self, **attributes: Attribute) -> None:
        """Say more of it."""

    def event(self, name: str, **attributes: Attribute) -> None:
        """Note what happened in it."""

    def failed(self, outcome: str) -> None:
        """Note that it did not succeed, in a word."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a reception: its name, and when it began and ended, in nanoseconds since 1970."""

    name: str
    begin: int
    end: int


class Backend(Protocol):
    """Who makes spans."""

    ratio: float

    def begin(
        self,
        name: str,
        trace: TraceId,
        parent: Span | None,
        link: TraceId | None,
        attributes: Mapping[str, Attribute],
    ) -> Span:
        """Begin a span below another, or below the root of a trace."""

    def end(self, span: Span) -> None:
        """End it."""

    def received(
        self,
        trace: TraceId,
        begin: int,
        steps: tuple[Step, ...],
        attributes: Mapping[str, Attribute],
        *,
        again: bool,
    ) -> None:
        """Make the spans of a reception that has ended; one that came `again` is below the root, not the root."""

    def parent_header(self, span: Span) -> str:
        """The span as W3C traceparent."""

    def stop(self) -> None:
        """Hand over what is left, and end. Blocking, and bounded."""


@dataclass(frozen=True, slots=True)
class _Here:
    trace: TraceId
    span: Span


class _Nothing:
    """A span of which nobody wants to know."""

    def set(self, **attributes: Attribute) -> None:
        """Do nothing."""

    def event(self, name: str, **attributes: Attribute) -> None:
        """Do nothing."""

    def failed(self, outcome: str) -> None:
        """Do nothing."""


_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(_Nothing())
_here: ContextVar[_Here | None] = ContextVar("span", default=None)
_backend: Backend | None = None


def trace_with(backend: Backend | None) -> None:
    """Trace with this backend from now on, or not any more."""
    global _backend  # noqa: PLW0603 - one per process, as logs are
    _backend = backend


def trace_of(authority: str, about: str | None) -> TraceId | None:
    """The trace of a message, where traces are made and this is one of those taken."""
    if _backend is None or about is None:
        return None
    trace = TraceId.of(authority, about)
    return trace if trace.is_taken(_backend.ratio) else None


def trace_fields(authority: str, about: str | None) -> Mapping[str, str]:
    """What lines of the log about a message have: its `trace_id`, where it has one."""
    trace = trace_of(authority, about)
    return {} if trace is None else {"trace_id": str(trace)}


def trace(
    name: str, authority: str, about: str | None, *, link: str | None = None, **attributes: Attribute
) -> AbstractContextManager[Span]:
    """Something that is done for a message, in its trace; its lines in the log have the `trace_id`.

    `link` is the MessageId of another message of the authority that it follows from.
    """
    trace = trace_of(authority, about)
    if trace is None:
        return _NOTHING
    linked = TraceId.of(authority, link) if link is not None else None
    return _traced(name, trace, None, linked, {"authority": authority, **attributes})


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Span]:
    """A part of what is being traced here; nothing where nothing is."""
    here = _here.get()
    if here is None:
        return _NOTHING
    return _traced(name, here.trace, here.span, None, attributes)


def mark(name: str, **attributes: Attribute) -> None:
    """Note an event in what is being traced here."""
    here = _here.get()
    if here is not None:
        here.span.event(name, **attributes)


def traceparent() -> Mapping[str, str]:
    """The header that tells a sink which trace its request belongs to; nothing where nothing is traced."""
    here = _here.get()
    if here is None or _backend is None:
        return {}
    return {"traceparent": _backend.parent_header(here.span)}


@contextmanager
def _traced(
    name: str, trace: TraceId, parent: Span | None, link: TraceId | None, attributes: Mapping[str, Attribute]
) -> Iterator[Span]:
    backend = _backend
    if backend is None:  # stopped meanwhile
        yield _Nothing()
        return
    made = backend.begin(name, trace, parent, link, bounded(attributes))
    before = _here.set(_Here(trace, made))
    try:
        with bound(trace_id=str(trace)):
            yield made
    except BaseException as error:
        made.failed(type(error).__name__)
        raise
    finally:
        _here.reset(before)
        backend.end(made)


def bounded(attributes: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
    """The same, with every text cut at the longest."""
    return {name: value[:LONGEST] if isinstance(value, str) else value for name, value in attributes.items()}


@dataclass(slots=True)
class Reception:
    """The times of one request, kept until it is known which message it brings; then they are a trace.

    A request that brings no message under an agreement makes no trace: the log has it.
    """

    is_on: bool = field(default_factory=lambda: _backend is not None)
    begin: int = field(default_factory=time.time_ns)
    trace: TraceId | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of it."""
        begin = time.time_ns() if self.is_on else 0
        try:
            yield
        finally:
            if self.is_on:
                self.steps.append(Step(name, begin, time.time_ns()))

    def brings(self, authority: str, message_id: str, **attributes: Attribute) -> Mapping[str, str]:
        """It brings this message; gives what lines of the log about that have."""
        self.trace = trace_of(authority, message_id)
        self.attributes |= {"authority": authority, **attributes}
        return {} if self.trace is None else {"trace_id": str(self.trace)}

    def end(self, *, status: int) -> None:
        """It was answered with this HTTP status."""
        if self.trace is None or _backend is None:
            return
        again = self.attributes.get("outcome") == "duplicate"
        attributes = bounded({**self.attributes, "http.response.status_code": status})
        _backend.received(self.trace, self.begin, tuple(self.steps), attributes, again=again)


reception: ContextVar[Reception | None] = ContextVar("reception", default=None)
"""The reception of this request, for who judges and stores the message it brings."""


def received_as(outcome: str) -> None:
    """What became of the message that the reception brings."""
    here = reception.get()
    if here is not None:
        here.attributes["outcome"] = outcome


def receiving_step(name: str) -> AbstractContextManager[object]:
    """A part of the reception that goes on here."""
    here = reception.get()
    return nullcontext() if here is None else here.step(name)
