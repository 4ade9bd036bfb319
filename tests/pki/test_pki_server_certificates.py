# SPDX-License-Identifier: EUPL-1.2

"""A listener with several certificates, by the name that a client asks for, and others while it runs."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from adapter.pki import (
    KeyPair,
    KeyProblem,
    ServerCertificates,
    ThrowawayPki,
    TrustStore,
    client_context,
    peer_certificate,
)


@pytest.fixture
def trust(pki: ThrowawayPki) -> TrustStore:
    return TrustStore([pki.root])


class Line:
    """Connections to a server that answers each line with it."""

    def __init__(self, port: int, trust: TrustStore, keys: KeyPair) -> None:
        self.port, self.trust, self.keys = port, trust, keys

    async def shown_to(self, name: str | None, *, version: ssl.TLSVersion | None = None) -> x509.Certificate:
        """The certificate that a client sees who asks for this name."""
        async with self.connected(name, version) as (_, writer):
            return shown(writer)

    async def echo(self, name: str) -> bytes:
        """What comes back from the server."""
        async with self.connected(name) as (reader, writer):
            writer.write(b"hallo\n")
            return await reader.readuntil(b"\n")

    @contextlib.asynccontextmanager
    async def connected(
        self, name: str | None, version: ssl.TLSVersion | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        context = client_context(self.keys, self.trust)
        context.check_hostname = False
        if version is not None:
            context.maximum_version = version
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=name or ""
        )
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def shown(writer: asyncio.StreamWriter) -> x509.Certificate:
    certificate = peer_certificate(writer.get_extra_info("ssl_object"))
    assert certificate is not None
    return certificate


@contextlib.asynccontextmanager
async def serving(certificates: ServerCertificates, trust: TrustStore, keys: KeyPair) -> AsyncIterator[Line]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=certificates.context)
    try:
        yield Line(server.sockets[0].getsockname()[1], trust, keys)
    finally:
        server.close()


@pytest.fixture
def keys(pki: ThrowawayPki, tmp_path: Path) -> KeyPair:
    return pki.issue("Klant", "00000003123456780000").key_pair(tmp_path, "klant")


def pair(pki: ThrowawayPki, directory: Path, stem: str, *hosts: str) -> KeyPair:
    return pki.issue(stem, "00000001001100415000", hosts=hosts).key_pair(directory, stem)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("asked", "stem"),
    [
        ("ebms.stad.nl", "stad"),
        ("EBMS.Stad.nl", "stad"),
        ("ebms.dorp.nl", "dorp"),
        ("een.gehucht.nl", "gehucht"),
        ("nog.een.gehucht.nl", "stad"),
        ("onbekend.nl", "stad"),
        (None, "stad"),
    ],
)
async def test_a_client_gets_the_certificate_of_the_name_it_asks_for_else_the_first(
    pki: ThrowawayPki,
    trust: TrustStore,
    keys: KeyPair,
    tmp_path: Path,
    asked: str | None,
    stem: str,
    version: ssl.TLSVersion,
) -> None:
    pairs = {
        "stad": pair(pki, tmp_path, "stad", "ebms.stad.nl"),
        "dorp": pair(pki, tmp_path, "dorp", "ebms.dorp.nl", "ebms.stad.nl"),
        "gehucht": pair(pki, tmp_path, "gehucht", "*.gehucht.nl"),
    }
    async with serving(ServerCertificates(list(pairs.values()), trust), trust, keys) as line:
        assert await line.shown_to(asked, version=version) == pairs[stem].certificate


@pytest.mark.parametrize("name", ["ebms.dorp.nl", "onbekend.nl"])
async def test_a_client_certificate_is_required_whatever_name_is_asked_for(
    pki: ThrowawayPki, trust: TrustStore, tmp_path: Path, name: str
) -> None:
    pairs = [pair(pki, tmp_path, stem, f"ebms.{stem}.nl") for stem in ("stad", "dorp")]
    stranger = pair(ThrowawayPki(), tmp_path, "vreemd", "localhost")
    async with serving(ServerCertificates(pairs, trust), trust, stranger) as line:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await line.echo(name)


async def test_others_are_shown_to_new_connections_and_the_old_ones_go_on(
    pki: ThrowawayPki, trust: TrustStore, keys: KeyPair, tmp_path: Path
) -> None:
    old, new = (pair(pki, tmp_path, stem, "localhost") for stem in ("oud", "nieuw"))
    certificates = ServerCertificates([old], trust)
    async with serving(certificates, trust, keys) as line, line.connected("localhost") as (reader, writer):
        assert shown(writer) == old.certificate
        certificates.show([new])
        assert await line.shown_to("localhost") == new.certificate
        writer.write(b"nog hier\n")
        assert await reader.readline() == b"nog hier\n"


async def test_what_tls_does_not_take_changes_nothing(
    pki: ThrowawayPki, trust: TrustStore, keys: KeyPair, tmp_path: Path
) -> None:
    good = pair(pki, tmp_path, "goed", "localhost")
    weak = pki.issue("Zwak", "00000001001100415000", key_size=1024).key_pair(tmp_path, "zwak")
    certificates = ServerCertificates([good], trust)
    with pytest.raises(KeyProblem, match=r"zwak\.pem: TLS does not take this"):
        certificates.show([weak])
    async with serving(certificates, trust, keys) as line:
        assert await line.shown_to("localhost") == good.certificate
