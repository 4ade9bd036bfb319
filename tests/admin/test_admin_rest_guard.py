# SPDX-License-Identifier: EUPL-1.2

import base64
from datetime import timedelta
from typing import NamedTuple

import pytest
from aiohttp import web

from adapter.admin import ApplicationApi, create_admin_app
from adapter.admin.health import Health
from adapter.admin.rest.routes import ROUTES, Route
from adapter.config import Role
from adapter.store import AuditFilter, AuditOutcome, find_audit
from tests.admin.house import API, TOKENS, Api, Client, properties, sample


class Place(NamedTuple):
    """Something to ask for."""

    method: str
    path: str


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_route_is_closed_to_whoever_does_not_log_in(api: Api, route: Route) -> None:
    response = await api.call(route.method, sample(route), user=None)
    assert response.status == 401
    assert response.headers.getall("WWW-Authenticate") == [
        'Basic realm="stam-adapter", charset="UTF-8"',
        'Bearer realm="stam-adapter"',
    ]


@pytest.mark.parametrize("path", ["/nothing", "/cpas/a/b/c", "/openapi.json", ""])
async def test_a_path_that_is_not_there_is_no_different(api: Api, path: str) -> None:
    assert (await api.call("GET", path, user=None)).status == 401
    response = await api.call("GET", path)
    assert response.status == (200 if path == "/openapi.json" else 404)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.role is not Role.LOOK], ids=lambda route: route.name
)
async def test_a_role_that_is_too_low_is_refused(api: Api, route: Route) -> None:
    response = await api.call(route.method, sample(route), user="kijker")
    assert response.status == 403
    assert str(route.role) in await response.text()
    assert api.audits() == []
    assert [line["user"] for line in api.logs if line["action"] == "admin.denied"] == ["kijker"]
    refused = await api.db.read(find_audit, AuditFilter(outcome=AuditOutcome.REFUSED), 10)
    assert [entry.actor for entry in refused] == ["kijker"]


async def test_a_token_is_a_bearer_token_or_the_password_of_basic(api: Api) -> None:
    bearer = {"Authorization": f"Bearer {TOKENS['stad']}"}
    assert (await api.call("GET", "/cpas", user=None, headers=bearer)).status == 200
    assert (await api.call("GET", "/cpas", user="stad")).status == 200


@pytest.mark.parametrize(
    ("name", "token"), [("stad", "wrong"), ("nobody", TOKENS["stad"]), ("beheer", TOKENS["stad"])]
)
async def test_a_name_with_another_token_is_refused(api: Api, name: str, token: str) -> None:
    credentials = base64.b64encode(f"{name}:{token}".encode()).decode()
    response = await api.call("GET", "/cpas", user=None, headers={"Authorization": f"Basic {credentials}"})
    assert response.status == 401
    assert TOKENS["stad"] not in str(api.logs)


async def test_an_address_that_fails_too_often_has_to_wait(api: Api) -> None:
    wrong = {"Authorization": "Bearer guess"}
    for _ in range(10):
        assert (await api.call("GET", "/cpas", user=None, headers=wrong)).status == 401
    response = await api.call("GET", "/cpas")
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert (await api.client.get("/health/live")).status == 200
    api.clock.shift = timedelta(minutes=1)
    assert (await api.call("GET", "/cpas")).status == 200
    refused = api.metrics.registry.get_sample_value("stam_adapter_refused_total", {"reason": "admin_login"})
    assert refused == 10


async def test_a_call_without_credentials_is_no_failed_login(api: Api) -> None:
    for _ in range(12):
        assert (await api.call("GET", "/cpas", user=None)).status == 401
    assert (await api.call("GET", "/cpas")).status == 200


async def test_another_site_cannot_use_the_login_of_a_browser(api: Api) -> None:
    response = await api.call("DELETE", "/cpas/x", headers={"Origin": "https://evil.example"})
    assert response.status == 403


async def test_without_users_nobody_gets_in_but_health_and_metrics_stay_open(
    api: Api, aiohttp_client: object
) -> None:
    admin = api.config.admin.model_copy(update={"users": ()})
    config = api.config.model_copy(update={"admin": admin})
    p = api.parts
    parts = ApplicationApi(p.db, p.spool, p.authorities, p.submitter, lambda: config, p.metrics, p.clock)
    app: web.Application = create_admin_app(health=Health({}, p.metrics), metrics=p.metrics, api=parts)
    client: Client = await aiohttp_client(app)  # type: ignore[operator]
    for headers in ({}, {"Authorization": f"Bearer {TOKENS['beheer']}"}, {"Authorization": "Bearer "}):
        response = await client.get(f"{API}/cpas", headers=headers)
        assert response.status == 401
    assert (await client.get("/health/live")).status == 200
    assert (await client.get("/metrics")).status == 200


