# SPDX-License-Identifier: EUPL-1.2

"""Spans of OpenTelemetry, exported over OTLP/HTTP. Imported only where tracing is asked for."""

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from adapter.observe.logs import get_logger
from adapter.observe.metrics import installed_version
from adapter.observe.tracing import Attribute, Span, Step, TraceId

log = get_logger(__name__)

PATH: Final = "/v1/traces"
_TIMEOUT: Final = 5
_REASON: Final = 500
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class _Ids(RandomIdGenerator):
    """Ids at random, but for the next span where it is said which it has."""

    def __init__(self) -> None:
        self.next: TraceId | None = None

    def generate_trace_id(self) -> int:
        """The id of the trace of a span without a parent."""
        return super().generate_trace_id() if self.next is None else self.next.number

    def generate_span_id(self) -> int:
        """The id of a span."""
        if self.next is None:
            return super().generate_span_id()
        made, self.next = self.next.root, None
        return made


@dataclass(frozen=True, slots=True)
class _Span:
    """A span of ours around one of OpenTelemetry."""

    inner: OtelSpan

    def set(self, **attributes: Attribute) -> None:
        """Say more of it."""
        self.inner.set_attributes(attributes)

    def event(self, name: str, **attributes: Attribute) -> None:
        """Note what happened in it."""
        self.inner.add_event(name, attributes)

    def failed(self, outcome: str) -> None:
        """Note that it did not succeed."""
        self.inner.set_attribute("error.type", outcome)
        self.inner.set_status(Status(StatusCode.ERROR))


class _FirstWords(logging.Handler):
    """Keeps what the exporter says first of an export, in the place of a line in the log for each attempt."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, unless something was said before."""
        self.text = self.text or record.getMessage()


class _SaidOnce(SpanExporter):
    """Exports, and says once that it fails, and once that it succeeds again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._fails = False
        self._words = _FirstWords()
        speaker = logging.getLogger(type(inner).__module__)
        speaker.handlers[:] = [self._words]
        speaker.propagate = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, in the thread of the processor."""
        self._words.text = ""
        result = self._inner.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            log.warning(
                "traces cannot be sent; see that [tracing] endpoint takes OTLP over HTTP, and lets us in",
                action="tracing.not_sent",
                reason=self._words.text[:_REASON],
            )
        elif self._fails and not fails:
            log.info("traces are sent again", action="tracing.sent_again")
        self._fails = fails
        return result

    def shutdown(self) -> None:
        """End."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = _TIMEOUT * 1000) -> bool:
        """Nothing is kept here."""
        return self._inner.force_flush(timeout_millis)


class OpenTelemetry:
    """Makes spans; used from the event loop only. `processor` gets them."""

    def __init__(self, processor: SpanProcessor, service: str, ratio: float = 1.0) -> None:
        self.ratio = ratio
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # who is taken is decided by the id of the trace, before a span is made
            resource=Resource.create(
                {
                    "service.name": service,
                    "service.version": installed_version(),
                    "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
                }
            ),
            id_generator=self._ids,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attributes=32, max_events=128, max_links=4),
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("stam-adapter")

    @classmethod
    def to(
        cls,
        endpoint: str,
        *,
        service: str = "stam-adapter",
        ratio: float = 1.0,
        headers: Mapping[str, str] | None = None,
        roots: Path | None = None,
    ) -> "OpenTelemetry":
        """Export to an address that takes OTLP/HTTP, in a thread, from a queue that drops what it has no room for."""
        exporter = OTLPSpanExporter(
            endpoint=endpoint.rstrip("/") + ("" if endpoint.rstrip("/").endswith(PATH) else PATH),
            headers=dict(headers or {}),
            timeout=_TIMEOUT,
            certificate_file=str(roots) if roots is not None else None,
        )
        return cls(
            BatchSpanProcessor(_SaidOnce(exporter), export_timeout_millis=_TIMEOUT * 1000), service, ratio
        )

    def begin(
        self,
        name: str,
        trace: TraceId,
        parent: Span | None,
        link: TraceId | None,
        attributes: Mapping[str, Attribute],
    ) -> Span:
        """Begin a span below another, or below the root of a trace."""
        inner = parent.inner if isinstance(parent, _Span) else NonRecordingSpan(_context(trace))
        return _Span(
            self._tracer.start_span(
                name,
                context=set_span_in_context(inner, Context()),
                kind=SpanKind.CLIENT if name.endswith(".request") else SpanKind.INTERNAL,
                attributes=attributes,
                links=[Link(_context(link))] if link is not None else None,
            )
        )

    def end(self, span: Span) -> None:
        """End it."""
        if isinstance(span, _Span):
            span.inner.end()

    def received(
        self,
        trace: TraceId,
        begin: int,
        steps: tuple[Step, ...],
        attributes: Mapping[str, Attribute],
        *,
        again: bool,
    ) -> None:
        """Make the spans of a reception that has ended."""
        below = set_span_in_context(NonRecordingSpan(_context(trace)), Context())
        self._ids.next = None if again else trace
        receive = self._tracer.start_span(
            "receive",
            context=below if again else Context(),
            kind=SpanKind.SERVER,
            start_time=begin,
            attributes=attributes,
        )
        for step in steps:
            part = self._tracer.start_span(
                f"receive.{step.name}", context=set_span_in_context(receive, Context()), start_time=step.begin
            )
            part.end(step.end)
        receive.end()

    def parent_header(self, span: Span) -> str:
        """The span as W3C traceparent."""
        assert isinstance(span, _Span)  # noqa: S101 - there are no others
        context = span.inner.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def stop(self) -> None:
        """Hand over what is left, and end. Blocking, and bounded by the time an export may take."""
        self._provider.shutdown()


def _context(trace: TraceId) -> SpanContext:
    return SpanContext(trace.number, trace.root, is_remote=True, trace_flags=_SAMPLED)
