# SPDX-License-Identifier: EUPL-1.2

"""The files of a verzoek are found at addresses made after a pattern as well as by references, all the same to whoever
collects.
"""

from collections.abc import Callable

import pytest
from aiohttp.test_utils import TestServer

from adapter.simulator import DEFAULT_BASE, DocumentSpec, SimulatedVerzoek, VerzoekAfhandelenApi
from adapter.stam import DirectPaths, VerzoekAfhandelen
from adapter.store import DeliveryState, Done, FileKind, Park, Retry
from tests.stam.house import NUMBER, House, MakeClient, a_verzoek
from tests.stam.scripted import Dso, problem_of

ONE = f"{DEFAULT_BASE}/verzoeken/{NUMBER}"
DOCUMENT = "/verzoeken/{verzoeknummer}/documenten/{documentId}"
DOCUMENTS = (DocumentSpec("plattegrond.pdf", 3000), DocumentSpec("foto.png", 2000, "image/png"))

Direct = Callable[..., VerzoekAfhandelen]


@pytest.fixture
def direct(house: House, make_client: MakeClient, server: TestServer) -> Direct:
    """Lets the house fetch directly, at these paths."""

    def fetch(**paths: str) -> VerzoekAfhandelen:
        house.client = make_client(str(server.make_url(DEFAULT_BASE)), direct=DirectPaths(**paths))
        return house.client

    return fetch


@pytest.fixture
def verzoek(api: VerzoekAfhandelenApi) -> SimulatedVerzoek:
    verzoek = a_verzoek(*DOCUMENTS)
    api.publish(verzoek)
    return verzoek


async def test_a_verzoek_is_collected_without_references(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek, direct: Direct
) -> None:
    direct(pdf="/verzoeken/{verzoeknummer}/pdf", document=DOCUMENT)
    outcome, row_id = await house.collect()
    assert outcome == Done(already_finished=True)
    assert (await house.delivery(row_id)).state is DeliveryState.READY
    assert api.requests[0].path == f"{ONE}/samenvatting"
    assert ONE not in {request.path for request in api.requests}
    files = await house.files(row_id)
    assert list(files) == ["verzoek.xml", "verzoek.pdf", "bijlagen/plattegrond.pdf", "bijlagen/foto.png"]
    assert await house.read(files["verzoek.xml"]) == verzoek.xml
    assert await house.read(files["verzoek.pdf"]) == verzoek.pdf
    for file, document in zip(list(files.values())[2:], verzoek.documents, strict=True):
        assert file.content is not None
        assert (file.content.sha256, file.document_id) == (document.content.sha256(), document.document_id)


async def test_both_strategies_make_the_same_of_a_verzoek(
    house: House, verzoek: SimulatedVerzoek, direct: Direct
) -> None:
    await house.collect()
    direct(pdf="/verzoeken/{verzoeknummer}/pdf", document=DOCUMENT)
    _, second = await house.collect()
    assert (await house.delivery(second)).state is DeliveryState.REPEATED


async def test_without_a_pattern_for_it_there_is_no_pdf(
    house: House, verzoek: SimulatedVerzoek, direct: Direct
) -> None:
    direct(document=DOCUMENT)
    _, row_id = await house.collect()
    assert FileKind.PDF not in {file.kind for file in (await house.files(row_id)).values()}


async def test_documents_without_a_pattern_are_not_forgotten(
    house: House, verzoek: SimulatedVerzoek, direct: Direct
) -> None:
    direct()
    outcome, _ = await house.collect()
    assert isinstance(outcome, Park)
    assert "2 documents" in outcome.reason
    assert "[authorities.….dso.direct] document" in outcome.reason


async def test_a_verzoek_without_documents_needs_no_pattern_for_them(
    house: House, api: VerzoekAfhandelenApi, direct: Direct
) -> None:
    api.publish(a_verzoek())
    direct()
    assert (await house.collect())[0] == Done(already_finished=True)


@pytest.mark.parametrize("number", [NUMBER, "2023073100049"])
async def test_what_is_not_found_may_come_later(
    house: House, verzoek: SimulatedVerzoek, direct: Direct, number: str
) -> None:
    direct(document="/nergens/{documentId}")
    outcome, _ = await house.collect(number)
    assert isinstance(outcome, Retry)
    assert "404" in outcome.reason


async def test_another_verzoek_than_was_asked_for_is_parked(
    house: House, api: VerzoekAfhandelenApi, direct: Direct
) -> None:
    api._verzoeken[NUMBER] = a_verzoek(verzoeknummer="2023073100049")
    direct()
    assert isinstance((await house.collect())[0], Park)


PATH = "/v/{verzoeknummer}/{volgnummer}"


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"references": PATH}, "/api/v/12/003"),
        ({"references": "/v/{verzoeknummer}?volgnummer={volgnummer}"}, "/api/v/12?volgnummer=003"),
        ({"references": "/v/{verzoeknummer}", "parameters": (("versie", "a b"),)}, "/api/v/12?versie=a+b"),
        (
            {"references": "/v/{verzoeknummer}?x=1", "parameters": (("y", "2"), ("z", "&"))},
            "/api/v/12?x=1&y=2&z=%26",
        ),
    ],
)
async def test_the_address_of_the_references_follows_its_pattern(
    dso: Dso, make_client: MakeClient, settings: dict[str, object], path: str
) -> None:
    await make_client(dso.url, **settings).find("12", "003")
    assert dso.requests[0].rel_url.raw_path_qs == path


async def test_the_parameters_go_with_a_search_and_a_direct_address_too(
    dso: Dso, make_client: MakeClient
) -> None:
    settings = {"parameters": (("versie", "2"),), "direct": DirectPaths("/x/{verzoeknummer}/{volgnummer}")}
    client = make_client(dso.url, **settings)
    found = await client.find("a/b", "003")
    assert found.verzoek is not None
    assert found.verzoek.address == f"{dso.url}/x/a%2Fb/003?versie=2"
    await client.search(b"{}", {"page": "1"}, {}, "searching")
    assert dso.requests[0].rel_url.raw_path_qs == "/api/verzoeken/_zoek?versie=2&page=1"


@pytest.mark.parametrize("settings", [{"references": PATH}, {"direct": DirectPaths(PATH)}])
async def test_a_volgnummer_that_nobody_announced_is_not_made_up(
    dso: Dso, make_client: MakeClient, settings: dict[str, object]
) -> None:
    problem = await problem_of(make_client(dso.url, **settings).find("12"))
    assert not problem.temporary
    assert "leave {volgnummer} out" in problem.reason
    assert dso.requests == []


async def test_the_volgnummer_that_was_announced_is_asked_for(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek, direct: Direct
) -> None:
    direct(verzoek="/verzoeken/{verzoeknummer}/samenvatting?volgnummer={volgnummer}", document=DOCUMENT)
    asked = (await house.collect(announced="000"))[0], (await house.collect())[0]
    assert asked[0] == Done(already_finished=True)
    assert isinstance(asked[1], Park)


async def test_a_number_cannot_become_another_placeholder(dso: Dso, make_client: MakeClient) -> None:
    await make_client(dso.url, references=PATH).find("{volgnummer}", "003")
    assert dso.requests[0].rel_url.raw_path == "/api/v/%7Bvolgnummer%7D/003"
