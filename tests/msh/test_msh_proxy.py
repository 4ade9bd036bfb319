# SPDX-License-Identifier: EUPL-1.2

"""TLS that ends at a proxy: whose certificate counts, from whom, and every way to pretend."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from adapter.pki import KeyPair, ThrowawayPki
from adapter.simulator import DSO_OIN
from tests.msh.conftest import Open
from tests.msh.handed_over import TLS, der64, haproxy, pem, rfc9440
from tests.msh.house import House, Request, wrap

PROXY = {"STAM_ADAPTER__EBMS__TRUSTED_PROXIES": '["127.0.0.1", "::1"]'}
ELSEWHERE = {"STAM_ADAPTER__EBMS__TRUSTED_PROXIES": '["192.0.2.1"]'}
CHAIN = 'chain_header = "X-Chain"\n'


@pytest.fixture
def open_proxied(open_house: Open) -> Open:
    """A daemon that speaks plain HTTP with a proxy on this machine; `proxy` is its table [ebms.proxy]."""

    async def start(proxy: str = CHAIN, environ: Mapping[str, str] = PROXY, **options: object) -> House:
        extra = f"[ebms.proxy]\n{proxy}" if proxy else ""
        return await open_house(replacing={TLS: ""}, extra=extra, environ=environ, **options)

    return start


async def ask(
    house: House, headers: Mapping[str, str], *, scheme: str = "http", keys: str | None = None
) -> int:
    """Send a message as a proxy, or as who pretends to be one; the status of the answer."""
    made = house.draft().make()
    house.announce(made)
    request = wrap(made)
    sent = Request({**request.headers, **headers}, request.body)
    response = await house.post(sent, scheme=scheme, keys=keys)
    if response.status == 403:
        assert response.body == b""
        await house.assert_nothing_kept()
    else:
        assert (await house.answer(made)).problems == ()
    return response.status


def handed(house: House, name: str = "dso") -> dict[str, str]:
    """What a proxy hands over in the form of RFC 9440."""
    pair = house.keys[name]
    return {"Client-Cert": rfc9440(pair.certificate), "X-Chain": rfc9440(*pair.chain)}


async def refused(house: House, headers: Mapping[str, str], reason: str) -> str:
    """Assert that a request is refused for a reason; what the log says of it."""
    assert await ask(house, headers) == 403
    assert house.refused(reason) == 1
    (line,) = house.lines("peer.refused")
    assert line["reason"] == reason
    return str(line["detail"])


@pytest.mark.parametrize(
    ("proxy", "header", "encode", "chain"),
    [
        (CHAIN, "Client-Cert", rfc9440, rfc9440),
        ('form = "nginx"\n' + CHAIN, "X-SSL-Client-Cert", pem, pem),
        ('form = "haproxy"\n' + CHAIN, "X-SSL-Client-Cert", haproxy, haproxy),
        ('form = "haproxy"\nheader = "X-Cert"\n' + CHAIN, "X-Cert", haproxy, haproxy),
    ],
)
async def test_a_certificate_in_a_header_of_a_trusted_proxy_is_that_of_the_peer(
    proxy: str,
    header: str,
    encode: Callable[..., str],
    chain: Callable[..., str],
    open_proxied: Open,
) -> None:
    house = await open_proxied(proxy)
    pair = house.keys["dso"]
    headers = {header: encode(pair.certificate), "X-Chain": chain(*pair.chain)}
    assert await ask(house, headers) == 204


@pytest.mark.parametrize("escape", [str, quote])
async def test_traefik_hands_over_the_chain_in_the_same_header(
    escape: Callable[[str], str], open_proxied: Open
) -> None:
    house = await open_proxied('form = "traefik"\n')
    pair = house.keys["dso"]
    value = ",".join(escape(der64(one)) for one in (pair.certificate, *pair.chain))
    assert await ask(house, {"X-Forwarded-Tls-Client-Cert": value}) == 204


async def test_nginx_hands_over_no_chain_and_the_configured_authorities_complete_it(
    open_proxied: Open, authorities: dict[str, str]
) -> None:
    house = await open_proxied('form = "nginx"\n', PROXY | authorities)
    assert await ask(house, {"X-SSL-Client-Cert": pem(house.keys["dso"].certificate)}) == 204


async def test_a_proxy_without_a_table_of_its_own_is_one_of_rfc_9440(
    open_proxied: Open, authorities: dict[str, str]
) -> None:
    house = await open_proxied("", PROXY | authorities)
    assert await ask(house, {"Client-Cert": rfc9440(house.keys["dso"].certificate)}) == 204


async def test_a_chain_that_is_not_complete_is_not_believed(open_proxied: Open) -> None:
    """The proxy may have verified it; we cannot."""
    house = await open_proxied("")
    detail = await refused(house, {"Client-Cert": rfc9440(house.keys["dso"].certificate)}, "peer_not_trusted")
    assert "neither configured under [trust] nor sent along" in detail


async def test_who_is_no_partner_is_refused_behind_a_proxy_too(open_proxied: Open) -> None:
    house = await open_proxied()
    detail = await refused(house, handed(house, "stranger"), "peer_unknown")
    assert "00000099000000004000 at 127.0.0.1" in detail


async def test_a_proxy_that_hands_over_nothing_is_refused(open_proxied: Open) -> None:
    house = await open_proxied()
    assert "is there 0 times" in await refused(house, {}, "proxy_header")


async def test_an_empty_header_is_refused(open_proxied: Open) -> None:
    """What HAProxy and nginx write for who showed no certificate."""
    house = await open_proxied()
    assert "or empty" in await refused(house, {"Client-Cert": ""}, "proxy_header")


async def test_a_certificate_in_a_header_does_not_count_on_any_path_or_method(open_proxied: Open) -> None:
    house = await open_proxied()
    for method, path in (("GET", "/ebms"), ("GET", "/"), ("POST", "/other")):
        response = await house.post(Request({}, b""), scheme="http", method=method, path=path)
        assert (response.status, response.body) == (403, b"")
    response = await house.post(Request(handed(house), b""), scheme="http", method="GET")
    assert (response.status, response.headers["Allow"]) == (405, "POST")


# --- attacks


async def test_attack_header_from_an_untrusted_address(open_proxied: Open) -> None:
    house = await open_proxied(environ=ELSEWHERE)
    assert "not in ebms.trusted_proxies" in await refused(house, handed(house), "not_a_proxy")


async def test_attack_header_from_an_untrusted_address_over_tls(open_house: Open) -> None:
    """With TLS here, the handshake says who it is, and the header nothing."""
    house = await open_house(environ=ELSEWHERE)
    made = house.draft().make()
    request = wrap(made)
    forged = Request({**request.headers, **handed(house)}, request.body)
    assert (await house.post(forged, keys="stranger")).status == 403
    assert house.lines("peer.refused")[0]["peer"].startswith("00000099000000004000 at")
    forged = Request({**request.headers, **handed(house, "stranger")}, request.body)
    house.announce(made)
    assert (await house.post(forged, keys="dso")).status == 204


async def test_attack_a_forwarded_address_that_claims_to_be_a_proxy(open_proxied: Open) -> None:
    house = await open_proxied(environ=ELSEWHERE)
    headers = handed(house) | {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    await refused(house, headers, "not_a_proxy")


async def send_raw(house: House, head: str, body: bytes = b"", after: str = "") -> bytes:
    """Send octets as they are; the status line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.world.ports.adapter)
    writer.write(head.replace("\n", "\r\n").encode() + body + after.replace("\n", "\r\n").encode())
    async with asyncio.timeout(15):
        line = await reader.readline()
    writer.close()
    return line


