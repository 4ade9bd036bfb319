# SPDX-License-Identifier: EUPL-1.2

"""The simulated Verzoek afhandelen serves who is entitled, refuses the others, and fails as it is told."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, ClientSession, TCPConnector, web
from aiohttp.test_utils import TestClient, TestServer

from adapter.pki import KeyPair, ThrowawayPki, TrustStore, client_context, server_context
from adapter.simulator import (
    DEFAULT_BASE,
    ApiSettings,
    DocumentSpec,
    Faults,
    VerzoekAfhandelenApi,
    VerzoekSpec,
    make_verzoek,
)

GEMEENTE = "00000099000000001000"
DIENST = "00000099000000002000"
LEVERANCIER = "00000099000000009000"
NUMBER = "2023073100048"
ONE = f"{DEFAULT_BASE}/verzoeken/{NUMBER}"

type_client = TestClient[web.Request, web.Application]


@pytest.fixture
def api() -> VerzoekAfhandelenApi:
    api = VerzoekAfhandelenApi(ApiSettings(require_certificate=False), Faults())
    spec = VerzoekSpec(NUMBER, GEMEENTE, documents=(DocumentSpec("tekening.pdf", 300_000),))
    api.publish(make_verzoek(spec))
    return api


@pytest.fixture
async def client(api: VerzoekAfhandelenApi) -> AsyncIterator[type_client]:
    async with TestClient(TestServer(api.application())) as client:
        client.session.headers["OIN"] = GEMEENTE
        yield client


async def test_the_references_lead_to_every_file(api: VerzoekAfhandelenApi, client: type_client) -> None:
    async with client.get(ONE) as response:
        assert response.status == 200
        links = (await response.json(content_type="application/hal+json"))["_links"]
    (verzoek,) = api.verzoeken
    assert await (await client.session.get(links["verzoek"]["href"])).read() == verzoek.xml
    assert await (await client.session.get(links["pdf"]["href"])).read() == verzoek.pdf
    (link,) = links["document"]
    async with client.session.get(link["href"]) as response:
        data = await response.read()
        assert int(response.headers["Content-Length"]) == len(data) == 300_000
    assert hashlib.sha256(data).hexdigest() == verzoek.documents[0].content.sha256()


async def test_every_request_is_logged_with_its_oin(api: VerzoekAfhandelenApi, client: type_client) -> None:
    await client.get(ONE)
    assert api.requests == [("GET", ONE, GEMEENTE)]


async def test_an_unknown_verzoek_is_a_problem_document(client: type_client) -> None:
    async with client.get(f"{DEFAULT_BASE}/verzoeken/2023073199999") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        body = await response.json(content_type=None)
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert "2023073199999" in body["detail"]


async def test_an_unknown_path_is_a_problem_document(client: type_client) -> None:
    async with client.get(f"{DEFAULT_BASE}/nergens") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


async def test_a_verzoek_of_another_organisation_is_forbidden(client: type_client) -> None:
    async with client.get(ONE, headers={"OIN": DIENST}) as response:
        assert response.status == 403


async def test_without_the_oin_header_nothing_is_served(api: VerzoekAfhandelenApi) -> None:
    async with TestClient(TestServer(api.application())) as client, client.get(ONE) as response:
        assert response.status == 400


async def test_unavailable_counts_down(api: VerzoekAfhandelenApi, client: type_client) -> None:
    api.faults.unavailable = 2
    api.faults.retry_after = timedelta(seconds=7)
    answers = [await client.get(ONE) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"


async def test_a_cut_download_breaks_off_once(api: VerzoekAfhandelenApi, client: type_client) -> None:
    (document,) = api.verzoeken[0].documents
    api.faults.cut.add(document.document_id)
    path = f"{ONE}/documenten/{document.document_id}"
    with pytest.raises(ClientPayloadError):
        await (await client.get(path)).read()
    assert len(await (await client.get(path)).read()) == 300_000


async def test_a_lost_document_is_not_among_the_references(
    api: VerzoekAfhandelenApi, client: type_client
) -> None:
    api.faults.lose_documents.add(api.verzoeken[0].documents[0].document_id)
    body = await (await client.get(ONE)).json(content_type=None)
    assert body["_links"]["document"] == []


async def test_the_last_published_message_of_a_verzoek_is_served(
    api: VerzoekAfhandelenApi, client: type_client
) -> None:
    api.publish(make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, volgnummer="001", doel="Aanvullen")))
    body = await (await client.get(ONE)).json(content_type=None)
    assert body["volgnummer"] == "001"


async def test_an_earlier_message_is_served_to_who_asks_for_its_volgnummer(
    api: VerzoekAfhandelenApi, client: type_client
) -> None:
    (first,) = api.verzoeken
    api.publish(make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, volgnummer="001", doel="Aanvullen")))
    async with client.get(f"{ONE}?volgnummer=000") as response:
        links = (await response.json(content_type=None))["_links"]
    assert await (await client.session.get(links["verzoek"]["href"])).read() == first.xml
    assert len(links["document"]) == 1
    assert (await client.get(f"{ONE}?volgnummer=002")).status == 404


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


async def _status_over_tls(
    pki: ThrowawayPki, directory: Path, certificate_oin: str, header: str, settings: ApiSettings
) -> int:
    trust = TrustStore.from_files([pki.root_pem(directory / "root.pem")])
    server_keys: KeyPair = pki.issue("DSO-LV (simulator)", "00000099000000004000").key_pair(directory, "dso")
    client_keys = pki.issue("Klant", certificate_oin).key_pair(directory, "client")
    api = VerzoekAfhandelenApi(settings)
    api.publish(make_verzoek(VerzoekSpec(NUMBER, GEMEENTE)))
    server = TestServer(api.application(), scheme="https")
    await server.start_server(ssl=server_context(server_keys, trust))
    try:
        connector = TCPConnector(ssl=client_context(client_keys, trust))
        async with (
            ClientSession(connector=connector) as session,
            session.get(server.make_url(ONE), headers={"OIN": header}) as response,
        ):
            return response.status
    finally:
        await server.close()


async def test_a_certificate_may_fetch_for_its_own_oin(pki: ThrowawayPki, tmp_path: Path) -> None:
    assert await _status_over_tls(pki, tmp_path, GEMEENTE, GEMEENTE, ApiSettings()) == 200


async def test_a_supplier_on_the_whitelist_may_fetch_for_its_customer(
    pki: ThrowawayPki, tmp_path: Path
) -> None:
    settings = ApiSettings(whitelist={LEVERANCIER: frozenset({GEMEENTE})})
    assert await _status_over_tls(pki, tmp_path, LEVERANCIER, GEMEENTE, settings) == 200


async def test_a_supplier_that_is_not_on_the_whitelist_is_refused(pki: ThrowawayPki, tmp_path: Path) -> None:
    assert await _status_over_tls(pki, tmp_path, LEVERANCIER, GEMEENTE, ApiSettings()) == 403


async def test_plain_http_is_refused_where_a_certificate_is_required() -> None:
    api = VerzoekAfhandelenApi()
    async with (
        TestClient(TestServer(api.application())) as client,
        client.get(ONE, headers={"OIN": GEMEENTE}) as response,
    ):
        assert response.status == 401
