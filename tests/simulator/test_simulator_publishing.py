# SPDX-License-Identifier: EUPL-1.2

"""The simulated API CPA aanbieden refuses what any such API must refuse."""

import base64
import json
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from adapter.simulator import (
    CPA_BASE,
    AgreementPlan,
    ApiSettings,
    VerzoekAfhandelenApi,
    World,
    create_world,
)

HEADERS = {"Content-Type": "application/xml"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return create_world(tmp_path_factory.mktemp("world"), {"voorbeeldstad": AgreementPlan()})


@pytest.fixture
def api() -> VerzoekAfhandelenApi:
    return VerzoekAfhandelenApi(ApiSettings(require_certificate=False))


@pytest.fixture
async def client(api: VerzoekAfhandelenApi, aiohttp_client: Any, world: World) -> TestClient[Any, Any]:
    return await aiohttp_client(api.application(), headers={"OIN": world.authorities[0].oin})


@pytest.fixture
def cpa(world: World) -> bytes:
    return world.authorities[0].cpa_path.read_bytes()


async def test_a_cpa_is_taken_once_and_a_changed_one_in_its_place(
    client: TestClient[Any, Any], api: VerzoekAfhandelenApi, cpa: bytes, world: World
) -> None:
    statuses = []
    for document in (cpa, cpa, cpa + b"\n"):
        async with client.post(f"{CPA_BASE}/cpas", data=document, headers=HEADERS) as response:
            statuses.append(response.status)
    assert statuses == [201, 409, 200]
    assert api.cpas.cpas == {world.authorities[0].cpa_id: cpa + b"\n"}


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"<no/>", "application/xml", 400),
        (b"no", "application/xml", 400),
        (b"{}", "application/json", 400),
        (json.dumps({"cpa": "?"}).encode(), "application/json", 400),
        (json.dumps({"cpa": base64.b64encode(b"<no/>").decode()}).encode(), "application/json", 400),
        (b"x", "text/plain", 415),
    ],
)
async def test_what_is_no_cpa_is_refused_with_a_problem_document(
    client: TestClient[Any, Any], data: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    async with client.post(f"{CPA_BASE}/cpas", data=data, headers=headers) as response:
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert (await response.json())["detail"]


async def test_a_form_without_the_file_is_refused(client: TestClient[Any, Any]) -> None:
    form = FormData({"ander": "x"}, default_to_multipart=True)
    async with client.post(f"{CPA_BASE}/cpas", data=form) as response:
        assert response.status == 400


async def test_a_cpa_of_others_is_refused(client: TestClient[Any, Any], cpa: bytes) -> None:
    headers = {**HEADERS, "OIN": "00000099000000008000"}
    async with client.post(f"{CPA_BASE}/cpas", data=cpa, headers=headers) as response:
        assert response.status == 422
        assert "is no party" in (await response.json())["detail"]


async def test_an_address_that_names_another_cpa_is_refused(client: TestClient[Any, Any], cpa: bytes) -> None:
    async with client.put(f"{CPA_BASE}/cpas/CPA-9", data=cpa, headers=HEADERS) as response:
        assert response.status == 400


async def test_it_refuses_as_it_is_told(
    client: TestClient[Any, Any], api: VerzoekAfhandelenApi, cpa: bytes
) -> None:
    api.cpas.refusal = (HTTPStatus.FORBIDDEN, "Nee.")
    async with client.post(f"{CPA_BASE}/cpas", data=cpa, headers=HEADERS) as response:
        assert (response.status, (await response.json())["detail"]) == (403, "Nee.")
