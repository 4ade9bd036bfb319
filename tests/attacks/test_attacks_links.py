# SPDX-License-Identifier: EUPL-1.2

"""Attacks by the links in an answer of Verzoek afhandelen, by name: the adapter asks nobody it was not told to ask."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.net import ForbiddenHost, HttpClient
from adapter.pki import TrustStore
from adapter.stam import FetchProblem
from tests.stam.conftest import make_client
from tests.stam.house import MakeClient

__all__ = ["make_client"]

BASE = "https://dso.example/api"

LINKS = {
    "a file": "file:///etc/passwd",
    "a file with our host": "file://dso.example/etc/passwd",
    "another scheme": "gopher://dso.example/x",
    "inline data": "data:text/plain,x",
    "this machine": "https://127.0.0.1/x",
    "this machine, short": "https://127.1/x",
    "this machine as one number": "https://2130706433/x",
    "this machine in octal": "https://0177.0.0.1/x",
    "this machine in hexadecimal": "https://0x7f000001/x",
    "this machine as nothing": "https://0.0.0.0/x",
    "this machine in IPv6": "https://[::1]/x",
    "this machine in IPv6 around IPv4": "https://[::ffff:127.0.0.1]/x",
    "this machine by name": "https://localhost/x",
    "the metadata of a cloud": "https://169.254.169.254/latest/meta-data/",
    "a private network": "https://10.0.0.1/x",
    "link-local IPv6": "https://[fe80::1]/x",
    "an allowed host as user": "https://dso.example@evil.example/x",
    "a user before an allowed host": "https://user:pw@dso.example/x",
    "an empty user before an allowed host": "https://@dso.example/x",
    "another port of an allowed host": "https://dso.example:8443/x",
    "port zero": "https://dso.example:0/x",
    "an allowed host as subdomain": "https://dso.example.evil.example/x",
    "an allowed host as end of another": "https://evildso.example/x",
    "a backslash before another host": "https://evil.example\\@dso.example/x",
    "a backslash after an allowed host": "https://dso.example\\.evil.example/x",
    "a NUL behind an allowed host": "https://dso.example\0.evil.example/x",
    "a line break behind an allowed host": "https://dso.example\r\n.evil.example/x",
    "letters that look alike": "https://dsо.example/x",
    "no scheme and another host": "//evil.example/x",
    "plain HTTP": "http://dso.example/x",
}


@pytest.mark.parametrize("attack", LINKS)
async def test_a_link_of_an_attack_is_refused(make_client: MakeClient, attack: str) -> None:
    with pytest.raises(FetchProblem) as caught:
        make_client(BASE).check(LINKS[attack])
    assert not caught.value.temporary
    assert str(caught.value).isprintable()


@pytest.fixture
async def asked() -> AsyncIterator[list[str]]:
    """Paths that a server that is nobody's business was asked for; its port is first."""
    paths: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(text="secret")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    paths.append(str(server.port))
    yield paths
    await server.close()


async def served(*answers: web.Response) -> TestServer:
    left = list(answers)

    async def handle(_: web.Request) -> web.Response:
        return left.pop(0)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_references_with_one_link_elsewhere_are_refused_as_a_whole(
    make_client: MakeClient, asked: list[str]
) -> None:
    links = {"verzoek": {"href": "/own"}, "document": {"href": f"http://127.0.0.1:{asked[0]}/x"}}
    server = await served(web.json_response({"_links": links}))
    with pytest.raises(FetchProblem, match="not where Verzoek afhandelen is"):
        await make_client(str(server.make_url("/api"))).find("1")
    await server.close()
    assert len(asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_elsewhere_is_not_followed(
    make_client: MakeClient, asked: list[str], status: int
) -> None:
    headers = {"Location": f"http://127.0.0.1:{asked[0]}/x"}
    server = await served(web.Response(status=status, headers=headers))
    with pytest.raises(FetchProblem, match="redirects are not followed"):
        await make_client(str(server.make_url("/api"))).find("1")
    await server.close()
    assert len(asked) == 1


async def test_a_refresh_header_or_a_link_header_is_not_followed(
    make_client: MakeClient, asked: list[str]
) -> None:
    elsewhere = f"http://127.0.0.1:{asked[0]}/x"
    headers = {"Refresh": f"0; url={elsewhere}", "Link": f"<{elsewhere}>; rel=verzoek"}
    server = await served(web.json_response({"_links": {}}, headers=headers))
    assert (await make_client(str(server.make_url("/api"))).find("1")).links == ()
    await server.close()
    assert len(asked) == 1


async def test_a_host_that_is_allowed_is_so_by_its_name_and_not_by_its_address(asked: list[str]) -> None:
    """An address that some allowed name stands for is not allowed by that: names are what certificates are for."""
    async with HttpClient(
        None, TrustStore.from_files([]), None, frozenset({"localhost"}), allow_plain=True
    ) as http:
        with pytest.raises(ForbiddenHost):
            async with http.request("GET", f"http://127.0.0.1:{asked[0]}/x"):
                pass
    assert len(asked) == 1
