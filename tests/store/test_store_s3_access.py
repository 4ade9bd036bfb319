# SPDX-License-Identifier: EUPL-1.2

"""How an object store is got into: over TLS, through a proxy, with keys from elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapter.config import Config
from adapter.pki import ThrowawayPki
from adapter.store import SpoolUnavailable, open_spool
from tests.net.test_net_proxy import running_proxy
from tests.postgresql import free_port
from tests.s3 import ACCESS, SECRET, Bucket, S3Server
from tests.store.spools import put

OCTETS = bytes(100_000)


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture
async def tls_bucket(s3_server: S3Server, pki: ThrowawayPki, tmp_path: Path) -> AsyncIterator[Bucket]:
    """A bucket of a server that speaks TLS, with a certificate of a root that nobody knows."""
    certificate, key = pki.issue("s3.example", None).write(tmp_path, "s3")
    (tmp_path / "server").mkdir()
    server = S3Server(s3_server.binary, tmp_path / "server", free_port())
    server.start("--cert", str(certificate), "--key", str(key))
    yield server.new_bucket()
    server.stop()


def over_tls(bucket: Bucket, directory: Path, roots: Path | None, **outgoing: Any) -> Config:
    settings = bucket.settings(directory, f"https://localhost:{bucket.server.port}")
    if roots is not None:
        settings["roots"] = str(roots)
    store = {"payloads": bucket.payloads, "s3": settings}
    table = {"environment": "test", "store": store, "outgoing": outgoing}
    return Config.model_validate(table, context={"base": directory})


async def test_a_server_with_a_root_of_its_own_is_reached(
    tls_bucket: Bucket, pki: ThrowawayPki, tmp_path: Path
) -> None:
    spool = open_spool(over_tls(tls_bucket, tmp_path, pki.root_pem(tmp_path / "roots.pem")))
    assert await spool.read(await put(spool, OCTETS)) == OCTETS


async def test_a_server_that_cannot_be_trusted_gets_nothing(
    impatient: None, tls_bucket: Bucket, tmp_path: Path
) -> None:
    spool = open_spool(over_tls(tls_bucket, tmp_path, None))
    with pytest.raises(SpoolUnavailable):
        await put(spool, OCTETS)
    assert tls_bucket.objects() == []


@pytest.mark.parametrize("straight", [(), ("localhost",)])
async def test_the_way_is_through_the_proxy_unless_it_is_excepted(
    tls_bucket: Bucket, pki: ThrowawayPki, tmp_path: Path, straight: tuple[str, ...]
) -> None:
    roots = pki.root_pem(tmp_path / "roots.pem")
    async with running_proxy() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        spool = open_spool(over_tls(tls_bucket, tmp_path, roots, proxy=url, no_proxy=straight))
        await put(spool, OCTETS)
        tls_bucket.server.stop()  # which ends the tunnels
    assert set(proxy.asked) == (set() if straight else {f"CONNECT localhost:{tls_bucket.server.port}"})


async def test_keys_can_come_from_the_environment(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    store = {"payloads": bucket.payloads, "s3": {"endpoint": bucket.server.url}}
    config = Config.model_validate({"environment": "test", "store": store}, context={"base": tmp_path})
    await put(open_spool(config), OCTETS)
    assert len(bucket.objects()) == 1


async def test_the_environment_does_not_allow_plain_http(
    impatient: None, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = bucket.settings(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(settings.pop("endpoint")))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    store = {"payloads": bucket.payloads, "s3": settings}
    config = Config.model_validate({"environment": "test", "store": store}, context={"base": tmp_path})
    with pytest.raises(SpoolUnavailable):
        await put(open_spool(config), OCTETS)
    assert bucket.objects() == []


@pytest.mark.parametrize("content", ["no certificate", ""])
def test_roots_that_are_none_are_said(bucket: Bucket, tmp_path: Path, content: str) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text(content)
    with pytest.raises(SpoolUnavailable, match=r"correct .+ in \[store\.s3\]"):
        open_spool(over_tls(bucket, tmp_path, roots))
