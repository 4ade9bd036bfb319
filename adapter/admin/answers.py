# SPDX-License-Identifier: EUPL-1.2

"""What all answers of the admin listener have in common: security headers, no banner, and errors that show nothing."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from adapter.observe import Metrics, get_logger
from adapter.store import SpoolUnavailable, StoreUnavailable

log = get_logger(__name__)

ErrorForm = Callable[[web.Request, int, Mapping[str, str]], web.Response]
"""Makes the answer to an error, from the request, its status and the headers to keep."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_HSTS: Final = "max-age=31536000"


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the security headers a handler did not set itself, and hides which server software this is."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure:
        response.headers.setdefault("Strict-Transport-Security", _HSTS)
    response.headers.popall(hdrs.SERVER, None)


def answer_errors(metrics: Metrics, form: ErrorForm) -> Middleware:
    """A middleware that answers every error in this form; of an unexpected one the detail stays in the log."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPError as error:
            # 405 says in Allow what is possible; the text of aiohttp would repeat the path.
            kept = {str(name): error.headers[name] for name in (hdrs.ALLOW,) if name in error.headers}
            return form(request, error.status, kept)
        except web.HTTPException:
            raise
        except (StoreUnavailable, SpoolUnavailable) as problem:
            log.warning(
                "a request on the admin listener cannot be answered now",
                action="admin.unavailable",
                path=request.path,
                reason=str(problem),
            )
            return form(request, HTTPStatus.SERVICE_UNAVAILABLE, {})
        except Exception:
            # Whatever a handler did not foresee must not show its innards to the caller.
            note_unexpected(metrics, request, "could not answer a request on the admin listener")
            return form(request, HTTPStatus.INTERNAL_SERVER_ERROR, {})

    return middleware


def note_unexpected(metrics: Metrics, request: web.Request, event: str) -> None:
    """Log and count the exception that is being handled, which nobody foresaw."""
    log.exception(event, action="admin.failed", path=request.path)
    metrics.unexpected_errors_total.labels(kind="admin").inc()


def error_as_json(_request: web.Request, status: int, headers: Mapping[str, str]) -> web.Response:
    """An error as `{"error": …}`."""
    return web.json_response({"error": _phrase(status)}, status=status, headers=headers)


def error_as_text(_request: web.Request, status: int, headers: Mapping[str, str]) -> web.Response:
    """An error as plain text."""
    return web.Response(text=_phrase(status), status=status, headers=headers)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase.lower()