async def test_attack_two_headers(open_proxied: Open) -> None:
    """One of the proxy and one of the peer: nobody can say which is which."""
    house = await open_proxied()
    one, other = (rfc9440(house.keys[name].certificate) for name in ("dso", "stranger"))
    for values in ((one, other), (one, one)):
        twice = "".join(f"client-cert: {value}\n" for value in values)
        head = f"POST /ebms HTTP/1.1\nHost: localhost\n{twice}Content-Length: 0\n\n"
        assert (await send_raw(house, head)).startswith(b"HTTP/1.1 403 ")
    assert house.refused("proxy_header") == 2


async def test_attack_two_certificates_in_one_header(open_proxied: Open) -> None:
    house = await open_proxied()
    both = rfc9440(house.keys["dso"].certificate, house.keys["stranger"].certificate)
    assert "several certificates" in await refused(house, {"Client-Cert": both}, "proxy_header")


async def test_attack_pem_with_two_certificates(open_proxied: Open) -> None:
    house = await open_proxied('form = "nginx"\n' + CHAIN)
    both = pem(house.keys["stranger"].certificate, house.keys["dso"].certificate)
    assert "several certificates" in await refused(house, {"X-SSL-Client-Cert": both}, "proxy_header")


async def test_attack_two_chain_headers(open_proxied: Open) -> None:
    house = await open_proxied()
    (name, leaf), (_, chain) = handed(house).items()
    twice = f"{name}: {leaf}\nX-Chain: {chain}\nX-Chain: {chain}\n"
    head = f"POST /ebms HTTP/1.1\nHost: localhost\n{twice}Content-Length: 0\n\n"
    assert (await send_raw(house, head)).startswith(b"HTTP/1.1 403 ")


