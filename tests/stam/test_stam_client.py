# SPDX-License-Identifier: EUPL-1.2

"""The client asks only where it may, streams, and says of every failure whether trying again can help."""

from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from adapter.stam import FetchProblem, VerzoekAfhandelen
from adapter.stam.strategies import MAX_REFERENCES
from adapter.store import Spool
from tests.stam.house import GEMEENTE, MakeClient
from tests.stam.scripted import Dso, download, problem_of


async def test_the_oin_goes_in_the_configured_header(make_client: MakeClient, dso: Dso) -> None:
    await make_client(dso.url, oin_header="X-OIN").find("1")
    assert dso.requests[0].headers["X-OIN"] == GEMEENTE


async def test_nothing_compressed_is_asked_for(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    await dso_client.find("1")
    assert dso.requests[0].headers["Accept-Encoding"] == "identity"


async def test_a_verzoeknummer_cannot_leave_its_place_in_the_path(
    dso: Dso, dso_client: VerzoekAfhandelen
) -> None:
    await dso_client.find("../../beheer?x=1#y")
    assert dso.requests[0].rel_url.raw_path == "/api/verzoeken/..%2F..%2Fbeheer%3Fx%3D1%23y"
    assert dso.requests[0].query_string == ""


@pytest.mark.parametrize("number", [".", "..", "..."])
async def test_a_verzoeknummer_of_dots_is_refused(
    dso: Dso, dso_client: VerzoekAfhandelen, number: str
) -> None:
    assert not (await problem_of(dso_client.find(number))).temporary
    assert dso.requests == []


async def test_the_template_may_put_the_number_in_the_query(make_client: MakeClient, dso: Dso) -> None:
    client = make_client(dso.url + "/", references="referenties?verzoeknummer={verzoeknummer}")
    await client.find("a&b")
    assert dso.requests[0].path == "/api/referenties"
    assert dso.requests[0].query["verzoeknummer"] == "a&b"


async def test_a_problem_document_is_in_the_reason(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(status=500, text='{"title": "Stuk", "detail": "even geduld"}')
    problem = await problem_of(dso_client.find("1"))
    assert "Stuk; even geduld" in problem.reason
    assert problem.temporary


async def test_the_body_of_an_error_is_read_up_to_a_bound(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(status=502, body=b"x" * 5_000_000)
    assert (await problem_of(dso_client.find("1"))).temporary


async def test_a_date_in_retry_after_is_honoured(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(status=429, headers={"Retry-After": "Tue, 02 Jan 2024 12:05:00 GMT"})
    assert (await problem_of(dso_client.find("1"))).after == timedelta(minutes=5)


async def test_a_verzoek_that_is_not_found_may_come_later(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(status=404)
    assert (await problem_of(dso_client.find("1"))).temporary


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_link_that_leads_nowhere_is_permanent(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool, status: int
) -> None:
    dso.gives(status=status)
    problem = await problem_of(download(dso_client, dso.url + "/d", spool))
    assert not problem.temporary
    assert str(status) in problem.reason


async def test_a_redirect_is_not_followed(dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool) -> None:
    dso.gives(status=302, headers={"Location": "/elders"})
    problem = await problem_of(download(dso_client, dso.url + "/d", spool))
    assert not problem.temporary
    assert len(dso.requests) == 1


async def test_references_without_end_are_refused(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(body=b" " * (MAX_REFERENCES + 1))
    assert "larger" in (await problem_of(dso_client.find("1"))).reason


async def test_references_that_are_no_json_are_permanent(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(text="{", content_type="application/json")
    assert not (await problem_of(dso_client.find("1"))).temporary


async def test_an_empty_answer_is_no_references(dso: Dso, dso_client: VerzoekAfhandelen) -> None:
    dso.gives(status=204)
    assert (await problem_of(dso_client.find("1"))).temporary


async def test_a_page_for_people_instead_of_a_document_is_temporary(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool
) -> None:
    dso.gives(body=b"<html>onderhoud</html>", headers={"Content-Type": "Text/HTML; charset=utf-8"})
    for asked in (dso_client.find("1"), download(dso_client, f"{dso.url}/d", spool)):
        with pytest.raises(FetchProblem, match="a page of HTML came instead") as failed:
            await asked
        assert failed.value.temporary
    page = await download(dso_client, f"{dso.url}/d", spool, may_be_page=True)
    assert page.content_type == "text/html"


async def test_a_download_gives_its_media_type(dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool) -> None:
    dso.gives(body=b"abc", headers={"Content-Type": "Application/PDF; x=y"})
    downloaded = await download(dso_client, dso.url + "/d", spool)
    assert (downloaded.content_type, downloaded.content.inline) == ("application/pdf", b"abc")


async def test_the_query_of_a_link_does_not_reach_the_reason(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool
) -> None:
    dso.gives(status=410)
    problem = await problem_of(download(dso_client, dso.url + "/d?sleutel=geheim", spool))
    assert "geheim" not in problem.reason


async def test_a_body_that_breaks_off_is_temporary(
    dso: Dso, dso_client: VerzoekAfhandelen, spool: Spool
) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return response

    dso.answer = half
    assert (await problem_of(download(dso_client, dso.url + "/d", spool))).temporary


async def test_a_server_that_is_not_there_is_temporary(make_client: MakeClient) -> None:
    client = make_client(f"http://127.0.0.1:{unused_port()}/api")
    assert (await problem_of(client.find("1"))).temporary


@pytest.mark.parametrize(
    "href",
    [
        "https://dso.example.evil.example/d",
        "https://evil.example/d",
        "https://dso.example@evil.example/d",
        "https://user@dso.example/d",
        "https://dso.example:8443/d",
        "http://dso.example/d",
        "ftp://dso.example/d",
        "file:///etc/passwd",
        "https:///d",
        "/d",
        "https://[::1/d",
        "https://dso.example:notaport/d",
    ],
)
async def test_a_link_elsewhere_is_refused(make_client: MakeClient, href: str) -> None:
    client = make_client("https://dso.example/api")
    with pytest.raises(FetchProblem) as caught:
        client.check(href)
    assert not caught.value.temporary


@pytest.mark.parametrize(
    "href",
    [
        "https://dso.example/d",
        "https://DSO.example:443/d",
        "https://files.example/d",
        "https://other.example:8443/d",
    ],
)
async def test_links_to_the_api_and_to_configured_hosts_are_followed(
    make_client: MakeClient, href: str
) -> None:
    client = make_client("https://dso.example:443/api", hosts=("files.example", "other.example:8443"))
    client.check(href)
