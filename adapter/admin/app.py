# SPDX-License-Identifier: EUPL-1.2

"""The web application of the admin listener, put together from its parts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from adapter.admin.answers import answer_errors, error_as_json, harden
from adapter.admin.auth import load_users
from adapter.admin.budget import Budget
from adapter.admin.calls import ApplicationApi
from adapter.admin.endings import Ending
from adapter.admin.guard import Gate
from adapter.admin.health import Health
from adapter.admin.links import FileLinks
from adapter.admin.pages import Live, StatusPage, add_pages, error_for_people, make_site, read_theme
from adapter.admin.rest import BASE, create_api_app
from adapter.observe import METRICS_CONTENT_TYPE, Metrics
from adapter.sinks import LINKS_PATH

_MAX_BODY = 64 * 1024  # the API reads its bodies with limits of its own; forms are smaller than this


def create_admin_app(
    *,
    health: Health,
    metrics: Metrics,
    api: ApplicationApi | None = None,
    endings: Callable[[], Sequence[Ending]] = tuple,
    live: Live | None = None,
) -> web.Application:
    """The application: `GET /health/live`, `GET /health/ready` and `GET /metrics`, open to whoever reaches
    the listener; and, where its parts are given, the status page and the application API for the users of the
    configuration, and the files that sinks give signed links to.

    `endings` is what the status page shows of what ends one day, and `live` tells open pages of changes, while its
    `watch` runs. Raises ConfigProblem where the token of a user, or the house style, cannot be used.
    """
    if api is None:
        app = web.Application(middlewares=[answer_errors(metrics, error_as_json)], client_max_size=_MAX_BODY)
    else:
        theme = api.config().admin.theme
        status = StatusPage(
            health,
            live or Live(api.db),
            endings=endings,
            theme=read_theme(theme) if theme is not None else None,
        )
        app = _create_app_for_users(api, status)
    app.on_response_prepare.append(harden)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/metrics", _metrics_handler(metrics))
    return app


def _create_app_for_users(api: ApplicationApi, status: StatusPage) -> web.Application:
    """The application with what users and those with a link may ask."""
    config = api.config()
    gate = Gate(
        load_users(config.admin.users, strict=config.environment.guards_keys), Budget(config.admin.rate)
    )
    site = make_site(api, status)
    errors = answer_errors(api.metrics, error_for_people(site))
    app = web.Application(middlewares=[errors], client_max_size=_MAX_BODY)
    app.router.add_get(f"{LINKS_PATH}{{token}}", FileLinks(api).get, allow_head=False)
    app.add_subapp(BASE, create_api_app(api, gate))
    add_pages(app, site, gate)
    return app


def _metrics_handler(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show_metrics(_request: web.Request) -> web.Response:
        # with hundreds of authorities it takes longer than anybody should wait for
        body = await asyncio.to_thread(metrics.render)
        return web.Response(body=body, headers={"Content-Type": METRICS_CONTENT_TYPE})

    return show_metrics