async def test_attack_certificate_of_another_root(open_proxied: Open) -> None:
    """The proxy trusts more than we do, or nothing was verified at all."""
    house = await open_proxied()
    issued = ThrowawayPki().issue("DSO-LV", DSO_OIN)
    headers = {"Client-Cert": rfc9440(issued.certificate), "X-Chain": rfc9440(*issued.chain)}
    await refused(house, headers, "peer_not_trusted")


async def test_attack_self_made_certificate_with_the_oin_of_a_partner(open_proxied: Open) -> None:
    house = await open_proxied()
    issued = house.world.pki.issue("DSO-LV", DSO_OIN, self_signed=True)
    headers = {"Client-Cert": rfc9440(issued.certificate)}
    assert "self-signed" in await refused(house, headers, "peer_not_trusted")


async def test_attack_certificate_of_an_authority(open_proxied: Open) -> None:
    house = await open_proxied()
    headers = {"Client-Cert": rfc9440(house.world.pki.intermediate)}
    assert "of an authority" in await refused(house, headers, "peer_not_trusted")


@pytest.mark.parametrize(("start", "end", "text"), [(-9, -2, "expired"), (2, 9, "is not valid before")])
async def test_attack_expired_certificate(start: int, end: int, text: str, open_proxied: Open) -> None:
    house = await open_proxied()
    now = house.clock()
    issued = house.world.pki.issue(
        "DSO-LV", DSO_OIN, not_before=now + timedelta(days=start), not_after=now + timedelta(days=end)
    )
    headers = {"Client-Cert": rfc9440(issued.certificate), "X-Chain": rfc9440(*issued.chain)}
    assert text in await refused(house, headers, "peer_not_trusted")


@pytest.mark.parametrize(("octets", "status"), [(64 * 1024 + 1, b"403"), (80 * 1024, b"400")])
async def test_attack_header_over_64_kib(octets: int, status: bytes, open_proxied: Open) -> None:
    house = await open_proxied()
    head = f"POST /ebms HTTP/1.1\nHost: localhost\nClient-Cert: {'A' * octets}\nContent-Length: 0\n\n"
    assert (await send_raw(house, head)).split()[1] == status
    assert (await house.post(Request(handed(house), b""), scheme="http")).status != 403


