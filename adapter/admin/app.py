# SPDX-License-Identifier: EUPL-1.2

"""The web application of the admin listener, put together from its parts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from adapter.admin.answers import answer_errors, error_as_json, harden
from adapter.admin.calls import ApplicationApi
from adapter.admin.health import Health, ReadyCheck
from adapter.admin.links import FileLinks
from adapter.admin.rest import BASE, create_api_app
from adapter.observe import METRICS_CONTENT_TYPE, Metrics
from adapter.sinks import LINKS_PATH

__all__ = ["ReadyCheck", "create_admin_app"]

_MAX_BODY = 64 * 1024  # the API reads its bodies with limits of its own; nothing else takes one


def create_admin_app(
    *,
    checks: Mapping[str, ReadyCheck],
    metrics: Metrics,
    api: ApplicationApi | None = None,
    warnings: Callable[[], Sequence[str]] = tuple,
) -> web.Application:
    """The application: `GET /health/live`, `GET /health/ready` and `GET /metrics`, open to whoever reaches
    the listener; and, where its parts are given, the application API for the users of the configuration, and the files
    that sinks give signed links to.

    `checks` are asked for each `/health/ready`, all at once; their names are used in the log and for one that
    fails. `warnings` are said beside the answer, and change nothing about it. Raises ConfigProblem where the token of
    a user cannot be used.
    """
    app = web.Application(middlewares=[answer_errors(metrics, error_as_json)], client_max_size=_MAX_BODY)
    app.on_response_prepare.append(harden)
    health = Health(checks, metrics, warnings=warnings)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/metrics", _metrics_handler(metrics))
    if api is not None:
        app.router.add_get(f"{LINKS_PATH}{{token}}", FileLinks(api).get, allow_head=False)
        app.add_subapp(BASE, create_api_app(api))
    return app


def _metrics_handler(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": METRICS_CONTENT_TYPE})

    return show_metrics
