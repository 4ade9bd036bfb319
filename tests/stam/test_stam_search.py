# SPDX-License-Identifier: EUPL-1.2

"""Searching asks as it is told, reads hits from any JSON, and takes only those of our OIN."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.config import AreaForm, Paging, SearchRequestConfig, SearchResponseConfig
from adapter.simulator import DEFAULT_BASE, VerzoekAfhandelenApi, VerzoekSpec, make_verzoek, verzoeknummer
from adapter.stam import (
    FetchProblem,
    Hit,
    Question,
    SearchResult,
    SearchSettings,
    VerzoekAfhandelen,
    VerzoekZoeken,
)
from adapter.stam import search as search_module
from tests.stam.house import GEMEENTE, NOW, NUMBER, MakeClient

DIENST = "00000099000000002000"
ELDERS = "00000099000000003000"
AREA = ((154000.0, 462000.0), (156000.0, 462000.0), (156000.0, 464000.0), (154000.0, 462000.0))
NOTHING = {"_embedded": {"verzoeken": []}, "_links": {"self": {"href": "/"}}}


def a_hit(number: str = NUMBER, oin: str = GEMEENTE, **more: object) -> dict[str, object]:
    return {"verzoeknummer": number, "bevoegdGezag": {"oin": oin}, **more}


def a_question(**changes: object) -> Question:
    values: dict[str, object] = {"since": NOW - timedelta(days=7), "until": NOW, "area": AREA, **changes}
    return Question(**values)  # type: ignore[arg-type]


@dataclass
class Dso:
    """Answers each page with the next of `pages`, the last one again and again, and remembers what was asked."""

    pages: list[object] = field(default_factory=lambda: [NOTHING])
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[object] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.bodies.append(json.loads(await request.read()))
        page = self.pages[min(len(self.asked), len(self.pages)) - 1]
        if isinstance(page, int):
            return web.json_response({"title": "Nee"}, status=page)
        text = page if isinstance(page, str) else json.dumps(page)
        return web.Response(text=text, status=self.status, headers=self.headers)


@pytest.fixture
async def dso() -> AsyncIterator[Dso]:
    dso = Dso()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", dso.handle)
    server = TestServer(app)
    await server.start_server()
    dso.url = str(server.make_url("/api"))
    yield dso
    await server.close()


@pytest.fixture
def zoeken(dso: Dso, make_client: MakeClient) -> Callable[..., VerzoekZoeken]:
    def make(size: int = 50, response: SearchResponseConfig | None = None, **names: object) -> VerzoekZoeken:
        request = SearchRequestConfig(**names)  # type: ignore[arg-type]
        settings = SearchSettings(size, request, response or SearchResponseConfig())
        return VerzoekZoeken(make_client(dso.url), settings)

    return make


Zoeken = Callable[..., VerzoekZoeken]


async def found(dso: Dso, zoeken: VerzoekZoeken, *pages: object) -> SearchResult:
    dso.pages = list(pages)
    return await zoeken.search(a_question())


async def problem_of(zoeken: VerzoekZoeken) -> FetchProblem:
    with pytest.raises(FetchProblem) as caught:
        await zoeken.search(a_question())
    return caught.value


async def test_a_question_is_posted_with_area_days_page_and_oin(dso: Dso, zoeken: Zoeken) -> None:
    await zoeken(size=25).search(a_question())
    (request,) = dso.asked
    assert (request.method, request.path) == ("POST", "/api/verzoeken/_zoek")
    assert dict(request.query) == {"page": "1", "pageSize": "25"}
    assert request.headers["OIN"] == GEMEENTE
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Content-Crs"] == "epsg:28992"
    assert dso.bodies == [
        {
            "_geo": {
                "intersects": {"type": "Polygon", "coordinates": [[list(corner) for corner in AREA]]},
            },
            "datumVanaf": "2023-12-26",
            "datumTot": "2024-01-02",
        }
    ]


async def test_a_question_for_one_verzoek_has_its_number_and_no_area(dso: Dso, zoeken: Zoeken) -> None:
    await zoeken().search(a_question(area=None, verzoeknummer=NUMBER))
    assert dso.bodies == [{"verzoeknummer": NUMBER, "datumVanaf": "2023-12-26", "datumTot": "2024-01-02"}]
    assert "Content-Crs" not in dso.asked[0].headers


async def test_every_word_of_the_question_can_be_another(dso: Dso, zoeken: Zoeken) -> None:
    words = zoeken(
        area="zoekgebied.wkt",
        area_form=AreaForm.WKT,
        crs_header="",
        since="periode.van",
        until="periode.tot",
        dates="%d-%m-%Y",
        page="pagina",
        page_size="aantal",
        first_page=0,
        paging=Paging.BODY,
    )
    await words.search(a_question())
    assert dso.asked[0].query_string == ""
    assert "Content-Crs" not in dso.asked[0].headers
    wkt = "POLYGON((154000.0 462000.0, 156000.0 462000.0, 156000.0 464000.0, 154000.0 462000.0))"
    assert dso.bodies == [
        {
            "zoekgebied": {"wkt": wkt},
            "periode": {"van": "26-12-2023", "tot": "02-01-2024"},
            "pagina": 0,
            "aantal": 50,
        }
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [a_hit()],
        {"_embedded": {"verzoeken": [a_hit()]}},
        {"verzoeknummer": NUMBER, "_embedded": {"verzoekreferenties": [a_hit()]}},
        {"items": {"lijst": [{"verzoek": a_hit()}]}},
        {"resultaat": [{"Verzoeknummer": int(NUMBER), "bevoegdgezagoin": f"urn:osb:oin:{GEMEENTE}"}]},
    ],
    ids=["a plain list", "HAL", "HAL with an echo", "nested", "numbers, letter case and a URN"],
)
async def test_hits_are_found_wherever_they_stand(dso: Dso, zoeken: Zoeken, answer: object) -> None:
    result = await found(dso, zoeken(), answer)
    assert result == SearchResult((Hit(NUMBER, bevoegd_gezag=GEMEENTE),))


async def test_everything_a_hit_says_is_read(dso: Dso, zoeken: Zoeken) -> None:
    one = a_hit(oin=ELDERS, volgnummer="001", doel="Aanvullen", behandeldienst={"oin": GEMEENTE})
    result = await found(dso, zoeken(), [one])
    assert result.hits == (Hit(NUMBER, "001", "Aanvullen", ELDERS, GEMEENTE),)


async def test_the_words_of_the_answer_can_be_others(dso: Dso, zoeken: Zoeken) -> None:
    names = SearchResponseConfig(verzoeknummer=("kenmerk.nummer",), bevoegd_gezag=("bg",))
    result = await found(dso, zoeken(response=names), [{"kenmerk": {"nummer": NUMBER}, "bg": GEMEENTE}])
    assert result.hits == (Hit(NUMBER, bevoegd_gezag=GEMEENTE),)


async def test_hits_of_others_are_left_alone_and_counted(dso: Dso, zoeken: Zoeken) -> None:
    others = [a_hit("1", ELDERS), a_hit("2", ELDERS, behandeldienst={"oin": DIENST})]
    ours = a_hit("3", ELDERS, behandeldienst={"oin": GEMEENTE})
    result = await found(dso, zoeken(), [*others, ours])
    assert [hit.verzoeknummer for hit in result.hits] == ["3"]
    assert result.foreign == 2


async def test_a_hit_without_oin_or_with_an_impossible_number_is_left_alone(dso: Dso, zoeken: Zoeken) -> None:
    bad = [{"verzoeknummer": "1"}, a_hit("1\n2"), a_hit("9" * 101), a_hit("..")]
    result = await found(dso, zoeken(), bad)
    assert (result.hits, result.unusable) == ((), 4)


async def test_pages_are_asked_for_until_the_links_end(dso: Dso, zoeken: Zoeken) -> None:
    first = {"_embedded": {"v": [a_hit("1")]}, "_links": {"next": {"href": "elsewhere"}}}
    last = {"_embedded": {"v": [a_hit("2")]}, "_links": {"self": {"href": "/"}}}
    result = await found(dso, zoeken(), first, last)
    assert [hit.verzoeknummer for hit in result.hits] == ["1", "2"]
    assert [request.query["page"] for request in dso.asked] == ["1", "2"]


async def test_pages_without_links_are_asked_for_until_one_is_empty(dso: Dso, zoeken: Zoeken) -> None:
    # a short page does not say that it is the last: the server may have a limit of its own
    result = await found(dso, zoeken(), [a_hit("1"), a_hit("2")], [a_hit("3")], [])
    assert [hit.verzoeknummer for hit in result.hits] == ["1", "2", "3"]
    assert len(dso.asked) == 3


async def test_a_full_page_is_not_taken_for_the_last(dso: Dso, zoeken: Zoeken) -> None:
    links = {"self": {"href": "/"}}
    pages = [{"_embedded": {"v": [a_hit(number)]}, "_links": links} for number in "12"]
    result = await found(dso, zoeken(size=1), *pages, NOTHING)
    assert len(result.hits) == 2


async def test_a_server_that_does_not_page_is_asked_twice_and_no_more(dso: Dso, zoeken: Zoeken) -> None:
    result = await found(dso, zoeken(), [a_hit(), a_hit()])
    assert len(result.hits) == 1
    assert len(dso.asked) == 2


async def test_a_page_behind_the_last_may_be_not_found(dso: Dso, zoeken: Zoeken) -> None:
    assert len((await found(dso, zoeken(), [a_hit()], 404)).hits) == 1


async def test_pages_without_end_are_cut_off_and_said_to_be(
    dso: Dso, zoeken: Zoeken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_PAGES", 3)
    result = await found(dso, zoeken(), *([a_hit(str(number))] for number in range(1, 9)))
    assert len(result.hits) == 3
    assert not result.complete


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<html>", "not readable JSON"),
        ('"leeg"', "no JSON object or list"),
        ([{"kenmerk": NUMBER}], "none with verzoeknummer"),
        ({"_embedded": {"v": [{"nummer": 1}]}}, "reconcile.response"),
        ("[" * 50 + "]" * 50, "nested deeper"),
        ("[" * 200_000, "not readable JSON"),
    ],
    ids=["HTML", "text", "other names", "other names in HAL", "deep", "very deep"],
)
async def test_an_answer_that_cannot_be_used_is_a_permanent_problem(
    dso: Dso, zoeken: Zoeken, answer: object, said: str
) -> None:
    dso.pages = [answer]
    problem = await problem_of(zoeken())
    assert said in problem.reason
    assert not problem.temporary


@pytest.mark.parametrize(
    ("status", "temporary"), [(400, False), (401, True), (403, True), (404, False), (429, True), (503, True)]
)
async def test_an_error_is_judged_as_when_fetching(
    dso: Dso, zoeken: Zoeken, status: int, temporary: bool
) -> None:
    dso.status, dso.pages, dso.headers = status, [{"title": "Nee"}], {"Retry-After": "90"}
    problem = await problem_of(zoeken())
    assert problem.temporary is temporary
    assert problem.after == (timedelta(seconds=90) if temporary else None)
    assert f"page 1: HTTP {status}" in problem.reason
    assert "Nee" in problem.reason


async def test_the_simulated_dso_finds_what_lies_there_of_whomever_it_is(
    api: VerzoekAfhandelenApi, client: VerzoekAfhandelen
) -> None:
    for number, oin in enumerate((GEMEENTE, ELDERS, GEMEENTE, GEMEENTE), start=1):
        api.publish(make_verzoek(VerzoekSpec(verzoeknummer(NOW.date(), number), oin)))
    api.publish(make_verzoek(VerzoekSpec(NUMBER, GEMEENTE)))  # of half a year before
    zoeken = VerzoekZoeken(client, SearchSettings(page_size=2))
    box = ((150e3, 460e3), (160e3, 460e3), (160e3, 468e3), (150e3, 468e3), (150e3, 460e3))
    result = await zoeken.search(a_question(area=box))
    assert [hit.verzoeknummer[-1] for hit in result.hits] == ["1", "3", "4"]
    assert result.foreign == 1
    assert {(request.method, request.path) for request in api.requests} == {
        ("POST", f"{DEFAULT_BASE}/verzoeken/_zoek")
    }
    far = tuple((x - 50e3, y) for x, y in box)
    assert (await zoeken.search(a_question(area=far))).hits == ()
    one = await zoeken.search(a_question(area=None, verzoeknummer=result.hits[1].verzoeknummer))
    assert one.hits == result.hits[1:2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"area": "gebied"}, "_geo.intersects"),
        ({"dates": "%Y%m"}, "datumVanaf"),
        ({"crs": "epsg:4258"}, "Content-Crs"),
        ({"first_page": 0}, "page"),
    ],
)
async def test_the_simulated_dso_says_what_is_wrong_with_a_question(
    client: VerzoekAfhandelen, names: dict[str, object], said: str
) -> None:
    zoeken = VerzoekZoeken(client, SearchSettings(request=SearchRequestConfig(**names)))  # type: ignore[arg-type]
    problem = await problem_of(zoeken)
    assert "HTTP 400" in problem.reason
    assert said in problem.reason
