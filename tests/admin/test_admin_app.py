# SPDX-License-Identifier: EUPL-1.2

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from adapter.admin import EVERYBODY, Health, ReadyCheck, Trouble, create_admin_app
from adapter.observe import Metrics

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]


def says(*reasons: str, stops: frozenset[str] = EVERYBODY, about: str = "") -> ReadyCheck:
    async def check() -> Iterable[Trouble]:
        return [Trouble(reason, about, stops) for reason in reasons]

    return check


def warns(*warnings: str, about: str = "") -> ReadyCheck:
    return says(*warnings, stops=frozenset(), about=about)


async def breaks() -> Iterable[Trouble]:
    raise RuntimeError("secret detail")


async def hangs() -> Iterable[Trouble]:
    await asyncio.Event().wait()
    return ()


def app(**checks: ReadyCheck) -> web.Application:
    metrics = Metrics()
    return create_admin_app(health=Health(checks, metrics), metrics=metrics)


def hosting(**checks: ReadyCheck) -> web.Application:
    """An application of a daemon with two authorities."""
    metrics = Metrics()
    return create_admin_app(
        health=Health(checks, metrics, authorities=lambda: ("adorp", "bestad")), metrics=metrics
    )


async def test_live_answers_while_the_process_runs(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app(store=says("broken")))
    response = await client.get("/health/live")
    assert response.status == 200
    assert await response.json() == {"status": "live", "reasons": []}


async def test_what_a_restart_would_mend_is_not_live(aiohttp_client: MakeClient) -> None:
    async def dead() -> list[str]:
        return ["a loop died"]

    metrics = Metrics()
    client = await aiohttp_client(
        create_admin_app(health=Health({}, metrics, live_check=dead), metrics=metrics)
    )
    response = await client.get("/health/live")
    assert response.status == 503
    assert await response.json() == {"status": "not live", "reasons": ["a loop died"]}


async def test_ready_when_no_check_has_a_reason(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(app(store=says(), sinks=says()))
    response = await client.get("/health/ready")
    assert response.status == 200
    assert await response.json() == {
        "status": "ready",
        "reasons": [],
        "warnings": [],
        "authorities_not_ready": [],
        "checks": {name: {"status": "ok", "details": []} for name in ("store", "sinks")},
    }


async def test_not_ready_gives_every_reason(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(
        app(store=says("the database is locked"), disk=says("a is full", "b is gone"))
    )
    response = await client.get("/health/ready")
    assert response.status == 503
    assert (await response.json())["reasons"] == ["the database is locked", "a is full", "b is gone"]


async def test_a_warning_takes_nothing_away_and_names_what_it_is_about(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(hosting(sinks=warns("archief does not answer", about="adorp/archief")))
    response = await client.get("/health/ready")
    body = await response.json()
    assert (response.status, body["status"], body["reasons"]) == (200, "ready", [])
    assert body["warnings"] == ["archief does not answer"]
    detail = {"about": "adorp/archief", "status": "warning", "text": "archief does not answer"}
    assert body["checks"]["sinks"] == {"status": "warning", "details": [detail]}


async def test_what_stops_one_authority_leaves_the_others_ready(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(hosting(keys=says("its certificate expired", stops=frozenset({"bestad"}))))
    whole = await client.get("/health/ready")
    body = await whole.json()
    assert (whole.status, body["reasons"], body["warnings"]) == (200, [], ["its certificate expired"])
    assert body["authorities_not_ready"] == ["bestad"]
    assert body["checks"]["keys"]["status"] == "failed"
    stopped = await client.get("/health/ready?authority=bestad")
    assert (stopped.status, (await stopped.json())["reasons"]) == (503, ["its certificate expired"])
    assert (await client.get("/health/ready?authority=adorp")).status == 200


async def test_what_stops_each_of_all_authorities_is_not_ready(aiohttp_client: MakeClient) -> None:
    one, other = (says(f"{name} is stopped", stops=frozenset({name})) for name in ("adorp", "bestad"))
    client = await aiohttp_client(hosting(one=one, other=other))
    response = await client.get("/health/ready")
    body = await response.json()
    assert (response.status, body["reasons"]) == (503, ["adorp is stopped", "bestad is stopped"])
    assert body["warnings"] == []


async def test_what_stops_everybody_stops_each_authority(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(hosting(store=says("the database is gone")))
    response = await client.get("/health/ready?authority=adorp")
    assert response.status == 503
    assert (await response.json())["authorities_not_ready"] == ["adorp", "bestad"]


async def test_an_authority_that_is_not_there_is_not_found(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(hosting())
    assert (await client.get("/health/ready?authority=cestad")).status == 404


async def test_a_check_that_breaks_makes_us_unready_without_its_detail(aiohttp_client: MakeClient) -> None:
    metrics = Metrics()
    client = await aiohttp_client(
        create_admin_app(health=Health({"store": breaks}, metrics), metrics=metrics)
    )
    response = await client.get("/health/ready")
    assert response.status == 503
    assert "store" in (text := await response.text())
    assert "secret" not in text
    assert b'unexpected_errors_total{kind="health"} 1.0' in metrics.render()


async def test_a_check_that_hangs_makes_us_unready_in_time() -> None:
    report = await Health({"store": hangs}, Metrics(), check_seconds=0.01).look()
    assert report.reasons() == ["store: no answer within 0.01 seconds"]


@pytest.mark.parametrize("trouble", [hangs, breaks])
async def test_what_only_watches_takes_nothing_away_where_it_fails_itself(trouble: ReadyCheck) -> None:
    report = await Health({}, Metrics(), watches={"sinks": trouble}, check_seconds=0.01).look()
    assert report.is_ready
    assert len(report.warnings()) == 1


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
    application = create_admin_app(health=Health({}, metrics), metrics=metrics)

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    application.router.add_get("/broken", broken)
    client = await aiohttp_client(application)
    response = await client.get("/broken")
    assert response.status == 500
    assert await response.json() == {"error": "internal server error"}
    assert b'unexpected_errors_total{kind="admin"} 1.0' in metrics.render()
