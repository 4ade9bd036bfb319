# SPDX-License-Identifier: EUPL-1.2

"""One trace from the POST of a message to its sink, whoever works on it and however often."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from adapter.config import ConfigProblem, TracingConfig, load_config
from adapter.daemon import Daemon
from adapter.daemon.tracing import make_tracing
from adapter.observe import Reception, configure_logs, get_logger, mark, span, trace, trace_with, traceparent
from adapter.observe.spans import OpenTelemetry, _SaidOnce
from adapter.observe.tracing import LONGEST, TraceId, receiving_step, reception
from adapter.simulator import (
    AgreementPlan,
    DocumentSpec,
    SimulatedDso,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from tests.e2e.conftest import until


class Spans(InMemorySpanExporter):
    """What was exported."""

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.get_finished_spans() if one.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = Spans()
    backend = OpenTelemetry(SimpleSpanProcessor(exporter), "test")
    trace_with(backend)
    try:
        yield exporter
    finally:
        trace_with(None)
        backend.stop()


def exporter_of(backend: OpenTelemetry) -> SpanExporter:
    (processor,) = backend._provider._active_span_processor._span_processors
    exporter: SpanExporter = processor._batch_processor._exporter  # type: ignore[attr-defined]
    return exporter


def received(authority: str, message_id: str, outcome: str = "accepted") -> Reception:
    arrival = Reception()
    before = reception.set(arrival)
    with receiving_step("read"):
        arrival.brings(authority, message_id)
    arrival.attributes["outcome"] = outcome
    reception.reset(before)
    arrival.end(status=204)
    return arrival


def parent_of(one: ReadableSpan) -> int | None:
    return one.parent.span_id if one.parent is not None else None


# --- the trace of a message


def test_the_trace_of_a_message_is_the_same_for_whoever_works_on_it(spans: Spans) -> None:
    received("stad", "m1@dso")
    with trace("deliver", "stad", "m1@dso"):
        pass
    with trace("deliver", "stad", "m1@dso"):
        pass
    root = spans.one("receive")
    assert {one.context.trace_id for one in spans.get_finished_spans()} == {
        TraceId.of("stad", "m1@dso").number
    }
    assert [parent_of(one) for one in spans.named("deliver")] == [root.context.span_id] * 2


def test_the_same_message_id_of_another_authority_is_another_trace() -> None:
    assert TraceId.of("stad", "m1") != TraceId.of("dorp", "m1")


def test_the_reception_of_a_message_is_the_root_and_has_its_steps_below(spans: Spans) -> None:
    received("stad", "m1")
    root, step = spans.one("receive"), spans.one("receive.read")
    assert root.parent is None
    assert root.context.span_id == TraceId.of("stad", "m1").root
    assert parent_of(step) == root.context.span_id
    assert root.start_time <= step.start_time <= step.end_time <= root.end_time
    assert dict(root.attributes or {}) == {
        "authority": "stad",
        "outcome": "accepted",
        "http.response.status_code": 204,
    }


def test_a_repeat_is_in_the_trace_and_not_its_root(spans: Spans) -> None:
    received("stad", "m1")
    received("stad", "m1", "duplicate")
    first, second = spans.named("receive")
    assert parent_of(second) == first.context.span_id
    assert second.context.span_id != first.context.span_id


def test_a_request_that_brings_no_message_makes_no_trace(spans: Spans) -> None:
    Reception().end(status=403)
    assert spans.get_finished_spans() == ()


def test_a_part_is_below_what_it_is_part_of_also_in_a_task_of_its_own(spans: Spans) -> None:
    async def work() -> None:
        async def ask() -> None:
            with span("dso.request"):
                await asyncio.sleep(0)

        with trace("collect", "stad", "m1"):
            await asyncio.gather(ask(), ask())

    asyncio.run(work())
    collect = spans.one("collect")
    assert [parent_of(one) for one in spans.named("dso.request")] == [collect.context.span_id] * 2


def test_what_follows_from_another_message_is_linked_to_it(spans: Spans) -> None:
    with trace("send", "stad", "ours", link="theirs"):
        pass
    (link,) = spans.one("send").links
    assert link.context.trace_id == TraceId.of("stad", "theirs").number


def test_what_is_not_traced_has_no_parts(spans: Spans) -> None:
    with span("dso.request"), trace("collect", "stad", None), span("dso.request"):
        mark("nothing")
    assert traceparent() == {}
    assert spans.get_finished_spans() == ()


def test_an_exception_is_in_the_span_by_its_kind_alone(spans: Spans) -> None:
    with pytest.raises(ValueError, match="secret"), trace("collect", "stad", "m1"):
        raise ValueError("secret of a verzoek")
    failed = spans.one("collect")
    assert not failed.status.is_ok
    assert (failed.attributes or {})["error.type"] == "ValueError"
    assert "secret" not in failed.to_json()


def test_an_attribute_is_cut_at_the_longest(spans: Spans) -> None:
    with trace("send", "stad", "m1", kind="x" * 1000):
        pass
    assert len(str((spans.one("send").attributes or {})["kind"])) == LONGEST


def test_the_header_for_a_sink_is_that_of_the_span(spans: Spans) -> None:
    with trace("deliver", "stad", "m1"):
        header = traceparent()["traceparent"]
    made = spans.one("deliver").context
    assert header == f"00-{made.trace_id:032x}-{made.span_id:016x}-01"


def test_lines_of_the_log_have_the_trace_while_it_is_made(spans: Spans) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    lines = io.StringIO()
    try:
        configure_logs("json", "info", stream=lines)
        with trace("deliver", "stad", "m1"):
            get_logger("a").info("inside", action="a.b")
        get_logger("a").info("outside", action="a.b")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()
    inside, outside = map(json.loads, lines.getvalue().splitlines())
    assert inside["trace_id"] == f"{TraceId.of('stad', 'm1').number:032x}"
    assert "trace_id" not in outside


# --- which part of all


def test_the_ratio_takes_that_part_of_the_traces_and_the_same_ones_everywhere() -> None:
    ids = [TraceId.of("stad", f"m{number}") for number in range(2000)]
    taken = [one for one in ids if one.is_taken(0.25)]
    assert 400 < len(taken) < 600
    assert all(one.is_taken(0.5) for one in taken)
    assert not any(one.is_taken(0.0) for one in ids)
    assert all(one.is_taken(1.0) for one in ids)


# --- off


def test_without_tracing_nothing_of_it_is_loaded() -> None:
    code = (
        "import adapter.cli.run, adapter.daemon, sys; from adapter.daemon.tracing import make_tracing; "
        "assert make_tracing(None) is None; "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_without_tracing_nothing_is_made() -> None:
    with trace("collect", "stad", "m1") as here, span("dso.request"):
        here.set(outcome="done")
        here.event("x")
        here.failed("y")
        assert traceparent() == {}
    assert received("stad", "m1").steps == []


# --- the configuration


def test_headers_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer s3cret\n\nX-Scope-OrgID: stad\n")
    config = TracingConfig(endpoint="http://127.0.0.1:4318", headers_file=tmp_path / "headers")
    backend = make_tracing(config)
    assert backend is not None
    backend.stop()


@pytest.mark.parametrize(
    ("text", "said"), [("s3cret", "line 1"), ("X-S3cret:", "line 1"), (None, "cannot be read")]
)
def test_a_file_with_something_else_is_said_without_what_is_in_it(
    tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "headers"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigProblem, match=said) as raised:
        make_tracing(TracingConfig(endpoint="http://127.0.0.1:4318", headers_file=path))
    assert text is None or text not in str(raised.value)


def test_tracing_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.daemon.tracing.find_spec", lambda _: None)
    with pytest.raises(ConfigProblem, match=r"pip install 'stam-adapter\[tracing\]'"):
        make_tracing(TracingConfig(endpoint="http://127.0.0.1:4318"))


# --- a daemon


@asynccontextmanager
async def collector(*, fails: bool = False) -> AsyncIterator[tuple[str, list[Any]]]:
    """A receiver of OTLP over HTTP, and the spans that it got."""
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if fails:
            return web.Response(status=400)
        assert request.headers["Authorization"] == "Bearer s3cret"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            got.extend(one for scope in resource.scope_spans for one in scope.spans)
        return web.Response()

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


async def deliver_one(world: World) -> tuple[str, str]:
    """A daemon receives and delivers one verzoek, and stops; its MessageId and verzoeknummer."""
    (authority,) = world.authorities
    daemon = Daemon(load_config(world.config, {}))
    async with SimulatedDso(world) as dso:
        await daemon.start()
        try:
            number = verzoeknummer(datetime.now(UTC).date(), 1)
            documents = (DocumentSpec("tekening van J. Jansen.pdf", 2000),)
            sent = await dso.announce(
                authority, make_verzoek(VerzoekSpec(number, authority.oin, documents=documents))
            )
            await dso.msh.wait_for(sent.message_id)

            async def delivered() -> bool:
                return (authority.sink / f"{number}-000") in list(authority.sink.iterdir())

            await until(delivered)
        finally:
            await daemon.stop()
    return sent.message_id, number


async def a_world(directory: Path, url: str) -> World:
    world = await asyncio.to_thread(create_world, directory, {"voorbeeldstad": AgreementPlan()})
    (directory / "headers").write_text("Authorization: Bearer s3cret\n")
    with world.config.open("a") as file:
        file.write(f'\n[tracing]\nendpoint = "{url}"\nheaders_file = "headers"\n')
    return world


async def test_a_verzoek_is_one_trace_from_the_post_to_the_sink(tmp_path: Path) -> None:
    async with collector() as (url, got):
        message_id, number = await deliver_one(await a_world(tmp_path, url))
    names = [one.name for one in got]
    assert {"receive", "send", "partner.request", "route", "collect", "dso.request", "deliver"} <= set(names)
    steps = {"identify", "take_in", "read", "verify", "acknowledge", "store"}
    assert {f"receive.{step}" for step in steps} <= set(names)
    expected = TraceId.of("voorbeeldstad", message_id)
    assert {one.trace_id for one in got} == {expected.number.to_bytes(16)}
    ids = {one.span_id for one in got}
    assert [one.name for one in got if one.parent_span_id not in ids] == ["receive"]
    text = " ".join(map(str, got))
    assert number not in text
    assert "Jansen" not in text
    assert not re.search(r"https?://", text)


async def test_a_collector_that_fails_is_said_once_and_so_is_its_return() -> None:
    async with collector(fails=True) as (url, _):
        backend = OpenTelemetry.to(url)
        exporter = exporter_of(backend)
        with capture_logs() as lines:
            await asyncio.to_thread(exporter.export, [])
            await asyncio.to_thread(exporter.export, [])
        backend.stop()
    assert [line["action"] for line in lines] == ["tracing.not_sent"]
    assert "400" in lines[0]["reason"]


async def test_a_collector_that_is_back_is_said() -> None:
    states = iter((SpanExportResult.FAILURE, SpanExportResult.SUCCESS, SpanExportResult.SUCCESS))

    class Moody(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return next(states)

    exporter = _SaidOnce(Moody())
    with capture_logs() as lines:
        for _ in range(3):
            exporter.export([])
    assert [line["action"] for line in lines] == ["tracing.not_sent", "tracing.sent_again"]


@pytest.mark.parametrize("how", ["refuses", "is away"])
async def test_a_collector_that_fails_costs_traces_and_nothing_else(tmp_path: Path, how: str) -> None:
    async with collector(fails=True) as (url, _):
        await deliver_one(await a_world(tmp_path, url if how == "refuses" else "http://127.0.0.1:9"))