async def test_an_unforeseen_fault_shows_nothing_of_itself(api: Api) -> None:
    await api.db.close()
    response = await api.call("GET", "/cpas")
    assert response.status == 500
    assert await response.text() == "internal server error"


async def test_answers_are_hardened_and_a_wrong_method_says_what_is_possible(api: Api) -> None:
    response = await api.call("PUT", "/cpas")
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"GET", "POST"}
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in response.headers


@pytest.mark.parametrize("path", ["/cpas", "/ebms/messages/x"])
async def test_head_is_not_get(api: Api, path: str) -> None:
    assert (await api.call("HEAD", path)).status == 405


async def test_a_user_sees_only_the_own_authorities(api: Api) -> None:
    row = await api.received("m1@dso", b"x", authority="stad")
    stranger = {"user": "kijker"}
    for path in ("/ebms/messages/m1@dso", "/ebms/messages/mtom/m1@dso"):
        assert (await api.call("GET", path, **stranger)).status == 404
    # asking the partner is more than looking: it sends a message
    assert (await api.call("GET", "/ebms/messages/m1@dso/status", **stranger)).status == 403
    assert await api.json("/ebms/messages/unprocessed", user="kijker") == []
    assert await api.json("/ebms/events/unprocessed", user="kijker") == []
    assert await api.json("/cpas", user="kijker") == [api.authority("dorp").cpa_id]
    assert (await api.call("GET", f"/cpas/{api.authority('stad').cpa_id}", user="kijker")).status == 404
    await api.received("m2@dso", b"x", authority="dorp")
    await api.call("PATCH", "/ebms/messages/m2@dso", user="stad")
    await api.call("PATCH", "/ebms/events/m2@dso", user="stad")
    assert await api.json("/ebms/messages/unprocessed", user="kijker") == ["m2@dso"]
    assert len(await api.json("/ebms/events/unprocessed", user="kijker")) == 1
    response = await api.call(
        "POST", "/ebms/messages", user="stad", json={"properties": properties(api, "dorp")}
    )
    assert response.status == 400
    response = await api.call(
        "POST",
        f"/ebms/ping/{api.authority('dorp').cpa_id}/from/{api.party('dorp')}/to/x",
        user="stad",
    )
    assert response.status == 400
    assert await api.state(row) == "received"


HARDENED = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PLACES = (
    *(Place(route.method, API + sample(route)) for route in ROUTES),
    *(Place("GET", path) for path in (f"{API}/openapi.json", f"{API}/none", "/health/live")),
    *(Place("GET", path) for path in ("/health/ready", "/metrics", "/deliveries/x", "/none")),
    Place("POST", "/metrics"),
)


@pytest.mark.parametrize("user", [None, "beheer", "kijker"])
async def test_every_answer_of_every_route_is_hardened_also_errors(api: Api, user: str | None) -> None:
    statuses = set()
    for place in PLACES:
        login = {"Authorization": f"Bearer {TOKENS[user]}"} if user is not None else {}
        response = await api.client.request(place.method, place.path, headers=login)
        await response.read()
        statuses.add(response.status)
        assert {name: response.headers.get(name) for name in HARDENED} == HARDENED, place
        assert "Server" not in response.headers
        assert "Strict-Transport-Security" not in response.headers  # which only counts over TLS
    assert statuses > {None: {200, 401}, "beheer": {200, 400, 404}, "kijker": {200, 403, 404}}[user]


CROSS_SITE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
)


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
async def test_no_other_site_can_make_a_browser_call_anything(api: Api, headers: dict[str, str]) -> None:
    for route in ROUTES:
        response = await api.call(route.method, sample(route), headers=headers)
        assert (response.status, await response.text()) == (403, "not from another site"), route.name
    assert api.audits() == []


async def test_a_form_of_a_page_is_no_body_of_a_call(api: Api) -> None:
    """What a page can send without asking first is taken by no route: its content types are none of ours."""
    for route in ROUTES:
        if route.takes is not None and route.takes[0] != "multipart/form-data":
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            response = await api.call(route.method, sample(route), headers=form, data=b"a=b")
            assert response.status == 415, route.name
