"""What all answers of the admin listener have in common: security headers, no banner, and errors as small
JSON.
"""

from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from adapter.observe import Metrics, get_logger

log = get_logger(__name__)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Adds the security headers a handler did not set itself, and hides which server software this is."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall(hdrs.SERVER, None)


def answer_errors(metrics: Metrics) -> Middleware:
    """A middleware that answers every error as `{"error": …}`; of an unexpected one the detail stays in the
    log.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPError as error:
            # 405 says in Allow what is possible; the text of aiohttp would repeat the path.
            kept = {str(name): error.headers[name] for name in (hdrs.ALLOW,) if name in error.headers}
            return _error(error.status, kept)
        except web.HTTPException:
            raise
        except Exception:
            # Whatever a handler did not foresee must not show its innards to the caller.
            log.exception(
                "could not answer a request on the admin listener", action="admin.failed", path=request.path
            )
            metrics.unexpected_errors_total.labels(kind="admin").inc()
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, {})

    return middleware


def _error(status: int, headers: dict[str, str]) -> web.Response:
    return web.json_response({"error": HTTPStatus(status).phrase.lower()}, status=status, headers=headers)
