# SPDX-License-Identifier: EUPL-1.2

"""The OpenAPI document of the application API, made from the table of its routes."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from adapter.admin.rest.routes import PLAIN, Content, Route
from adapter.admin.rest.schemas import COMPONENTS, TEXT
from adapter.observe import installed_version

_VARIABLE = re.compile(r"\{(\w+)\*?\}")
_ALWAYS: Final = (401, 403, 429, 500)


def describe(routes: Iterable[Route], base: str) -> dict[str, Any]:
    """The document (OpenAPI 3.1) of these routes, served under `base`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path.replace("*}", "}"), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stam-adapter application API",
            "version": installed_version(),
            "description": "CPAs, mappings, messages and events; compatible with REST v19 of ebms-core.",
        },
        "servers": [{"url": base}],
        "security": [{"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Role: {route.role}.",
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": TEXT}
                for name in _VARIABLE.findall(route.path)
            ),
            *({"name": one.name, "in": "query", "schema": one.schema} for one in route.query),
        ],
        "responses": {**_success(route), **_errors(route)},
    }
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.takes)}
    return operation


def _success(route: Route) -> dict[str, Any]:
    if route.returns is None:
        return {"204": {"description": "Done."}}
    return {"200": {"description": "Done.", "content": _content(route.returns)}}


def _errors(route: Route) -> dict[str, Any]:
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": _content((PLAIN, TEXT))}
        for status in sorted({*_ALWAYS, *route.refuses})
    }


def _content(content: Content) -> dict[str, Any]:
    media_type, schema = content
    return {media_type: {"schema": schema}}
