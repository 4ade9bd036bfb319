# SPDX-License-Identifier: EUPL-1.2

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from adapter.pki import (
    KeyPair,
    ThrowawayPki,
    TrustStore,
    client_context,
    oin_of,
    peer_certificate,
    peer_chain,
    server_context,
)

SERVER, CLIENT = "00000001001100415000", "00000003123456780000"


@pytest.fixture
def trust(pki: ThrowawayPki) -> TrustStore:
    return TrustStore([pki.root])


@pytest.fixture
def server_keys(pki: ThrowawayPki, tmp_path: Path) -> KeyPair:
    return pki.issue("Server", SERVER).key_pair(tmp_path, "server")


@pytest.fixture
def client_keys(pki: ThrowawayPki, tmp_path: Path) -> KeyPair:
    return pki.issue("Client", CLIENT).key_pair(tmp_path, "client")


@contextlib.asynccontextmanager
async def echo_oin(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve the OIN of each client on a port of loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = peer_certificate(writer.get_extra_info("ssl_object"))
        writer.write((oin_of(certificate) or "none").encode() if certificate else b"nobody")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ask(port: int, context: ssl.SSLContext, name: str = "localhost") -> tuple[str, str | None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        return (await reader.read()).decode(), writer.get_extra_info("ssl_object").version()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def is_refused(port: int, context: ssl.SSLContext) -> bool:
    # In TLS 1.3 a client has finished its handshake before the server judges its certificate.
    try:
        answer, _ = await ask(port, context)
    except (ssl.SSLError, ConnectionError):
        return True
    return not answer


async def test_both_sides_know_each_other_by_oin(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore
) -> None:
    async with echo_oin(server_context(server_keys, trust)) as port:
        assert await ask(port, client_context(client_keys, trust)) == (CLIENT, "TLSv1.3")


async def test_tls_1_2_works_with_forward_secrecy(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore
) -> None:
    old = client_context(client_keys, trust)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with echo_oin(server_context(server_keys, trust)) as port:
        assert await ask(port, old) == (CLIENT, "TLSv1.2")


async def test_a_chain_signed_with_rsa_pss_works(tmp_path: Path) -> None:
    pki = ThrowawayPki(pss=True)
    trust = TrustStore([pki.root])
    server = pki.issue("Server", SERVER).key_pair(tmp_path, "server")
    client = pki.issue("Client", CLIENT).key_pair(tmp_path, "client")
    async with echo_oin(server_context(server, trust)) as port:
        assert await ask(port, client_context(client, trust)) == (CLIENT, "TLSv1.3")


async def test_self_signed_certificates_work_where_they_are_roots(pki: ThrowawayPki, tmp_path: Path) -> None:
    server = pki.issue("Server", SERVER, self_signed=True).key_pair(tmp_path, "server")
    client = pki.issue("Client", CLIENT, self_signed=True).key_pair(tmp_path, "client")
    trust = TrustStore([server.certificate, client.certificate])
    async with echo_oin(server_context(server, trust)) as port:
        assert await ask(port, client_context(client, trust)) == (CLIENT, "TLSv1.3")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_are_refused(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore, version: ssl.TLSVersion
) -> None:
    old = client_context(client_keys, trust)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    async with echo_oin(server_context(server_keys, trust)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port, old)


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"]
)
async def test_weak_ciphers_are_refused(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore, cipher: str
) -> None:
    weak = client_context(client_keys, trust)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(cipher)
    async with echo_oin(server_context(server_keys, trust)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port, weak)


async def test_a_client_without_certificate_is_refused(server_keys: KeyPair, trust: TrustStore) -> None:
    async with echo_oin(server_context(server_keys, trust)) as port:
        assert await is_refused(port, client_context(None, trust))


async def test_a_client_of_another_root_is_refused(
    server_keys: KeyPair, trust: TrustStore, tmp_path: Path
) -> None:
    stranger = ThrowawayPki().issue("Vreemd", CLIENT).key_pair(tmp_path, "vreemd")
    async with echo_oin(server_context(server_keys, trust)) as port:
        assert await is_refused(port, client_context(stranger, trust))


async def test_a_listener_without_trust_asks_for_no_certificate(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore
) -> None:
    async with echo_oin(server_context(server_keys, None)) as port:
        assert (await ask(port, client_context(client_keys, trust)))[0] == "nobody"


async def test_a_server_with_another_name_is_refused(
    server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore
) -> None:
    async with echo_oin(server_context(server_keys, trust)) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await ask(port, client_context(client_keys, trust), "elders.example")


async def test_a_server_of_another_root_is_refused(
    client_keys: KeyPair, trust: TrustStore, tmp_path: Path
) -> None:
    other = ThrowawayPki()
    server = other.issue("Vals", SERVER).key_pair(tmp_path, "vals")
    async with echo_oin(server_context(server, trust)) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, client_context(client_keys, trust))


def test_without_roots_a_client_trusts_no_server_of_the_system(client_keys: KeyPair) -> None:
    assert client_context(client_keys, TrustStore([])).get_ca_certs() == []


def test_renegotiation_and_compression_are_off(server_keys: KeyPair, trust: TrustStore) -> None:
    for context in (server_context(server_keys, trust), client_context(None, trust)):
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION


def test_without_tls_there_is_no_certificate() -> None:
    assert peer_certificate(None) is None


def leaf_only(pki: ThrowawayPki, directory: Path) -> KeyPair:
    issued = pki.issue("Client", CLIENT)
    return replace(issued, chain=()).key_pair(directory, "leaf")


async def test_a_configured_authority_completes_the_chain_of_a_client(
    pki: ThrowawayPki, server_keys: KeyPair, trust: TrustStore, tmp_path: Path
) -> None:
    client = client_context(leaf_only(pki, tmp_path), trust)
    async with echo_oin(server_context(server_keys, trust)) as port:
        assert await is_refused(port, client)
    more = TrustStore([pki.root], [pki.intermediate, pki.domain])
    async with echo_oin(server_context(server_keys, more)) as port:
        assert (await ask(port, client))[0] == CLIENT


async def test_a_configured_authority_without_its_root_opens_nothing(
    pki: ThrowawayPki, server_keys: KeyPair, client_keys: KeyPair, trust: TrustStore
) -> None:
    other = TrustStore([ThrowawayPki(name="Other").root], [pki.intermediate, pki.domain])
    async with echo_oin(server_context(server_keys, other)) as port:
        assert await is_refused(port, client_context(client_keys, trust))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_verified_chain_is_known_on_both_sides(
    pki: ThrowawayPki,
    server_keys: KeyPair,
    client_keys: KeyPair,
    trust: TrustStore,
    version: ssl.TLSVersion,
) -> None:
    seen: list[tuple[x509.Certificate, ...]] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(peer_chain(writer.get_extra_info("ssl_object")))
        writer.close()

    client = client_context(client_keys, trust)
    client.maximum_version = version
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(server_keys, trust))
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        seen.append(peer_chain(writer.get_extra_info("ssl_object")))
        await reader.read()
        writer.close()
    authorities = (pki.intermediate, pki.domain, pki.root)
    assert sorted(seen, key=str) == sorted(
        [(client_keys.certificate, *authorities), (server_keys.certificate, *authorities)], key=str
    )


def test_without_tls_there_is_no_chain() -> None:
    assert peer_chain(None) == ()
