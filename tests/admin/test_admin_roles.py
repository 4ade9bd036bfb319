# SPDX-License-Identifier: EUPL-1.2

"""What each role may do for each authority: every route, as a table."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from aiohttp import web
from pydantic import ValidationError

from adapter.admin import create_admin_app
from adapter.admin.auth import User
from adapter.admin.calls import Call
from adapter.admin.health import Health
from adapter.admin.rest.routes import ROUTES
from adapter.config import AdminUser, Role
from adapter.store import AuditFilter, AuditOutcome, active_agreements, find_audit
from tests.admin.house import DSO, Api, Client, properties, sample

MakeClient = Callable[[web.Application], Awaitable[Client]]

LEVELS: Final = {
    # what looks
    "getCPAIds": Role.LOOK,
    "validateCPA": Role.LOOK,
    "getCPA": Role.LOOK,
    "getURLMappings": Role.LOOK,
    "getCertificateMappings": Role.LOOK,
    "getUnprocessedMessageIds": Role.LOOK,
    "getMessageMTOM": Role.LOOK,
    "getMessage": Role.LOOK,
    "getUnprocessedMessageEvents": Role.LOOK,
    # what mends
    "ping": Role.REPAIR,
    "sendMessage": Role.REPAIR,
    "sendMessageMTOM": Role.REPAIR,
    "resendMessage": Role.REPAIR,
    "processMessage": Role.REPAIR,
    "getMessageStatus": Role.REPAIR,
    "processMessageEvent": Role.REPAIR,
    # what sets up
    "insertCPA": Role.ADMINISTER,
    "deleteCPACache": Role.ADMINISTER,
    "deleteCPA": Role.ADMINISTER,
    "setURLMapping": Role.ADMINISTER,
    "deleteURLMappingCache": Role.ADMINISTER,
    "deleteURLMapping": Role.ADMINISTER,
    "setCertificateMapping": Role.ADMINISTER,
    "deleteCertificateMapping": Role.ADMINISTER,
    "deleteCertificateMappingCache": Role.ADMINISTER,
}
"""The role that each call needs, written down here a second time: a route that is new has to be put here by hand."""

NOT_AUDITED: Final = {
    "getCPAIds",
    "getCPA",
    "validateCPA",
    "getURLMappings",
    "getCertificateMappings",
    "getUnprocessedMessageIds",
    "getUnprocessedMessageEvents",
    "deleteCPACache",
    "deleteURLMappingCache",
    "deleteCertificateMappingCache",
}
"""Calls that change nothing, and show identifiers at most."""

PEOPLE: Final = {
    "beheer": {"stad": Role.ADMINISTER, "dorp": Role.ADMINISTER},
    "stad": {"stad": Role.REPAIR},
    "kijker": {"dorp": Role.LOOK},
    "wissel": {"stad": Role.ADMINISTER, "dorp": Role.LOOK},
    "hersteller": {"stad": Role.LOOK, "dorp": Role.REPAIR},
}
"""The users of the world, with the role that each has for each of its two authorities."""


def test_every_route_is_in_the_table_with_its_role() -> None:
    assert {route.name: route.role for route in ROUTES} == LEVELS


def test_every_route_that_changes_something_or_shows_a_message_is_audited() -> None:
    assert {route.name for route in ROUTES if route.audited is None} == NOT_AUDITED


async def scope(call: Call) -> web.StreamResponse:
    """An answer in the place of every other: the authorities that the call may be about."""
    return web.json_response(sorted(call.scope))


@pytest.mark.parametrize("user", PEOPLE)
async def test_every_call_reaches_the_authorities_for_which_the_user_has_its_role_and_no_others(
    api: Api, user: str, monkeypatch: pytest.MonkeyPatch, aiohttp_client: MakeClient
) -> None:
    probes = tuple(replace(route, answer=scope) for route in ROUTES)
    monkeypatch.setattr("adapter.admin.rest.application.ROUTES", probes)
    api.client = await aiohttp_client(
        create_admin_app(health=Health({}, api.metrics), metrics=api.metrics, api=api.parts)
    )
    for route in ROUTES:
        response = await api.call(route.method, sample(route), user=user)
        expected = sorted(name for name, role in PEOPLE[user].items() if role.includes(LEVELS[route.name]))
        got = await response.json() if response.status == 200 else response.status
        assert got == (expected or 403), route.name


def ping(api: Api, authority: str) -> str:
    cpa_id = api.authority(authority).cpa_id
    return f"/ebms/ping/{cpa_id}/from/{api.party(authority)}/to/{DSO}"


def calls(api: Api, authority: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls that do more than look, about something of an authority that is there."""
    cpa = api.authority(authority).cpa_path.read_bytes()
    message = f"/ebms/messages/{authority}@dso"
    return [
        ("GET", f"{message}?process=true", {}),
        ("GET", message.replace("messages/", "messages/mtom/") + "?process=true", {}),
        ("GET", f"{message}/status", {}),
        ("PUT", message, {}),
        ("PATCH", message, {}),
        ("PATCH", message.replace("messages", "events"), {}),
        ("POST", "/ebms/messages", {"json": {"properties": properties(api, authority)}}),
        ("POST", ping(api, authority), {}),
        ("POST", "/cpas", {"data": cpa, "headers": {"Content-Type": "text/plain"}}),
        ("DELETE", f"/cpas/{api.authority(authority).cpa_id}", {}),
    ]


