# SPDX-License-Identifier: EUPL-1.2

"""The application API, put together: its routes behind the guard, and its description."""

import re
from typing import Final

from aiohttp import web

from adapter.admin.answers import answer_errors, error_as_text
from adapter.admin.calls import ApplicationApi, Call
from adapter.admin.guard import Answer, Gate, guarded, identify
from adapter.admin.rest.openapi import describe
from adapter.admin.rest.routes import ROUTES, Route
from adapter.config import Role

BASE: Final = "/service/rest/v19"
"""Where the API is served: the path of the reference adapter."""

DESCRIPTION: Final = "/openapi.json"

_VARIABLE = re.compile(r"\{(\w+)(\*?)\}")


def create_api_app(api: ApplicationApi, gate: Gate) -> web.Application:
    """The API as an application of its own, to be added under `BASE`."""
    app = web.Application(middlewares=[answer_errors(api.metrics, error_as_text), identify(api, gate)])
    for route in ROUTES:
        app.router.add_route(route.method, _pattern(route), guarded(route.role, route.audited, route.answer))
    app.router.add_route("GET", DESCRIPTION, guarded(Role.LOOK, None, _describing()))
    return app


def _describing() -> Answer:
    document = describe(ROUTES, BASE)

    async def answer(_call: Call) -> web.StreamResponse:
        return web.json_response(document)

    return answer


def _pattern(route: Route) -> str:
    """The path for the router: a variable takes anything but a slash, which its value has escaped."""
    return _VARIABLE.sub(
        lambda match: f"{{{match[1]}:.+}}" if match[2] else f"{{{match[1]}:[^/]+}}", route.path
    )
