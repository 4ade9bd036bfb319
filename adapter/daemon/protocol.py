# SPDX-License-Identifier: EUPL-1.2

"""What is no HTTP: answered with its status and nothing else, and logged in one line.

The library would answer with its name and version and with what was sent, and log a trace for each.
"""

from aiohttp import web

from adapter.observe import Metrics, get_logger

log = get_logger(__name__)


class _Protocol(web.RequestHandler):
    """One connection."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may say what was sent
    ) -> web.StreamResponse:
        """Answer what did not reach the application, and close the connection."""
        server = self._manager
        if isinstance(server, _Server):
            server.refuse(request, status, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        response = web.Response(status=status, headers={"Server": "http"})
        response.force_close()
        return response


class _Server(web.Server):
    """Makes a protocol for each connection of a listener, in the place of the server of the library."""

    def __init__(self, plain: web.Server, name: str, metrics: Metrics) -> None:
        super().__init__(
            plain.request_handler,
            request_factory=plain.request_factory,
            handler_cancellation=plain.handler_cancellation,
            loop=plain._loop,
            **plain._kwargs,
        )
        self._name = name
        self._refused = metrics.refused_total

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def refuse(self, request: web.BaseRequest, status: int, problem: BaseException | None) -> None:
        """Count and log a request that is none."""
        self._refused.labels(reason="no_http").inc()
        log.warning(
            f"request answered with HTTP {status}",
            action="request.refused",
            reason="no_http",
            listener=self._name,
            detail=type(problem).__name__,
            status=status,
            peer_address=request.remote or "",
        )


class Runner(web.AppRunner):
    """Runs an application behind a listener with this name."""

    __slots__ = ("_metrics", "_name")

    def __init__(self, app: web.Application, name: str, metrics: Metrics, **options: object) -> None:
        super().__init__(app, **options)  # type: ignore[arg-type]  # they are those of the library
        self._name = name
        self._metrics = metrics

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._name, self._metrics)
