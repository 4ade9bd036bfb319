# SPDX-License-Identifier: EUPL-1.2

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from adapter.admin import ReadyCheck, create_admin_app
from adapter.admin.health import Health
from adapter.observe import Metrics

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]


def says(*reasons: str) -> ReadyCheck:
    async def check() -> Iterable[str]:
        return reasons

    return check


async def breaks() -> Iterable[str]:
    raise RuntimeError("secret detail")


def app(**checks: ReadyCheck) -> web.Application:
    return create_admin_app(checks=checks, metrics=Metrics())


async def test_live_answers_while_the_process_runs(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app(store=says("broken")))
    response = await client.get("/health/live")
    assert response.status == 200
    assert await response.json() == {"status": "live"}


async def test_ready_when_no_check_has_a_reason(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app(store=says(), sinks=says()))
    response = await client.get("/health/ready")
    assert response.status == 200
    assert await response.json() == {"status": "ready", "reasons": []}


async def test_not_ready_gives_every_reason(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(
        app(store=says("the database is locked"), sinks=says("a is full", "b is gone"))
    )
    response = await client.get("/health/ready")
    assert response.status == 503
    assert (await response.json())["reasons"] == ["the database is locked", "a is full", "b is gone"]


async def test_a_check_that_breaks_makes_us_unready_without_its_detail(aiohttp_client: MakeClient) -> None:
    metrics = Metrics()
    client = await aiohttp_client(create_admin_app(checks={"store": breaks}, metrics=metrics))
    response = await client.get("/health/ready")
    assert response.status == 503
    assert "store" in (text := await response.text())
    assert "secret" not in text
    assert b'unexpected_errors_total{kind="health"} 1.0' in metrics.render()


async def test_a_check_that_hangs_makes_us_unready_in_time() -> None:
    async def hangs() -> Iterable[str]:
        await asyncio.Event().wait()
        return ()

    response = await Health({"sinks": hangs}, Metrics(), check_seconds=0.01).ready(None)  # type: ignore[arg-type]
    assert response.status == 503
    assert b"sinks: no answer within 0.01 seconds" in (response.body or b"")  # type: ignore[operator]


async def test_metrics_are_rendered_in_the_prometheus_format(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app())
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "stam_adapter_build_info" in await response.text()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/nothing"])
async def test_every_answer_is_hardened_and_names_no_server(aiohttp_client: MakeClient, path: str) -> None:
    client = await aiohttp_client(app(store=says("not now")))
    response = await client.get(path)
    assert "Server" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_head_answers_like_get_without_a_body(aiohttp_client: MakeClient, path: str) -> None:
    client = await aiohttp_client(app())
    response = await client.head(path)
    assert response.status == 200
    assert await response.read() == b""


async def test_an_unknown_path_is_a_small_json_answer(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app())
    response = await client.get("/etc/passwd")
    assert response.status == 404
    assert await response.json() == {"error": "not found"}


async def test_a_wrong_method_is_told_what_is_allowed(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app())
    response = await client.post("/health/live")
    assert response.status == 405
    assert await response.json() == {"error": "method not allowed"}
    assert "GET" in response.headers["Allow"]


async def test_a_handler_that_breaks_keeps_its_detail_in_the_log(aiohttp_client: MakeClient) -> None:
    metrics = Metrics()
    application = create_admin_app(checks={}, metrics=metrics)

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    application.router.add_get("/broken", broken)
    client = await aiohttp_client(application)
    response = await client.get("/broken")
    assert response.status == 500
    assert await response.json() == {"error": "internal server error"}
    assert b'unexpected_errors_total{kind="admin"} 1.0' in metrics.render()
