# SPDX-License-Identifier: EUPL-1.2

"""What stands before every call of the application API and every page: who calls, and whether the role allows it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from cryptography import x509

from adapter.admin.auth import CHALLENGES, NotAuthenticated, Users, name_in
from adapter.admin.budget import Budget
from adapter.admin.calls import ApplicationApi, Audited, Call, Refused
from adapter.admin.logins import FailedLogins, is_cross_site
from adapter.config import Role
from adapter.net import Networks, address_of
from adapter.observe import get_logger
from adapter.pki import peer_certificate
from adapter.store import (
    AuditEntry,
    AuditKind,
    AuditOutcome,
    AuditVia,
    StoreClosed,
    StoreUnavailable,
    add_audit,
)

log = get_logger(__name__)

_CALL: Final = web.RequestKey("call", Call)

_SUBJECTS: Final = ("messageId", "cpaId", "source", "verzoeknummer", "lane")
"""The variables of paths that name what a call is about."""

Answer = Callable[[Call], Awaitable[web.StreamResponse]]
"""Handles a call of a user whose role allows it. Raises Refused."""

Refusal = Callable[[web.Request, int, str], web.Response]
"""Makes the answer to a request that is refused, from its status and a text for the caller."""


def refused_as_text(_request: web.Request, status: int, text: str) -> web.Response:
    """A refusal for software."""
    return web.Response(status=status, text=text)


@dataclass(slots=True)
class Gate:
    """What is remembered of those who came: failed logins, and how much each user asked."""

    users: Users
    requests: Budget
    failed: FailedLogins = field(default_factory=FailedLogins)
    noted: Budget = field(default_factory=lambda: Budget(1.0))
    """Failed logins that the audit trail gets: a flood of them must not fill the store. Every one is in the log."""


def identify(
    api: ApplicationApi,
    gate: Gate,
    refuse: Refusal = refused_as_text,
    is_foreign: Callable[[web.BaseRequest], bool] = is_cross_site,
) -> Middleware:
    """A middleware that lets nobody through but the users, and no request that `is_foreign`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        now = api.clock()
        address = address_of(request, Networks(api.config().admin.trusted_proxies))
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        name = _known_name(gate.users, authorization)
        if (wait := gate.failed.wait(address, name, now)) is not None:
            return _too_many(refuse(request, 429, "too many failed logins; wait"), wait)
        if is_foreign(request):
            api.metrics.refused_total.labels(reason="admin_cross_site").inc()
            log.warning("a call from another site", action="admin.cross_site", address=address)
            return refuse(request, 403, "not from another site")
        try:
            user = gate.users.authenticate(authorization, _certificate(request))
        except NotAuthenticated as problem:
            gate.failed.note(address, name, now)
            await _note_failed(api, gate, address, name, str(problem))
            return _challenge(refuse(request, 401, "log in"))
        if user is None:
            return _challenge(refuse(request, 401, "log in"))
        gate.failed.succeeded(address, user.name)
        if (wait := gate.requests.take(user.name, now)) is not None:
            api.metrics.refused_total.labels(reason="admin_rate").inc()
            return _too_many(refuse(request, 429, "too many requests; wait"), wait)
        request[_CALL] = Call(api, request, user, address, user.scope(api.authorities(), Role.LOOK))
        return await handler(request)

    return middleware


def guarded(
    role: Role, audited: Audited | None, answer: Answer, refuse: Refusal = refused_as_text
) -> Handler:
    """The handler of a route for which a role is needed: the one place where roles are looked at.

    The call gets the authorities for which the user has the role; who has it for none is refused. What is refused is
    in the audit trail.
    """

    async def handler(request: web.Request) -> web.StreamResponse:
        given = request[_CALL]
        call = replace(given, scope=given.user.scope(given.api.authorities(), role), audited=audited)
        try:
            require(call, role)
            return await answer(call)
        except Refused as refused:
            if audited is not None or refused.status == HTTPStatus.FORBIDDEN:
                await call.audit(_unsuccessful(call, AuditOutcome.REFUSED, refused.status))
            return refuse(request, refused.status, refused.text)
        except (StoreUnavailable, StoreClosed):
            raise  # the trail is where the store is
        except Exception:
            if audited is not None:
                await call.audit(_unsuccessful(call, AuditOutcome.FAILED, 500))
            raise

    return handler


def caller(request: web.Request) -> Call | None:
    """The call of the user who makes a request; None before somebody was let through."""
    return request.get(_CALL)


def require(call: Call, role: Role) -> None:
    """Raises Refused (403) where the user's role does not allow what is asked, for any authority."""
    if not call.user.may(role):
        call.denied()
        raise Refused(403, f"this needs the role {role}")


def _unsuccessful(call: Call, outcome: AuditOutcome, status: int) -> AuditEntry:
    """What was asked, by the variable in the path: a body may hold anything."""
    path = call.request.match_info
    subject = next((path[name] for name in _SUBJECTS if path.get(name)), None)
    return call.entry(subject, outcome=outcome, status=status)


async def _note_failed(api: ApplicationApi, gate: Gate, address: str, name: str | None, reason: str) -> None:
    api.metrics.refused_total.labels(reason="admin_login").inc()
    log.warning("a login failed", action="admin.login_failed", address=address, user=name, reason=reason)
    now = api.clock()
    if gate.noted.take("logins", now) is None:
        # a name that no user has may be a token in the wrong field
        entry = AuditEntry(
            now,
            name or "unknown",
            AuditVia.ADMIN,
            address,
            AuditKind.LOGIN,
            "login",
            outcome=AuditOutcome.REFUSED,
        )
        await api.db.write(add_audit, entry)


def _known_name(users: Users, authorization: str | None) -> str | None:
    """The name in a header of HTTP basic, where a user has it."""
    name = name_in(authorization)
    return name if users.has(name) else None


def _certificate(request: web.Request) -> x509.Certificate | None:
    """What the caller showed in the TLS handshake."""
    transport = request.transport
    return peer_certificate(transport.get_extra_info("ssl_object")) if transport is not None else None


def _too_many(response: web.Response, wait: timedelta) -> web.Response:
    response.headers[hdrs.RETRY_AFTER] = str(ceil(wait.total_seconds()))
    return response


def _challenge(response: web.Response) -> web.Response:
    for challenge in CHALLENGES:
        response.headers.add(hdrs.WWW_AUTHENTICATE, challenge)
    return response