async def test_what_a_user_may_see_but_not_change_is_refused_and_stays(api: Api) -> None:
    row = await api.received("dorp@dso", b"x", authority="dorp")
    before = await api.db.read(active_agreements)
    for method, path, options in calls(api, "dorp"):
        response = await api.call(method, path, user="wissel", **options)
        assert response.status == 403, (method, path, await response.text())
    assert await api.db.read(active_agreements) == before
    assert await api.state(row) == "received"
    assert await api.json("/ebms/messages/unprocessed") == ["dorp@dso"]
    assert (await api.call("GET", "/ebms/messages/dorp@dso", user="wissel")).status == 200
    entries = await api.db.read(find_audit, AuditFilter(actor="wissel", outcome=AuditOutcome.REFUSED), 100)
    assert len(entries) == len(calls(api, "dorp"))


async def test_what_a_user_may_not_even_see_does_not_exist(api: Api) -> None:
    row = await api.received("stad@dso", b"x", authority="stad")
    for method, path, options in calls(api, "stad"):
        response = await api.call(method, path, user="dorper", **options)
        patched = method == "PATCH"
        assert response.status in ({204} if patched else {400, 404}), (method, path)
        assert "stad" not in (await response.text()).replace("stad@dso", "").replace(api.party("stad"), "")
    assert await api.json("/ebms/messages/unprocessed") == ["stad@dso"]
    assert await api.state(row) == "received"


async def test_a_mapping_is_set_for_the_authorities_that_the_user_administers(api: Api) -> None:
    body = {"source": "https://a.nl/ebms", "destination": "https://b.nl/ebms"}
    assert (await api.call("POST", "/urlMappings", user="wissel", json=body)).status == 204
    assert await api.json("/urlMappings", user="kijker") == []
    assert await api.json("/urlMappings", user="stad") == [body]


async def test_a_role_of_its_own_goes_before_that_for_all(api: Api) -> None:
    user = AdminUser.model_validate(
        {"name": "x", "token_file": "x", "roles": {"*": "administer", "dorp": "look"}}
    )
    scopes = {role: sorted(User("x", user.role_of).scope(api.parts.authorities(), role)) for role in (*Role,)}
    assert scopes == {Role.LOOK: ["dorp", "stad"], Role.REPAIR: ["stad"], Role.ADMINISTER: ["stad"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"role": "look"},
        {"authorities": ["*"]},
        {"role": "look", "authorities": ["*"], "roles": {"*": "look"}},
        {"role": "look", "roles": {"*": "look"}},
        {"roles": {}},
        {"roles": {"*": "god"}},
        {"role": "look", "authorities": ["*"], "certificate": "jan.pem"},
        {"role": "look", "authorities": ["*"], "token_file": None},
    ],
)
def test_a_user_has_roles_in_one_form_and_one_way_to_log_in(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AdminUser.model_validate({"name": "x", "token_file": "x"} | wrong)
