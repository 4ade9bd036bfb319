# SPDX-License-Identifier: EUPL-1.2

"""nginx and HAProxy before a daemon, each with its example of config/proxy: what passes, and what nobody gets past."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from adapter.pki import client_context
from tests.msh.conftest import Open
from tests.msh.handed_over import TLS, haproxy, pem
from tests.msh.house import PATIENCE, House, Made, Part, Request, wrap
from tests.proxies import ADDRESS, Proxy, start_proxy

FORMS = {
    "nginx": '[ebms.proxy]\nform = "nginx"\n',
    "haproxy": '[ebms.proxy]\nform = "haproxy"\nchain_header = "X-SSL-Client-Chain"\n',
}


@dataclass
class Proxied:
    """A daemon behind a real proxy."""

    house: House
    proxy: Proxy

    async def post(
        self, request: Request, keys: str | None, port: int | None = None, path: str = "/ebms"
    ) -> tuple[int, bytes]:
        """Send a request to the proxy, or past it to the port of the daemon."""
        scheme = "https" if port is None else "http"
        url = f"{scheme}://localhost:{port or self.proxy.port}{path}"
        session = self.house._session(keys)
        async with (
            asyncio.timeout(PATIENCE),
            session.post(url, headers=request.headers, data=io.BytesIO(request.body)) as response,
        ):
            return response.status, await response.read()

    async def is_accepted(self, made: Made, extra: Mapping[str, str] | None = None) -> bool:
        """Whether a message of the partner goes through the proxy, and is answered."""
        self.house.announce(made)
        request = wrap(made)
        status, _ = await self.post(Request({**request.headers, **(extra or {})}, request.body), "dso")
        return status == 204 and (await self.house.answer(made)).problems == ()

    async def send_raw(self, octets: bytes, keys: str) -> bytes:
        """Send octets to the proxy over TLS; the first line of what it answers."""
        context = client_context(self.house.keys[keys], self.house.world.trust)
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                "localhost", self.proxy.port, ssl=context, server_hostname="localhost"
            )
            writer.write(octets)
            try:
                return await reader.readline()
            finally:
                writer.transport.abort()

    def forged(self) -> str:
        """What the proxy would hand over for DSO-LV."""
        write = pem if self.proxy.name == "nginx" else haproxy
        return write(self.house.keys["dso"].certificate)


@pytest.fixture(params=["nginx", "haproxy"])
async def proxied(
    request: pytest.FixtureRequest,
    open_house: Open,
    authorities: dict[str, str],
    tmp_path: Path,
) -> AsyncIterator[Proxied]:
    name: str = request.param
    house = await open_house(
        replacing={TLS: ""},
        extra=FORMS[name],
        environ=authorities | {"STAM_ADAPTER__EBMS__TRUSTED_PROXIES": f'["{ADDRESS}"]'},
    )
    world = house.world
    issued = world.pki.issue("proxy", None)
    proxy = await asyncio.to_thread(
        start_proxy, name, tmp_path / name, issued, world.directory / "tls" / "root.pem", world.ports.adapter
    )
    yield Proxied(house, proxy)
    await house.hang_up()
    await asyncio.to_thread(proxy.stop)


async def test_a_message_goes_through_and_the_log_knows_its_address(proxied: Proxied) -> None:
    assert await proxied.is_accepted(proxied.house.draft().make())
    request = wrap(proxied.house.draft().make())
    assert await proxied.post(request, "stranger") == (403, b"")
    (line,) = proxied.house.lines("peer.refused")
    assert line["peer"] == f"00000099000000004000 at 127.0.0.1 behind {ADDRESS}"


async def test_a_large_message_goes_through(proxied: Proxied) -> None:
    assert await proxied.is_accepted(proxied.house.draft(parts=[Part(bytes(3_000_000))]).make())


async def test_who_shows_no_certificate_does_not_get_past_the_proxy(proxied: Proxied) -> None:
    try:
        status, _ = await proxied.post(wrap(proxied.house.draft().make()), None)
    except aiohttp.ClientConnectionError:
        status = 400
    assert status == 400
    assert proxied.house.lines("peer.refused") == []


async def test_another_path_does_not_get_past_the_proxy(proxied: Proxied) -> None:
    status, _ = await proxied.post(Request({}, b""), "dso", path="/other")
    assert status == 404
    assert proxied.house.lines("request.refused") == []


async def test_attack_forged_header_through_the_proxy(proxied: Proxied) -> None:
    """It writes its own in the place of it, whoever sends it and however it is spelled."""
    house = proxied.house
    for name in ("X-SSL-Client-Cert", "x-ssl-client-cert", "X_SSL_Client_Cert", "X-SSL_Client-Cert"):
        request = wrap(house.draft().make())
        forged = Request({**request.headers, name: proxied.forged()}, request.body)
        assert await proxied.post(forged, "stranger") == (403, b"")
    assert await house.received() == 0
    assert await proxied.is_accepted(house.draft().make(), {"X-SSL-Client-Cert": "garbage"})


async def test_attack_forged_address_through_the_proxy(proxied: Proxied) -> None:
    request = wrap(proxied.house.draft().make())
    forged = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    assert (await proxied.post(Request({**request.headers, **forged}, request.body), "stranger"))[0] == 403
    assert " at 127.0.0.1 behind " in proxied.house.lines("peer.refused")[0]["peer"]


async def test_attack_spoofed_header_past_the_proxy(proxied: Proxied) -> None:
    house = proxied.house
    request = wrap(house.draft().make())
    forged = Request({**request.headers, proxied.proxy.header: proxied.forged()}, request.body)
    assert await proxied.post(forged, None, port=house.world.ports.adapter) == (403, b"")
    assert house.refused("not_a_proxy") == 1
    assert await house.received() == 0


SMUGGLED = {
    "CL.TE": "Content-Length: {whole}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "TE.CL": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{inner}\r\n0\r\n\r\n",
    "TE.CL of nothing": "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{inner}\r\n0\r\n\r\n",
    "CL.CL": "Content-Length: {whole}\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}",
    "CL.0": "Content-Length: +{whole}\r\n\r\n0\r\n\r\n{inner}",
    "TE space": "Content-Length: {whole}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}",
    "TE tab": "Content-Length: {whole}\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n{inner}",
    "TE other": "Content-Length: {whole}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}",
    "TE twice": (
        "Content-Length: {whole}\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
    ),
    "TE list": "Content-Length: {whole}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}",
    "TE quoted": 'Content-Length: {whole}\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n{inner}',
    "TE folded": "Content-Length: {whole}\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{inner}",
    "TE bare LF": "Content-Length: {whole}\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "TE underscore": "Content-Length: {whole}\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunk extension": "Transfer-Encoding: chunked\r\n\r\n0;a=\n\r\n\r\n{inner}",
    "chunk size overflow": "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{inner}\r\n0\r\n\r\n",
    "trailer": "Transfer-Encoding: chunked\r\n\r\n0\r\nX-SSL-Client-Cert: {forged}\r\n\r\n",
}


@pytest.mark.parametrize("trick", SMUGGLED)
async def test_attack_request_smuggling(trick: str, proxied: Proxied) -> None:
    """A message of the partner in the body of a stranger's request, with the header of the proxy, stays a body."""
    house = proxied.house
    stolen = wrap(house.draft().make())
    fields = {
        **stolen.headers,
        "Host": "localhost",
        proxied.proxy.header: proxied.forged(),
        "Content-Length": str(len(stolen.body)),
    }
    head = "POST /ebms HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    inner = head + "\r\n" + stolen.body.decode("latin-1")
    outer = SMUGGLED[trick].format(
        whole=len(inner) + 5, size=len(inner), inner=inner, forged=proxied.forged()
    )
    start = 'POST /ebms HTTP/1.1\r\nHost: localhost\r\nSOAPAction: "ebXML"\r\nContent-Type: text/xml\r\n'
    line = await proxied.send_raw((start + outer).encode("latin-1"), "stranger")
    assert line == b"" or line.split()[1] in {b"400", b"403", b"422", b"501"}
    # on the connections that the proxy keeps, the next one is answered for what it sent itself
    assert await proxied.is_accepted(house.draft().make())
    assert await house.received() == 1