@pytest.mark.parametrize(
    ("form", "garbage"),
    [
        ("rfc9440", "%"),
        ("rfc9440", "::"),
        ("rfc9440", ":AAAA:"),
        ("rfc9440", ":MIIB:"),
        ("rfc9440", ":===:"),
        ("rfc9440", "MIIB"),
        ("rfc9440", ":MIIB:;a=1"),
        ("rfc9440", ":MIIB:,"),
        ("nginx", "-----BEGIN CERTIFICATE-----"),
        ("nginx", "%2D%2D"),
        ("nginx", "-----BEGIN%20CERTIFICATE-----%0AMIIB%0A-----END%20CERTIFICATE-----%0A"),
        ("nginx", "-----BEGIN%20PRIVATE%20KEY-----%0AMIIB%0A-----END%20PRIVATE%20KEY-----%0A"),
        ("haproxy", "(null)"),
        ("haproxy", "MA=="),
        ("haproxy", "MIQ="),
        ("haproxy", "MP//////////"),
        ("haproxy", "\xe9\xe9"),
        ("traefik", ","),
        ("traefik", "%00"),
        ("traefik", ",".join(["MIIB"] * 17)),
    ],
)
async def test_attack_garbage(form: str, garbage: str, open_proxied: Open) -> None:
    house = await open_proxied(f'form = "{form}"\nheader = "X-Cert"\n')
    assert f"X-Cert is not of form {form}" in await refused(house, {"X-Cert": garbage}, "proxy_header")
    assert house.lines("request.failed") == []


@pytest.mark.parametrize("name", ["Client_Cert", "CLIENT_CERT", "client_Cert"])
async def test_attack_header_name_with_underscore(name: str, open_proxied: Open) -> None:
    """A proxy that removes Client-Cert lets it through, and software after it may take both for the same."""
    house = await open_proxied()
    forged = {name: handed(house)["Client-Cert"]}
    assert "looks like Client-Cert" in await refused(house, forged, "proxy_header")
    assert await ask(house, forged | handed(house, "stranger")) == 403
    assert await ask(house, forged | handed(house)) == 403


async def test_attack_header_in_trailers(open_proxied: Open) -> None:
    """What follows a chunked body comes from the peer, and identifies nobody."""
    house = await open_proxied()
    head = "POST /ebms HTTP/1.1\nHost: localhost\nTE: trailers\nTrailer: Client-Cert\nTransfer-Encoding: chunked\n\n"
    cert = handed(house)
    trailers = f"0\nClient-Cert: {cert['Client-Cert']}\nX-Chain: {cert['X-Chain']}\n\n"
    assert (await send_raw(house, head, after=trailers)).startswith(b"HTTP/1.1 403 ")
    assert house.refused("proxy_header") == 1


# --- a proxy that shows who it is


@pytest.mark.parametrize("by", ["oin", "fingerprint"])
async def test_a_proxy_can_be_known_by_its_own_certificate_too(
    by: str, open_house: Open, keys: Mapping[str, KeyPair]
) -> None:
    hub = keys["hub"].certificate
    wanted = "00000099000000003000" if by == "oin" else hub.fingerprint(SHA256()).hex(":").upper()
    house = await open_house(extra=f'[ebms.proxy]\ncertificate = "{wanted}"\n{CHAIN}', environ=PROXY)
    assert await ask(house, handed(house), scheme="https", keys="hub") == 204


async def test_attack_a_peer_that_reaches_us_past_the_proxy_from_its_address(open_house: Open) -> None:
    """A load balancer that passes TLS through has the address of the proxy; the peer shows its own certificate."""
    house = await open_house(
        extra=f'[ebms.proxy]\ncertificate = "00000099000000003000"\n{CHAIN}', environ=PROXY
    )
    assert await ask(house, handed(house), scheme="https", keys="stranger") == 403
    assert house.refused("proxy_unknown") == 1


