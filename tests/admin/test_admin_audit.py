# SPDX-License-Identifier: EUPL-1.2

"""What calls of the admin listener leave in the audit trail."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapter.admin import create_admin_app
from adapter.admin.health import Health
from adapter.store import AuditEntry, AuditFilter, AuditKind, AuditOutcome, AuditVia, find_audit
from tests.admin.house import Api, Client, properties


async def trail(api: Api, **wanted: Any) -> list[AuditEntry]:
    return await api.db.read(find_audit, AuditFilter(**wanted), 1000)


@pytest.mark.parametrize("path", ["/ebms/messages/m1@dso", "/ebms/messages/mtom/m1@dso"])
async def test_who_fetches_a_message_is_kept_and_nothing_of_what_was_in_it(api: Api, path: str) -> None:
    await api.received("m1@dso", b"burgerservicenummer 999990019")
    assert (await api.call("GET", path, user="stad")).status == 200
    (entry,) = await trail(api)
    assert (entry.actor, entry.via, entry.origin) == ("stad", AuditVia.ADMIN, "127.0.0.1")
    assert (entry.kind, entry.action, entry.subject) == (AuditKind.LOOK, "message.fetch", "m1@dso")
    assert (entry.authority, entry.outcome) == ("stad", AuditOutcome.DONE)
    assert "999990019" not in str(entry)
    assert "deel0" not in str(entry)


async def test_a_fetch_that_processes_is_a_look_and_a_change(api: Api) -> None:
    await api.received("m1@dso", b"x")
    await api.call("GET", "/ebms/messages/m1@dso?process=true")
    assert [(one.kind, one.action) for one in await trail(api)] == [
        (AuditKind.CHANGE, "message.process"),
        (AuditKind.LOOK, "message.fetch"),
    ]


async def test_no_message_is_shown_when_the_trail_cannot_be_written(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.received("m1@dso", b"the contents")

    def broken(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("adapter.admin.calls.add_audit", broken)
    response = await api.call("GET", "/ebms/messages/m1@dso")
    assert response.status == 500
    assert await response.text() == "internal server error"


async def test_a_change_and_its_entry_are_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.received("m1@dso", b"x")

    def broken(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("adapter.store.trail.add_audit", broken)
    assert (await api.call("PATCH", "/ebms/messages/m1@dso")).status == 500
    assert await api.json("/ebms/messages/unprocessed") == ["m1@dso"]


async def test_what_is_sent_is_kept(api: Api) -> None:
    response = await api.call("POST", "/ebms/messages", user="stad", json={"properties": properties(api)})
    (entry,) = await trail(api)
    assert (entry.action, entry.subject) == ("message.send", await response.text())


async def test_a_call_that_is_refused_is_kept_with_its_status(api: Api) -> None:
    await api.call("GET", "/ebms/messages/none@dso")
    await api.call("DELETE", "/cpas/CPA-1", user="kijker")
    denied, missing = await trail(api)
    assert (missing.action, missing.subject, missing.outcome) == (
        "message.fetch",
        "none@dso",
        AuditOutcome.REFUSED,
    )
    assert missing.detail == {"status": 404}
    assert (denied.actor, denied.action, denied.subject) == ("kijker", "cpa.withdraw", "CPA-1")
    assert denied.detail == {"status": 403}


async def test_failed_logins_are_kept_with_the_name_only_where_a_user_has_it(api: Api) -> None:
    for user, token in (("beheer", "wrong"), ("a token in the wrong field", "x")):
        login = aiohttp.encode_basic_auth(user, token, "utf-8")
        await api.call("GET", "/cpas", user=None, headers={"Authorization": login})
    assert [(one.kind, one.actor, one.outcome) for one in await trail(api)] == [
        (AuditKind.LOGIN, "unknown", AuditOutcome.REFUSED),
        (AuditKind.LOGIN, "beheer", AuditOutcome.REFUSED),
    ]
    assert "wrong field" not in str(api.logs)


async def test_a_user_who_asks_too_much_waits_and_others_do_not(
    api: Api, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    slow = api.config.model_copy(update={"admin": api.config.admin.model_copy(update={"rate": 1 / 60})})
    app = create_admin_app(
        health=Health({}, api.metrics), metrics=api.metrics, api=replace(api.parts, config=lambda: slow)
    )
    api.client = await aiohttp_client(app)
    assert (await api.call("GET", "/cpas", user="kijker")).status == 200
    response = await api.call("GET", "/cpas", user="kijker")
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert (await api.call("GET", "/cpas", user="stad")).status == 200
    refused = api.metrics.registry.get_sample_value("stam_adapter_refused_total", {"reason": "admin_rate"})
    assert refused == 1
