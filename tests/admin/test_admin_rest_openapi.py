# SPDX-License-Identifier: EUPL-1.2

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapter.admin.rest.openapi import describe
from adapter.admin.rest.routes import ROUTES
from tests.admin.house import API, Api, properties


async def test_the_description_has_every_route_and_no_other(api: Api) -> None:
    document = await api.json("/openapi.json", user="kijker")
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), API + path) for path, methods in document["paths"].items() for method in methods
    }
    app = api.client.server.app  # type: ignore[attr-defined]
    (sub,) = [r for r in app.router.resources() if isinstance(r, web.PrefixedSubAppResource)]
    served = {(route.method, _plain(route.resource.canonical)) for route in sub}
    assert served == described | {("GET", f"{API}/openapi.json")}


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", path)


def test_every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() -> None:
    document = describe(ROUTES, API)
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)
    for reference in _references(document):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for one in value.values() for found in _references(one)]
    return [found for one in value for found in _references(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_path_variable_is_described(route: Any) -> None:
    path = route.path.replace("*}", "}")
    parameters = describe([route], API)["paths"][path][route.method.lower()]["parameters"]
    named = {one["name"] for one in parameters if one["in"] == "path"}
    assert named == set(re.findall(r"\{(\w+)\}", path))


async def test_messages_have_the_properties_that_are_described(api: Api) -> None:
    await api.received("m1@dso", b"x", ref_to_message_id="m0@dso")
    document = await api.json("/openapi.json")
    schemas = document["components"]["schemas"]
    message = await api.json("/ebms/messages/m1@dso")
    assert set(message) == set(schemas["Message"]["properties"])
    assert set(message["properties"]) == set(schemas["MessageProperties"]["properties"])
    assert set(message["dataSources"][0]) == set(schemas["DataSource"]["properties"])
    assert message["properties"]["messageStatus"] in schemas["EbMSMessageStatus"]["enum"]
    (event,) = await api.json("/ebms/events/unprocessed")
    assert set(event) == set(schemas["MessageEvent"]["properties"])
    assert set(properties(api)) <= set(schemas["MessageRequestProperties"]["properties"])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_the_guide_has_an_example_of_every_route(route: Any) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "application-api.md").read_text()
    path = re.sub(r"\\\{source\\\*\\\}", r"https%3A\\S+", re.escape(route.path))
    path = re.sub(r"\\\{\w+\\\}", r"[\\w@:-]+", path)
    method = {"GET": r"(?!.* -X )(?!.* -d )(?!.* --data)(?!.* -F )", "POST": r"(?!.* -X (PUT|PATCH|DELETE))"}
    own = method.get(route.method, rf"(?=.* -X {route.method} )")
    assert re.search(rf"^{own}.*\$API{path}(?![\w/%])", guide, re.MULTILINE), route.path