async def test_a_proxy_without_a_certificate_may_speak_tls_and_a_peer_without_one_may_not_send(
    open_house: Open,
) -> None:
    house = await open_house(extra=f"[ebms.proxy]\n{CHAIN}", environ=PROXY)
    assert await ask(house, {}, scheme="https") == 403
    assert await ask(house, handed(house), scheme="https") == 204


async def test_a_peer_without_a_certificate_that_is_no_proxy_is_refused(open_house: Open) -> None:
    house = await open_house(environ=ELSEWHERE)
    assert await ask(house, handed(house), scheme="https") == 403
    assert house.refused("peer_unknown") == 1


# --- source networks


FAR = {"STAM_ADAPTER__EBMS__NETWORKS": '["192.0.2.0/24", "2001:db8::/32"]'}


async def test_a_connection_from_another_network_is_closed_before_tls(open_house: Open) -> None:
    house = await open_house(environ=FAR)
    for _ in range(3):
        with pytest.raises(aiohttp.ClientConnectionError):
            await house.post(wrap(house.draft().make()), keys="dso")
    assert house.refused("network") == 3
    assert [line["address"] for line in house.lines("connection.refused")] == ["127.0.0.1"]


async def test_a_connection_from_a_network_of_the_list_is_served(open_house: Open) -> None:
    house = await open_house(environ={"STAM_ADAPTER__EBMS__NETWORKS": '["127.0.0.0/8"]'})
    assert await ask(house, {}, scheme="https", keys="dso") == 204


@pytest.mark.parametrize(
    ("header", "said", "status"),
    [
        ("X-Forwarded-For", "192.0.2.7", 204),
        ("X-Forwarded-For", "203.0.113.9, 192.0.2.7", 204),
        ("X-Forwarded-For", "192.0.2.7:4711", 204),
        ("X-Forwarded-For", "2001:db8::7", 204),
        ("X-Forwarded-For", "::ffff:192.0.2.7", 204),
        ("Forwarded", 'for="[2001:db8::7]:4711";proto=https', 204),
        ("Forwarded", "for=203.0.113.9, for=192.0.2.7", 204),
        ("X-Forwarded-For", "192.0.2.7, 203.0.113.9", 403),
        ("X-Forwarded-For", "192.0.2.7, unknown", 403),
        ("X-Forwarded-For", "", 403),
        ("Forwarded", "for=192.0.2.7, for=203.0.113.9", 403),
        ("Forwarded", "for=_hidden", 403),
        ("Forwarded", "proto=https", 403),
    ],
)
async def test_behind_a_proxy_the_forwarded_address_must_be_of_a_network_of_the_list(
    header: str, said: str, status: int, open_proxied: Open
) -> None:
    house = await open_proxied(f'address_header = "{header}"\n{CHAIN}', PROXY | FAR)
    assert await ask(house, handed(house) | {header: said}) == status
    assert house.refused("network") == (status == 403)


async def test_attack_the_header_of_the_address_that_the_proxy_does_not_write(open_proxied: Open) -> None:
    house = await open_proxied(CHAIN, PROXY | FAR)
    forged = handed(house) | {"Forwarded": "for=192.0.2.7", "X-Forwarded-For": "203.0.113.9"}
    assert await ask(house, forged) == 403
    assert house.lines("peer.refused")[0]["detail"] == "203.0.113.9 is in none of ebms.networks"


async def test_the_log_has_the_forwarded_address_and_the_proxy(open_proxied: Open) -> None:
    house = await open_proxied()
    assert await ask(house, handed(house, "stranger") | {"X-Forwarded-For": "192.0.2.7"}) == 403
    assert house.lines("peer.refused")[0]["peer"].endswith(" at 192.0.2.7 behind 127.0.0.1")


async def test_attack_lines_in_the_forwarded_address(open_proxied: Open) -> None:
    house = await open_proxied()
    forged = {"X-Forwarded-For": 'x"}{"action":"peer.admitted'}
    assert await ask(house, handed(house, "stranger") | forged) == 403
    assert " at unknown behind 127.0.0.1" in house.lines("peer.refused")[0]["peer"]
