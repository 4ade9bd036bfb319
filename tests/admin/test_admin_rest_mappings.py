# SPDX-License-Identifier: EUPL-1.2

from typing import Any

import pytest
from yarl import URL

from adapter.store import list_certificate_overrides, list_endpoint_overrides
from tests.admin.house import Api, certificate

SOURCE = "https://dso.example:8443/ebms/in?a=b"
JSON = {"source": SOURCE, "destination": "https://proxy.example/ebms"}


async def test_a_url_mapping_is_set_for_every_authority_of_the_user_and_listed_once(api: Api) -> None:
    assert (await api.call("POST", "/urlMappings", json=JSON)).status == 204
    assert await api.json("/urlMappings") == [JSON]
    rows = await api.db.read(list_endpoint_overrides)
    assert [row.authority for row in rows] == ["dorp", "stad"]
    assert api.audits() == [("beheer", "url_mapping.put", SOURCE)]


@pytest.mark.parametrize(
    "path",
    [
        SOURCE,
        "https%3A%2F%2Fdso.example%3A8443%2Febms%2Fin%3Fa%3Db",
        "https:%2F%2Fdso.example:8443/ebms/in?a=b",
    ],
)
async def test_a_url_mapping_is_removed_by_its_url_as_it_is_or_escaped(api: Api, path: str) -> None:
    await api.call("POST", "/urlMappings", json=JSON)
    url = URL(str(api.client.make_url("/service/rest/v19/urlMappings/")) + path, encoded=True)
    headers = {"Authorization": "Bearer the-token-of-beheer"}
    response = await api.client.session.delete(url, headers=headers)
    assert response.status == 204
    assert await api.json("/urlMappings") == []
    assert (await api.client.session.delete(url, headers=headers)).status == 404


async def test_a_mapping_without_destination_is_removed(api: Api) -> None:
    await api.call("POST", "/urlMappings", json=JSON)
    for _ in range(2):
        response = await api.call("POST", "/urlMappings", json={"source": SOURCE, "destination": ""})
        assert response.status == 204
    assert await api.json("/urlMappings") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"source": 1, "destination": "http://b.nl"},
        {"source": "", "destination": "http://b.nl"},
        {"source": "ftp://a.nl", "destination": "http://b.nl"},
        {"source": "http://a.nl", "destination": "b"},
        {"source": "http://a.nl", "destination": "http://"},
        {"source": "http://a.nl", "destination": "http://b.nl:99999/"},
        {"source": "http://a.nl", "destination": "http://user:secret@b.nl/"},
        {"source": "http://a.nl", "destination": "http://b.nl/a b\r\nc"},
        {"source": "http://a.nl", "destination": "file:///etc/passwd"},
    ],
)
async def test_a_url_mapping_that_is_none_is_a_bad_request(api: Api, body: Any) -> None:
    response = await api.call("POST", "/urlMappings", json=body)
    assert response.status == 400
    assert await api.json("/urlMappings") == []


async def test_a_certificate_mapping_is_set_listed_and_removed(api: Api) -> None:
    source, destination = certificate(api, "stad"), certificate(api, "dorp")
    cpa_id = api.authority("stad").cpa_id
    for body in (
        {"source": source, "destination": destination},
        {"source": source, "destination": source, "cpaId": cpa_id},
    ):
        assert (await api.call("POST", "/certificateMappings", json=body)).status == 204
    assert await api.json("/certificateMappings") == [
        {"source": source, "destination": destination, "cpaId": ""},
        {"source": source, "destination": source, "cpaId": cpa_id},
    ]
    text = {"Content-Type": "text/plain"}
    for query, left in ((f"?cpaId={cpa_id}", 1), ("", 0)):
        response = await api.call("DELETE", f"/certificateMappings{query}", data=source, headers=text)
        assert response.status == 204
        assert len(await api.json("/certificateMappings")) == left
        response = await api.call("DELETE", f"/certificateMappings{query}", data=source, headers=text)
        assert response.status == 404
    assert await api.db.read(list_certificate_overrides) == ()
    assert [did for _, did, _ in api.audits()] == ["certificate_mapping.put"] * 2 + [
        "certificate_mapping.delete"
    ] * 2


@pytest.mark.parametrize("text", ["", "!", "bm90IGEgY2VydGlmaWNhdGU="])
async def test_what_is_no_certificate_is_a_bad_request(api: Api, text: str) -> None:
    good = certificate(api, "stad")
    for body in ({"source": text, "destination": good}, {"source": good, "destination": text}):
        assert (await api.call("POST", "/certificateMappings", json=body)).status == 400
    response = await api.call(
        "DELETE", "/certificateMappings", data=text, headers={"Content-Type": "text/plain"}
    )
    assert response.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30000])
async def test_what_is_no_json_is_a_bad_request(api: Api, body: bytes) -> None:
    response = await api.call("POST", "/urlMappings", data=body, headers={"Content-Type": "application/json"})
    assert response.status == 400
