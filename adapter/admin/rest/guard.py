"""What stands before every call of the application API: who calls, and whether the role allows it."""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from adapter.admin.auth import CHALLENGES, NotAuthenticated, Users
from adapter.admin.logins import FailedLogins, is_cross_site
from adapter.admin.rest.api import ApplicationApi, Call, Refused
from adapter.config import Role
from adapter.net import Networks, address_of
from adapter.observe import get_logger

log = get_logger(__name__)

_CALL: Final = web.RequestKey("call", Call)

Answer = Callable[[Call], Awaitable[web.StreamResponse]]
"""Handles a call of a user whose role allows it. Raises Refused."""


def identify(api: ApplicationApi, users: Users, failed: FailedLogins) -> Middleware:
    """A middleware that lets nobody through but the users."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        now = api.clock()
        address = address_of(request, Networks(api.config().admin.trusted_proxies))
        wait = failed.wait(address, now)
        if wait is not None:
            return web.Response(
                status=429,
                text="too many failed logins; wait",
                headers={hdrs.RETRY_AFTER: str(ceil(wait.total_seconds()))},
            )
        if is_cross_site(request):
            log.warning("a call from another site", action="admin.cross_site", address=address)
            return web.Response(status=403, text="not from another site")
        try:
            user = users.authenticate(request.headers.get(hdrs.AUTHORIZATION))
        except NotAuthenticated as problem:
            failed.note(address, now)
            api.metrics.refused_total.labels(reason="admin_login").inc()
            log.warning("a login failed", action="admin.login_failed", address=address, reason=str(problem))
            return _challenge()
        if user is None:
            return _challenge()
        failed.forget(address)
        request[_CALL] = Call(api, request, user, address, user.scope(api.authorities()))
        return await handler(request)

    return middleware


def guarded(role: Role, answer: Answer) -> Handler:
    """The handler of a route for which a role is needed; what is refused is answered as text."""

    async def handler(request: web.Request) -> web.StreamResponse:
        call = request[_CALL]
        try:
            require(call, role)
            return await answer(call)
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text)

    return handler


def require(call: Call, role: Role) -> None:
    """Raises Refused (403) where the user's role does not allow what is asked."""
    if not call.user.may(role):
        log.warning(
            "a user asked for more than the role allows",
            action="admin.denied",
            user=call.user.name,
            address=call.address,
            role=call.user.role,
            needed=role,
            path=call.request.path,
        )
        raise Refused(403, f"this needs the role {role}")


def _challenge() -> web.Response:
    response = web.Response(status=401, text="log in")
    for challenge in CHALLENGES:
        response.headers.add(hdrs.WWW_AUTHENTICATE, challenge)
    return response
