# SPDX-License-Identifier: EUPL-1.2

"""A sink is told which trace its request belongs to; nobody else is."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapter.net import HttpClient
from adapter.observe import trace, trace_with
from adapter.observe.spans import OpenTelemetry
from adapter.sinks.connection import ask


@pytest.fixture
async def seen() -> AsyncIterator[tuple[str, list[web.Request]]]:
    requests: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=201)

    app = web.Application()
    app.router.add_post("/zaken", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/zaken", requests
    await runner.cleanup()


async def test_a_request_of_a_sink_is_a_span_and_carries_it(seen: tuple[str, list[web.Request]]) -> None:
    url, requests = seen
    exporter = InMemorySpanExporter()
    backend = OpenTelemetry(SimpleSpanProcessor(exporter), "test")
    trace_with(backend)
    try:
        async with HttpClient(None, None, allow_plain=True) as http:
            with trace("deliver", "stad", "m1"):
                await ask(http, "POST", url, data=b"x")
    finally:
        trace_with(None)
        backend.stop()
    asked, _ = exporter.get_finished_spans()
    assert asked.name == "sink.request"
    assert dict(asked.attributes or {}) == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "http.response.status_code": 201,
    }
    made = asked.context
    expected = f"00-{made.trace_id:032x}-{made.span_id:016x}-01"
    assert requests[0].headers["traceparent"] == expected


async def test_without_tracing_a_sink_is_told_nothing(seen: tuple[str, list[web.Request]]) -> None:
    url, requests = seen
    async with HttpClient(None, None, allow_plain=True) as http:
        await ask(http, "POST", url, data=b"x")
    assert "traceparent" not in requests[0].headers
